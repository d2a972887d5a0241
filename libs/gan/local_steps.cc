#include "libs/gan/local_steps.h"

#include <cstddef>
#include <utility>

#include "libs/domain/model_layout.h"
#include "libs/gan/adam.h"
#include "libs/gan/gan.h"

namespace gannet::gan {
namespace {

// No average of the generator is kept in between.
domain::AdamConfig WithoutAverage(domain::AdamConfig adam) {
  adam.ema_decay = 0;
  return adam;
}

}  // namespace

LocalSteps::LocalSteps(const domain::ModelConfig& model, const domain::AdamConfig& adam,
                       const tensor::TensorBundle& start)
    : model_(model),
      adam_(WithoutAverage(adam)),
      start_(start),
      weights_(start),
      adam_state_(InitialAdamState(model, adam_, start)) {
  for (const tensor::TensorSpec& spec : domain::GradientSpec(model)) {
    statistics_.Add(tensor::Tensor::Zeros(spec));
  }
}

void LocalSteps::Step(const tensor::TensorBundle& gradient) {
  ++steps_;
  AdamStep(model_, adam_, steps_, gradient, weights_, adam_state_);
  for (tensor::Tensor& sum : statistics_.mutable_tensors()) {
    if (start_.Find(sum.spec.name) != nullptr) continue;  // a parameter
    const auto values = gradient.Find(sum.spec.name)->f32();
    const auto sums = sum.mutable_f32();
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += values[i];
  }
}

tensor::TensorBundle LocalSteps::PseudoGradient() const {
  tensor::TensorBundle result = statistics_;
  for (tensor::Tensor& tensor : result.mutable_tensors()) {
    const auto values = tensor.mutable_f32();
    if (const tensor::Tensor* before = start_.Find(tensor.spec.name)) {
      const auto from = before->f32();
      const auto to = weights_.Find(tensor.spec.name)->f32();
      for (size_t i = 0; i < values.size(); ++i) values[i] = from[i] - to[i];
    } else {
      for (float& value : values) value /= static_cast<float>(steps_);
    }
  }
  return result;
}

}  // namespace gannet::gan
