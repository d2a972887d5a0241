#include "libs/gan/convolution.h"

#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>

#include <array>
#include <tuple>

#include "libs/gan/kernels.h"

namespace gannet::gan {
namespace {

at::Tensor ToNhwc(const at::Tensor& tensor) {
  return tensor.contiguous(at::MemoryFormat::ChannelsLast);
}

// Of the shape that Convolve turns into that of `output`.
at::Tensor EmptyNhwc(const at::Tensor& output, int64_t channels) {
  return at::empty({output.size(0), channels, 2 * output.size(2), 2 * output.size(3)},
                   output.options().memory_format(at::MemoryFormat::ChannelsLast));
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> ConvolveBackward(const at::Tensor& output_gradient,
                                                                const at::Tensor& input,
                                                                const at::Tensor& weight,
                                                                std::array<bool, 3> mask) {
  return at::convolution_backward(output_gradient, input, weight, at::OptionalIntArrayRef(), {2, 2},
                                  {1, 1}, {1, 1}, false, {0, 0}, 1, mask);
}

// oneDNN's gradient kernel pads the channels of an image to a vector and is six times slower there
// than a matrix product.
constexpr int64_t kFewChannels = 4;

// As a matrix product of every pixel with the whole kernel, then the sum of what falls on the same
// pixel.
at::Tensor ConvolveTransposedToFewChannels(const at::Tensor& output, const at::Tensor& weight) {
  const int64_t out = weight.size(0), in = weight.size(1), side = output.size(2);
  const at::Tensor taps_of = weight.permute({2, 3, 1, 0}).reshape({16 * in, out, 1, 1});
  const at::Tensor taps =
      ToNhwc(at::convolution(output, taps_of, {}, {1, 1}, {0, 0}, {1, 1}, false, {0, 0}, 1));
  at::Tensor result = EmptyNhwc(output, in);
  AddTaps(taps.data_ptr<float>(), result.data_ptr<float>(), output.size(0), side, in);
  return result;
}

// oneDNN's forward kernel keeps a row of output pixels in registers: with four of them it is half
// as fast as a matrix product, once the weight is too large for the second-level cache.
bool IsBetterAsProduct(const at::Tensor& input, const at::Tensor& weight) {
  return input.size(2) == 8 && weight.numel() >= 1 << 20 && input.scalar_type() == at::kFloat;
}

at::Tensor ConvolveAsProduct(const at::Tensor& input, const at::Tensor& weight) {
  const int64_t count = input.size(0), in = input.size(1), out = weight.size(0);
  const int64_t side = input.size(2) / 2;
  // All pixels of the batch as one image: then a row of output pixels is long.
  const at::Tensor patches =
      at::empty({1, 16 * in, count * side, side},
                input.options().memory_format(at::MemoryFormat::ChannelsLast));
  GatherPatches(input.data_ptr<float>(), patches.data_ptr<float>(), count, side, in);
  const at::Tensor matrix = weight.permute({0, 2, 3, 1}).reshape({out, 16 * in, 1, 1});
  const at::Tensor output =
      ToNhwc(at::convolution(patches, matrix, {}, {1, 1}, {0, 0}, {1, 1}, false, {0, 0}, 1));
  return output.permute({0, 2, 3, 1}).view({count, side, side, out}).permute({0, 3, 1, 2});
}

}  // namespace

at::Tensor Convolve(const at::Tensor& input, const at::Tensor& weight) {
  if (IsBetterAsProduct(input, weight)) return ConvolveAsProduct(input, weight);
  return ToNhwc(at::convolution(input, weight, {}, {2, 2}, {1, 1}, {1, 1}, false, {0, 0}, 1));
}

// LibTorch 1.13 has no fast kernel for a transposed convolution; oneDNN has one for the gradient
// that it is.
at::Tensor ConvolveTransposed(const at::Tensor& output, const at::Tensor& weight) {
  if (weight.size(1) <= kFewChannels && output.scalar_type() == at::kFloat) {
    return ConvolveTransposedToFewChannels(output, weight);
  }
  // Only shape and order of the input matter for its gradient: this memory is never touched.
  const at::Tensor input = EmptyNhwc(output, weight.size(1));
  return ToNhwc(std::get<0>(ConvolveBackward(output, input, weight, {true, false, false})));
}

at::Tensor ConvolutionWeightGradient(const at::Tensor& output_gradient, const at::Tensor& input,
                                     const at::Tensor& weight) {
  return std::get<1>(ConvolveBackward(output_gradient, input, weight, {false, true, false}));
}

}  // namespace gannet::gan
