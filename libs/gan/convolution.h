#pragma once

#include <ATen/core/Tensor.h>

// The strided convolutions of both networks: kernel 4, stride 2, padding 1, no bias. Tensors in
// channels-last order; the results are too. Weights are (out, in, 4, 4) of the convolution, which
// is (in, out, 4, 4) of the transposed one.

namespace gannet::gan {

// (n, in, 2s, 2s) -> (n, out, s, s).
at::Tensor Convolve(const at::Tensor& input, const at::Tensor& weight);

// (n, out, s, s) -> (n, in, 2s, 2s): the gradient of Convolve by its input, and the forward pass of
// ConvTranspose2d.
at::Tensor ConvolveTransposed(const at::Tensor& output, const at::Tensor& weight);

// The gradient of Convolve by its weight, given that by its output; of ConvolveTransposed with the
// roles changed.
at::Tensor ConvolutionWeightGradient(const at::Tensor& output_gradient, const at::Tensor& input,
                                     const at::Tensor& weight);

}  // namespace gannet::gan
