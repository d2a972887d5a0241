#include <algorithm>
#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/status_macros.h"
#include "libs/domain/model_layout.h"
#include "libs/domain/network_architecture.h"
#include "libs/gan/adam.h"
#include "libs/gan/gan.h"
#include "libs/gan/kernels/target_clones.h"

// Compiled without contraction (see CMakeLists.txt), so that the bits are the same on every CPU.

namespace gannet::gan {
namespace {

GANNET_TARGET_CLONES void AverageLoop(float decay, int64_t count, const float* __restrict parameter,
                                      float* __restrict average) {
  const float rest = 1 - decay;
  for (int64_t i = 0; i < count; ++i) average[i] = decay * average[i] + rest * parameter[i];
}

// As TensorFlow's ExponentialMovingAverage with num_updates has it.
float AverageDecay(const domain::AdamConfig& adam, int64_t step) {
  const double t = static_cast<double>(step);
  return static_cast<float>(std::min(adam.ema_decay, (1 + t) / (10 + t)));
}

void SetI64Scalar(tensor::Tensor& tensor, int64_t value) {
  GANNET_CHECK(tensor.bytes.size() == sizeof value);
  std::memcpy(tensor.bytes.data(), &value, sizeof value);
}

// r' = (1-m)^k r + (1-(1-m)^k) s, in double and rounded once.
void FoldRunningAverage(int64_t micro_batches, absl::Span<const float> batch,
                        absl::Span<float> running) {
  const double keep = std::pow(1 - domain::kBatchNormMomentum, static_cast<double>(micro_batches));
  for (size_t c = 0; c < running.size(); ++c) {
    running[c] = static_cast<float>((1 - keep) * batch[c] + keep * running[c]);
  }
}

// The same for k = 1 in the arithmetic of LibTorch's CPU kernel (1.13 and 2.6 agree), so that a
// round of one micro-batch gives its bits: a momentum of float, the mean in float, the variance's
// sum in double.
void FoldRunningMeanOnce(absl::Span<const float> batch, absl::Span<float> running) {
  const float take = static_cast<float>(domain::kBatchNormMomentum);
  for (size_t c = 0; c < running.size(); ++c) {
    running[c] = take * batch[c] + (1 - take) * running[c];
  }
}

void FoldRunningVarianceOnce(absl::Span<const float> batch, absl::Span<float> running) {
  const float take = static_cast<float>(domain::kBatchNormMomentum);
  for (size_t c = 0; c < running.size(); ++c) {
    const float kept = (1 - take) * running[c];
    running[c] = static_cast<float>(static_cast<double>(take) * batch[c] + kept);
  }
}

void FoldBatchNorm(const domain::BatchNormLayout& layout,
                   const tensor::TensorBundle& round_gradient, int64_t micro_batches,
                   tensor::TensorBundle& weights) {
  const absl::Span<float> running_mean =
      weights.Find(absl::StrCat(layout.prefix, ".running_mean"))->mutable_f32();
  const absl::Span<float> running_var =
      weights.Find(absl::StrCat(layout.prefix, ".running_var"))->mutable_f32();
  tensor::Tensor* counter = weights.Find(absl::StrCat(layout.prefix, ".num_batches_tracked"));
  for (const std::string& pass : layout.passes) {
    const absl::Span<const float> mean =
        round_gradient.Find(absl::StrCat(layout.prefix, ".batch_mean.", pass))->f32();
    const absl::Span<const float> var =
        round_gradient.Find(absl::StrCat(layout.prefix, ".batch_var.", pass))->f32();
    // Weights that an older version published may have one below zero, which nobody can divide by
    // the root of.
    for (float& value : running_var) value = std::max(value, 0.0F);
    if (micro_batches == 1) {
      FoldRunningMeanOnce(mean, running_mean);
      FoldRunningVarianceOnce(var, running_var);
    } else {
      FoldRunningAverage(micro_batches, mean, running_mean);
      FoldRunningAverage(micro_batches, var, running_var);
    }
    SetI64Scalar(*counter, counter->i64_scalar() + micro_batches);
  }
}

}  // namespace

absl::Status ApplyRound(const domain::ModelConfig& model, const domain::AdamConfig& adam,
                        const tensor::TensorBundle& round_gradient, int64_t micro_batches,
                        tensor::TensorBundle& weights, tensor::TensorBundle& adam_state) {
  if (micro_batches < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("a round has at least one micro-batch: got ", micro_batches));
  }
  GANNET_RETURN_IF_ERROR(round_gradient.CheckSpec(domain::GradientSpec(model)));
  GANNET_RETURN_IF_ERROR(weights.CheckSpec(domain::WeightsSpec(model)));
  GANNET_RETURN_IF_ERROR(adam_state.CheckSpec(domain::AdamStateSpec(model, adam)));

  for (const domain::BatchNormLayout& layout : domain::BatchNormLayouts(model)) {
    FoldBatchNorm(layout, round_gradient, micro_batches, weights);
  }

  tensor::Tensor* step = adam_state.Find("step");
  SetI64Scalar(*step, step->i64_scalar() + 1);
  AdamStep(model, adam, step->i64_scalar(), round_gradient, weights, adam_state);
  for (const tensor::TensorSpec& spec : domain::ParameterSpec(model)) {
    if (tensor::Tensor* average =
            adam_state.Find(absl::StrCat(spec.name, domain::kAverageSuffix))) {
      AverageLoop(AverageDecay(adam, step->i64_scalar()), spec.element_count(),
                  weights.Find(spec.name)->f32().data(), average->mutable_f32().data());
    }
  }
  return absl::OkStatus();
}

}  // namespace gannet::gan
