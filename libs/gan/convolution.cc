#include "libs/gan/convolution.h"

#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>

#include <array>
#include <tuple>

namespace gannet::gan {
namespace {

at::Tensor ToNhwc(const at::Tensor& tensor) {
  return tensor.contiguous(at::MemoryFormat::ChannelsLast);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> ConvolveBackward(const at::Tensor& output_gradient,
                                                                const at::Tensor& input,
                                                                const at::Tensor& weight,
                                                                std::array<bool, 3> mask) {
  return at::convolution_backward(output_gradient, input, weight, at::OptionalIntArrayRef(), {2, 2},
                                  {1, 1}, {1, 1}, false, {0, 0}, 1, mask);
}

}  // namespace

at::Tensor Convolve(const at::Tensor& input, const at::Tensor& weight) {
  return ToNhwc(at::convolution(input, weight, {}, {2, 2}, {1, 1}, {1, 1}, false, {0, 0}, 1));
}

// LibTorch 1.13 has no fast kernel for a transposed convolution; oneDNN has one for the gradient
// that it is.
at::Tensor ConvolveTransposed(const at::Tensor& output, const at::Tensor& weight) {
  // Only shape and order of the input matter for its gradient: this memory is never touched.
  const at::Tensor input =
      at::empty({output.size(0), weight.size(1), 2 * output.size(2), 2 * output.size(3)},
                output.options().memory_format(at::MemoryFormat::ChannelsLast));
  return ToNhwc(std::get<0>(ConvolveBackward(output, input, weight, {true, false, false})));
}

at::Tensor ConvolutionWeightGradient(const at::Tensor& output_gradient, const at::Tensor& input,
                                     const at::Tensor& weight) {
  return std::get<1>(ConvolveBackward(output_gradient, input, weight, {false, true, false}));
}

}  // namespace gannet::gan
