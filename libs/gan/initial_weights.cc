#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/philox.h"
#include "libs/domain/model_layout.h"
#include "libs/gan/gan.h"

namespace gannet {
namespace {

// Radford et al. 2015, and the PyTorch example.
constexpr float kInitialStd = 0.02f;

// A convolution has four dimensions, gamma and beta have one.
void FillParameter(const TensorSpec& spec, PhiloxStream& stream, absl::Span<float> out) {
  if (spec.shape.size() == 1 && absl::EndsWith(spec.name, ".bias")) {
    std::fill(out.begin(), out.end(), 0.0f);
    return;
  }
  const float mean = spec.shape.size() == 1 ? 1.0f : 0.0f;
  FillNormal(stream, out);
  for (float& value : out) value = mean + kInitialStd * value;
}

}  // namespace

TensorBundle InitialWeights(const ModelConfig& model, uint64_t seed) {
  const BundleSpec parameters = ParameterSpec(model);
  TensorBundle weights;
  for (const TensorSpec& spec : WeightsSpec(model)) {
    Tensor tensor = Tensor::Zeros(spec);
    const auto parameter = std::find(parameters.begin(), parameters.end(), spec);
    if (parameter != parameters.end()) {
      PhiloxStream stream(seed, RandomPurpose::kWeights,
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

TensorBundle InitialAdamState(const ModelConfig& model, const AdamConfig& adam,
                              const TensorBundle& weights) {
  TensorBundle state;
  for (const TensorSpec& spec : AdamStateSpec(model, adam)) {
    Tensor tensor = Tensor::Zeros(spec);
    absl::string_view parameter = spec.name;
    if (absl::ConsumeSuffix(&parameter, kAverageSuffix)) {
      tensor.bytes = weights.Find(std::string(parameter))->bytes;
    }
    state.Add(std::move(tensor));
  }
  return state;
}

TensorBundle AveragedWeights(const TensorBundle& weights, const TensorBundle& adam_state) {
  TensorBundle averaged;
  for (const Tensor& tensor : weights.tensors()) {
    const Tensor* average = adam_state.Find(absl::StrCat(tensor.spec.name, kAverageSuffix));
    Tensor taken = tensor;
    if (average != nullptr) taken.bytes = average->bytes;
    averaged.Add(std::move(taken));
  }
  return averaged;
}

}  // namespace gannet
