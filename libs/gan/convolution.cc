#include "libs/gan/convolution.h"

#include <ATen/Dispatch.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>

#include <array>
#include <tuple>

#include "libs/gan/kernels.h"
#include "libs/gan/profile.h"

namespace gannet::gan {
namespace {

at::Tensor ToNhwc(const at::Tensor& tensor) {
  return tensor.contiguous(at::MemoryFormat::ChannelsLast);
}

// With the type of `like`.
at::Tensor EmptyNhwc(const at::Tensor& like, int64_t count, int64_t channels, int64_t side) {
  return at::empty({count, channels, side, side},
                   like.options().memory_format(at::MemoryFormat::ChannelsLast));
}

// LibTorch's own.
std::tuple<at::Tensor, at::Tensor, at::Tensor> ConvolveBackward(const at::Tensor& output_gradient,
                                                                const at::Tensor& input,
                                                                const at::Tensor& weight,
                                                                std::array<bool, 3> mask) {
  return at::convolution_backward(output_gradient, input, weight, at::OptionalIntArrayRef(), {2, 2},
                                  {1, 1}, {1, 1}, false, {0, 0}, 1, mask);
}

// Images have too few channels to fill a vector. oneDNN has kernels for these, but for the gradient
// by its input, where a matrix product is six times faster.
constexpr int64_t kFewChannels = 4;

// As a matrix product of every pixel with the whole kernel, then the sum of what falls on the same
// pixel.
at::Tensor ConvolveTransposedToFewChannels(const at::Tensor& output, const at::Tensor& weight) {
  const int64_t out = weight.size(0), in = weight.size(1), side = output.size(2);
  const at::Tensor taps_of = weight.permute({2, 3, 1, 0}).reshape({16 * in, out, 1, 1});
  const at::Tensor taps =
      ToNhwc(at::convolution(output, taps_of, {}, {1, 1}, {0, 0}, {1, 1}, false, {0, 0}, 1));
  at::Tensor result = EmptyNhwc(output, output.size(0), in, 2 * side);
  AddTaps(taps.data_ptr<float>(), result.data_ptr<float>(), output.size(0), side, in);
  return result;
}

bool IsFewChannels(const at::Tensor& weight) {
  return weight.size(1) <= kFewChannels && weight.scalar_type() == at::kFloat;
}

// Of a convolution of `images` to `side` x `side` pixels, in each of its three directions.
ProfileScope Profiled(const char* what, int64_t images, int64_t side, const at::Tensor& weight) {
  return ProfileScope(
      what,
      {.images = images,
       .side = side,
       .channels_in = weight.size(1),
       .channels_out = weight.size(0)},
      2.0 * static_cast<double>(images * side * side) * static_cast<double>(weight.numel()));
}

}  // namespace

ConvolutionWeight::ConvolutionWeight(const at::Tensor& weight) : tensor_(ToNhwc(weight)) {
  const int64_t in = weight.size(1), out = weight.size(0);
  if (weight.scalar_type() == at::kDouble) {
    double_ = std::make_shared<StridedWeight<double>>(in, out, tensor_.data_ptr<double>());
  } else {
    float_ = std::make_shared<StridedWeight<float>>(in, out, tensor_.data_ptr<float>());
  }
}

template <>
const StridedWeight<float>& ConvolutionWeight::strided<float>() const {
  return *float_;
}

template <>
const StridedWeight<double>& ConvolutionWeight::strided<double>() const {
  return *double_;
}

at::Tensor Convolve(const at::Tensor& input, const ConvolutionWeight& weight) {
  const int64_t images = input.size(0), side = input.size(2) / 2;
  const at::Tensor& values = weight.tensor();
  const ProfileScope scope = Profiled("convolve", images, side, values);
  if (IsFewChannels(values)) {
    return ToNhwc(at::convolution(input, values, {}, {2, 2}, {1, 1}, {1, 1}, false, {0, 0}, 1));
  }
  const at::Tensor from = ToNhwc(input);
  at::Tensor output = EmptyNhwc(input, images, values.size(0), side);
  AT_DISPATCH_FLOATING_TYPES(input.scalar_type(), "Convolve", [&] {
    StridedConvolve(images, side, from.data_ptr<scalar_t>(), weight.strided<scalar_t>(),
                    output.data_ptr<scalar_t>());
  });
  return output;
}

at::Tensor ConvolveTransposed(const at::Tensor& output, const ConvolutionWeight& weight) {
  const int64_t images = output.size(0), side = output.size(2);
  const at::Tensor& values = weight.tensor();
  const ProfileScope scope = Profiled("transposed", images, side, values);
  if (IsFewChannels(values)) return ConvolveTransposedToFewChannels(output, values);
  const at::Tensor from = ToNhwc(output);
  at::Tensor input = EmptyNhwc(output, images, values.size(1), 2 * side);
  AT_DISPATCH_FLOATING_TYPES(output.scalar_type(), "ConvolveTransposed", [&] {
    StridedConvolveTransposed(images, side, from.data_ptr<scalar_t>(), weight.strided<scalar_t>(),
                              input.data_ptr<scalar_t>());
  });
  return input;
}

at::Tensor ConvolutionWeightGradient(const at::Tensor& output_gradient, const at::Tensor& input,
                                     const ConvolutionWeight& weight) {
  const int64_t images = input.size(0), side = output_gradient.size(2);
  const at::Tensor& values = weight.tensor();
  const ProfileScope scope = Profiled("weight gradient", images, side, values);
  if (IsFewChannels(values)) {
    return std::get<1>(ConvolveBackward(output_gradient, input, values, {false, true, false}));
  }
  const at::Tensor from = ToNhwc(output_gradient), by = ToNhwc(input);
  at::Tensor gradient = EmptyNhwc(values, values.size(0), values.size(1), values.size(2));
  AT_DISPATCH_FLOATING_TYPES(input.scalar_type(), "ConvolutionWeightGradient", [&] {
    StridedWeightGradient<scalar_t>({.images = images,
                                     .side = side,
                                     .wide_channels = values.size(1),
                                     .narrow_channels = values.size(0)},
                                    from.data_ptr<scalar_t>(), by.data_ptr<scalar_t>(),
                                    gradient.data_ptr<scalar_t>());
  });
  return gradient;
}

}  // namespace gannet::gan
