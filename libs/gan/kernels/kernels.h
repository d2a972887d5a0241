#pragma once

#include <cstdint>

// The memory-bound loops of the training step, on activations in NHWC order: a matrix of `rows` =
// images x height x width rows and `channels` columns. LibTorch's own batch norm and activations
// are separate passes over memory; these are fused.
//
// Every sum is cut into blocks of rows that depend on the shape only, and the blocks are added in
// order: no thread count changes a bit. The threads are OpenMP's. Nothing here includes torch.

namespace gannet::gan {

// Statistics of each channel over the rows, each `channels` long. `inverse_std` = 1 / sqrt(biased
// variance + epsilon). `unbiased_variance` divides by rows - 1. `rows` must be at least 2.
void BatchStatistics(const float* x, int64_t rows, int64_t channels, double epsilon, float* mean,
                     float* inverse_std, float* unbiased_variance);

// One BatchNorm followed by an activation that is the identity above 0 and `slope` times its input
// elsewhere (0 for ReLU).
struct NormalizedActivation {
  int64_t channels = 0;
  const float* mean = nullptr;
  const float* inverse_std = nullptr;
  const float* gamma = nullptr;
  const float* beta = nullptr;
  float slope = 0;
};

// y = activation(gamma (x - mean) inverse_std + beta). `x` and `y` may be the same.
void NormalizeActivate(const NormalizedActivation& layer, const float* x, float* y, int64_t rows);

// Turns the gradient of y into the gradient of x in place, through the activation and through the
// batch's own statistics (which `layer` must hold). Adds the gradients of gamma and beta to
// `gamma_gradient` and `beta_gradient` unless these are null.
void NormalizeActivateBackward(const NormalizedActivation& layer, const float* x, float* gradient,
                               int64_t rows, double* gamma_gradient, double* beta_gradient);

// x = x > 0 ? x : slope x.
void LeakyRelu(float* x, int64_t count, float slope);

// gradient = y > 0 ? gradient : slope gradient, `y` being the result of LeakyRelu with a positive
// slope.
void LeakyReluBackward(const float* y, float* gradient, int64_t count, float slope);

// gradient = gradient (1 - y^2), `y` being the result of tanh.
void TanhBackward(const float* y, float* gradient, int64_t count);

// The last step of a transposed convolution with kernel 4, stride 2, padding 1: adds up, for each
// output pixel, the four input pixels that reach it. `taps` holds per image and input pixel (side x
// side) the 4 x 4 x channels values it contributes; `out` is images x 2 side x 2 side x channels
// and is overwritten.
void AddTaps(const float* taps, float* out, int64_t images, int64_t side, int64_t channels);

// One image from channels x pixels to pixels x channels, and back.
void PlanarToInterleaved(const float* planar, float* interleaved, int64_t channels, int64_t pixels);
void InterleavedToPlanar(const float* interleaved, float* planar, int64_t channels, int64_t pixels);

}  // namespace gannet::gan
