#pragma once

#include <string>
#include <vector>

#include "libs/domain/run_config.h"
#include "libs/tensor/tensor_bundle.h"

namespace gannet::domain {

// Names and shapes of the networks' tensors, as PyTorch's state_dict names them when each network
// is an nn.Sequential "main" below "generator." and "discriminator." (network_architecture.h): so
// the original's Generator loads the part below "generator." of a dcgan unchanged. Needs no torch.
// A kind that this program does not know has no tensors.

// The network a BatchNorm layer belongs to decides how many passes a micro-batch makes through it.
struct BatchNormLayout {
  std::string prefix;  // "discriminator.main.3"
  int64_t channels = 0;
  std::vector<std::string> passes;  // {"real", "fake"} for the discriminator, {"fake"} for the
                                    // generator; applied in this order
};

std::vector<BatchNormLayout> BatchNormLayouts(const ModelConfig& model);

// Trainable tensors (F32), generator first, in state_dict order.
tensor::BundleSpec ParameterSpec(const ModelConfig& model);

// Weights as published: per network in state_dict order parameters and, beside each BatchNorm's
// weight and bias, running_mean, running_var (F32) and num_batches_tracked (I64, shape {}).
tensor::BundleSpec WeightsSpec(const ModelConfig& model);

// A gradient as submitted: one tensor per parameter under its own name, then per BatchNorm layer
// and pass "PREFIX.batch_mean.PASS" and "PREFIX.batch_var.PASS" (F32; image-weighted mean over
// micro-batches of the batch mean and of the unbiased batch variance).
tensor::BundleSpec GradientSpec(const ModelConfig& model);

// Adam's state: per parameter "NAME.exp_avg" and "NAME.exp_avg_sq" (F32), then "step" (I64, shape
// {}); where the generator's average is kept, then per parameter of the generator "NAME.ema" (F32).
inline constexpr char kAverageSuffix[] = ".ema";
tensor::BundleSpec AdamStateSpec(const ModelConfig& model, const AdamConfig& adam = {});

}  // namespace gannet::domain
