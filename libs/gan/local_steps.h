#pragma once

#include <cstdint>

#include "libs/domain/run_config.h"
#include "libs/tensor/tensor_bundle.h"

namespace gannet::gan {

// The optimizer of a unit that is several steps long: both networks move, step by step, from the
// published weights, and what counts in the end is how far. Local SGD for GANs: Rasouli, Sun and
// Rajagopal 2020 ("FedGAN"); the difference as a gradient for an outer optimizer: Douillard et al.
// 2023 ("DiLoCo").
//
// Adam begins anew, with moments of zero, in each unit. So what a unit returns is a pure function
// of the weights, the images and the seed: whoever computes it again gets the same bits.
//
// Thread safety: none.
class LocalSteps {
 public:
  // `start` has the layout WeightsSpec(model).
  LocalSteps(const domain::ModelConfig& model, const domain::AdamConfig& adam,
             const tensor::TensorBundle& start);

  // Takes the gradient of the next step, at weights(), in layout GradientSpec: Adam moves the
  // parameters. Every step has the same number of images, and so the same weight.
  void Step(const tensor::TensorBundle& gradient);

  // The start, with the parameters as far as they have moved. Buffers stay those of the start: a
  // training step does not read them.
  const tensor::TensorBundle& weights() const { return weights_; }

  // In layout GradientSpec: of each parameter start minus end, the direction in which a step of
  // gradient descent with learning rate 1 arrives where these steps have; of the statistics the
  // mean over the steps.
  tensor::TensorBundle PseudoGradient() const;

 private:
  const domain::ModelConfig model_;
  const domain::AdamConfig adam_;
  const tensor::TensorBundle& start_;
  tensor::TensorBundle weights_;
  tensor::TensorBundle adam_state_;
  tensor::TensorBundle statistics_;  // sums over the steps; layout GradientSpec
  int64_t steps_ = 0;
};

}  // namespace gannet::gan
