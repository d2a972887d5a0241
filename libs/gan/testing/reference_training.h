#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "libs/domain/run_config.h"
#include "libs/gan/gan.h"
#include "libs/tensor/tensor_bundle.h"

// The training of docs/training.md as anybody would write it with LibTorch's own modules, autograd
// and optimizer, in one process: what the parity tests and the benchmark compare with. Its header
// includes no torch.

namespace gannet::gan {

// Rounding moves the input of an activation by at most a third of this share of its layer's size.
// With a nearer one (ReferenceUnit.kink_distance), gradients were seen to differ by 1e-2.
constexpr double kKinkDistanceMin = 1e-6;

struct ReferenceUnit {
  tensor::TensorBundle gradient;  // layout ParameterSpec
  tensor::TensorBundle
      weights;  // the weights given, with the buffers as LibTorch's modules left them
  double discriminator_loss = 0;
  double generator_loss = 0;
  double real_accuracy = 0;
  double fake_accuracy = 0;
  // The smallest absolute input of a ReLU or LeakyReLU, as a share of the root mean square of its
  // layer's. There the derivative jumps: where another order of additions may round an input to the
  // other side of 0, gradients do not agree to rounding.
  double kink_distance = std::numeric_limits<double>::infinity();
};

// The image-weighted mean gradient of the task's micro-batches at `weights`, by stock modules and
// autograd. The buffers start from those in `weights` and go through every micro-batch.
// `read_image` must not fail.
//
// Computed in double and rounded at the end, without oneDNN. In float these modules are wrong on
// Debian 13: in NCHW, which is their order, oneDNN 3.7 leaves a part of a convolution's result
// unwritten for some numbers of channels, 20, 24, 48 and the 100 of a latent vector among them.
ReferenceUnit ReferenceGradient(const domain::ModelConfig& model,
                                const tensor::TensorBundle& weights, const UnitTask& task);

// The same of a task with local steps: torch::optim::Adam, a fresh one for each network, after
// every step, in double; `gradient` is by how far the parameters have moved, start minus end.
ReferenceUnit ReferenceLocalSteps(const domain::ModelConfig& model,
                                  const tensor::TensorBundle& weights, const UnitTask& task);

// Runs `steps` updates of torch::optim::Adam, a fresh one for each network, at constant `gradient`
// factors 1, 1/2, 1/3, … and returns the parameters (layout ParameterSpec).
tensor::TensorBundle ReferenceAdam(const domain::ModelConfig& model, const domain::AdamConfig& adam,
                                   const tensor::TensorBundle& weights,
                                   const tensor::TensorBundle& gradient, int steps);

// LibTorch's own BatchNorm2d on `rows` x `channels` inputs (a row per pixel), one training pass
// from the running averages given, which it updates.
void ReferenceBatchNorm(int64_t rows, int64_t channels, const std::vector<float>& input,
                        std::vector<float>& running_mean, std::vector<float>& running_var);

// The training step as the PyTorch example has it, on random images: backward() over D(real),
// D(fake.detach()) and D(fake) in turn, at stock modules. Without the optimizer. For the benchmark.
class StockTrainingStep {
 public:
  // `device` as LibTorch names it.
  StockTrainingStep(const domain::ModelConfig& model, const tensor::TensorBundle& weights,
                    int micro_batch, const std::string& device = "cpu");
  ~StockTrainingStep();

  // Returns when the device has done it.
  void Run();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace gannet::gan
