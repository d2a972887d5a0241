#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "libs/gan/kernels/strided_convolution.h"
#include "libs/gan/kernels/winograd_convolution.h"

// The strided convolutions of both networks: kernel 4, stride 2, padding 1, no bias. Tensors in
// channels-last order; the results are too. Weights are (out, in, 4, 4) of the convolution, which
// is (in, out, 4, 4) of the transposed one.

namespace gannet::gan {

// A weight with what the products need of it, arranged once for all micro-batches of a unit. Copies
// share it. Float or double.
//
// Thread safety: const methods may be called from any thread.
class ConvolutionWeight {
 public:
  ConvolutionWeight() = default;
  explicit ConvolutionWeight(const at::Tensor& weight);

  // In channels-last order.
  const at::Tensor& tensor() const { return tensor_; }

  // What each way of computing needs, arranged when it is used first.
  template <typename T>
  struct Arranged {
    StridedWeight<T> strided;
    WinogradWeight<T> winograd;
  };
  template <typename T>
  const Arranged<T>& arranged() const;

 private:
  at::Tensor tensor_;
  std::shared_ptr<const Arranged<float>> float_;  // one of the two
  std::shared_ptr<const Arranged<double>> double_;
};

// (n, in, 2s, 2s) -> (n, out, s, s).
at::Tensor Convolve(const at::Tensor& input, const ConvolutionWeight& weight);

// (n, out, s, s) -> (n, in, 2s, 2s): the gradient of Convolve by its input, and the forward pass of
// ConvTranspose2d.
at::Tensor ConvolveTransposed(const at::Tensor& output, const ConvolutionWeight& weight);

// The gradient of Convolve by its weight, given that by its output; of ConvolveTransposed with the
// roles changed.
at::Tensor ConvolutionWeightGradient(const at::Tensor& output_gradient, const at::Tensor& input,
                                     const ConvolutionWeight& weight);

}  // namespace gannet::gan
