#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/philox.h"
#include "libs/domain/model_layout.h"
#include "libs/gan/gan.h"

namespace gannet::gan {
namespace {

// Radford et al. 2015, and the PyTorch example.
constexpr float kInitialStd = 0.02f;

// A convolution has four dimensions, gamma and beta have one.
void FillParameter(const tensor::TensorSpec& spec, base::PhiloxStream& stream,
                   absl::Span<float> out) {
  if (spec.shape.size() == 1 && absl::EndsWith(spec.name, ".bias")) {
    std::fill(out.begin(), out.end(), 0.0f);
    return;
  }
  const float mean = spec.shape.size() == 1 ? 1.0f : 0.0f;
  base::FillNormal(stream, out);
  for (float& value : out) value = mean + kInitialStd * value;
}

}  // namespace

tensor::TensorBundle InitialWeights(const domain::ModelConfig& model, uint64_t seed) {
  const tensor::BundleSpec parameters = domain::ParameterSpec(model);
  tensor::TensorBundle weights;
  for (const tensor::TensorSpec& spec : domain::WeightsSpec(model)) {
    tensor::Tensor tensor = tensor::Tensor::Zeros(spec);
    const auto parameter = std::find(parameters.begin(), parameters.end(), spec);
    if (parameter != parameters.end()) {
      base::PhiloxStream stream(seed, base::RandomPurpose::kWeights,
                                static_cast<uint64_t>(parameter - parameters.begin()), 0);
      FillParameter(spec, stream, tensor.mutable_f32());
    } else if (absl::EndsWith(spec.name, ".running_var")) {
      const absl::Span<float> values = tensor.mutable_f32();
      std::fill(values.begin(), values.end(), 1.0f);
    }
    weights.Add(std::move(tensor));
  }
  return weights;
}

tensor::TensorBundle InitialAdamState(const domain::ModelConfig& model,
                                      const domain::AdamConfig& adam,
                                      const tensor::TensorBundle& weights) {
  tensor::TensorBundle state;
  for (const tensor::TensorSpec& spec : domain::AdamStateSpec(model, adam)) {
    tensor::Tensor tensor = tensor::Tensor::Zeros(spec);
    absl::string_view parameter = spec.name;
    if (absl::ConsumeSuffix(&parameter, domain::kAverageSuffix)) {
      tensor.bytes = weights.Find(std::string(parameter))->bytes;
    }
    state.Add(std::move(tensor));
  }
  return state;
}

tensor::TensorBundle AveragedWeights(const tensor::TensorBundle& weights,
                                     const tensor::TensorBundle& adam_state) {
  tensor::TensorBundle averaged;
  for (const tensor::Tensor& tensor : weights.tensors()) {
    const tensor::Tensor* average =
        adam_state.Find(absl::StrCat(tensor.spec.name, domain::kAverageSuffix));
    tensor::Tensor taken = tensor;
    if (average != nullptr) taken.bytes = average->bytes;
    averaged.Add(std::move(taken));
  }
  return averaged;
}

}  // namespace gannet::gan
