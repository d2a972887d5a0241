#include "libs/gan/adam.h"

#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/domain/model_layout.h"
#include "libs/gan/kernels/target_clones.h"

// Compiled without contraction (see CMakeLists.txt), so that the bits are the same on every CPU.

namespace gannet::gan {
namespace {

struct AdamFactors {
  float beta1, one_minus_beta1;
  float beta2, one_minus_beta2;
  float sqrt_bias_correction2;
  float epsilon;
  float negative_step;
};

// The operations of torch.optim.Adam's single-tensor form in their order, each rounded to float as
// there.
GANNET_TARGET_CLONES void AdamLoop(const AdamFactors& f, int64_t count,
                                   const float* __restrict gradient, float* __restrict parameter,
                                   float* __restrict exp_avg, float* __restrict exp_avg_sq) {
  for (int64_t i = 0; i < count; ++i) {
    const float g = gradient[i];
    const float m = exp_avg[i] * f.beta1 + f.one_minus_beta1 * g;
    const float v = exp_avg_sq[i] * f.beta2 + f.one_minus_beta2 * g * g;
    const float denominator = std::sqrt(v) / f.sqrt_bias_correction2 + f.epsilon;
    exp_avg[i] = m;
    exp_avg_sq[i] = v;
    parameter[i] += f.negative_step * m / denominator;
  }
}

AdamFactors MakeAdamFactors(const domain::AdamConfig& adam, double learning_rate, int64_t step) {
  const double t = static_cast<double>(step);
  const double bias_correction1 = 1 - std::pow(adam.beta1, t);
  const double bias_correction2 = 1 - std::pow(adam.beta2, t);
  return {.beta1 = static_cast<float>(adam.beta1),
          .one_minus_beta1 = static_cast<float>(1 - adam.beta1),
          .beta2 = static_cast<float>(adam.beta2),
          .one_minus_beta2 = static_cast<float>(1 - adam.beta2),
          .sqrt_bias_correction2 = static_cast<float>(std::sqrt(bias_correction2)),
          .epsilon = static_cast<float>(adam.epsilon),
          .negative_step = static_cast<float>(-(learning_rate / bias_correction1))};
}

}  // namespace

void AdamStep(const domain::ModelConfig& model, const domain::AdamConfig& adam, int64_t step,
              const tensor::TensorBundle& gradient, tensor::TensorBundle& weights,
              tensor::TensorBundle& adam_state) {
  const AdamFactors generator = MakeAdamFactors(adam, adam.GeneratorRate(), step);
  const AdamFactors discriminator = MakeAdamFactors(adam, adam.DiscriminatorRate(), step);
  for (const tensor::TensorSpec& spec : domain::ParameterSpec(model)) {
    AdamLoop(absl::StartsWith(spec.name, "generator.") ? generator : discriminator,
             spec.element_count(), gradient.Find(spec.name)->f32().data(),
             weights.Find(spec.name)->mutable_f32().data(),
             adam_state.Find(absl::StrCat(spec.name, ".exp_avg"))->mutable_f32().data(),
             adam_state.Find(absl::StrCat(spec.name, ".exp_avg_sq"))->mutable_f32().data());
  }
}

}  // namespace gannet::gan
