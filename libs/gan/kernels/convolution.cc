#include "libs/gan/kernels/convolution.h"

#include <ATen/Dispatch.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>

#include <array>
#include <tuple>

#include "libs/gan/kernels/kernels.h"
#include "libs/gan/kernels/profile.h"

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

StridedShape ShapeOf(int64_t images, int64_t side, const at::Tensor& weight) {
  return {.images = images,
          .side = side,
          .wide_channels = weight.size(1),
          .narrow_channels = weight.size(0)};
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

namespace {

template <typename T>
std::shared_ptr<const ConvolutionWeight::Arranged<T>> Arrange(const at::Tensor& tensor) {
  const int64_t in = tensor.size(1), out = tensor.size(0);
  const T* const values = tensor.data_ptr<T>();
  // Neither can be moved: aggregates are made in place.
  return std::shared_ptr<const ConvolutionWeight::Arranged<T>>(
      new ConvolutionWeight::Arranged<T>{{in, out, values}, {in, out, values}});
}

}  // namespace

ConvolutionWeight::ConvolutionWeight(const at::Tensor& weight) : tensor_(ToNhwc(weight)) {
  if (weight.scalar_type() == at::kDouble) {
    double_ = Arrange<double>(tensor_);
  } else {
    float_ = Arrange<float>(tensor_);
  }
}

template <>
const ConvolutionWeight::Arranged<float>& ConvolutionWeight::arranged<float>() const {
  return *float_;
}

template <>
const ConvolutionWeight::Arranged<double>& ConvolutionWeight::arranged<double>() const {
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
    const auto& arranged = weight.arranged<scalar_t>();
    const scalar_t* const wide = from.data_ptr<scalar_t>();
    scalar_t* const narrow = output.data_ptr<scalar_t>();
    if (WinogradPays<scalar_t>(ShapeOf(images, side, values))) {
      WinogradConvolve(images, side, wide, arranged.winograd, narrow);
    } else {
      StridedConvolve(images, side, wide, arranged.strided, narrow);
    }
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
    const auto& arranged = weight.arranged<scalar_t>();
    const scalar_t* const narrow = from.data_ptr<scalar_t>();
    scalar_t* const wide = input.data_ptr<scalar_t>();
    if (WinogradPays<scalar_t>(ShapeOf(images, side, values))) {
      WinogradConvolveTransposed(images, side, narrow, arranged.winograd, wide);
    } else {
      StridedConvolveTransposed(images, side, narrow, arranged.strided, wide);
    }
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
    const StridedShape shape = ShapeOf(images, side, values);
    const auto compute = WinogradWeightGradientPays<scalar_t>(shape)
                             ? &WinogradWeightGradient<scalar_t>
                             : &StridedWeightGradient<scalar_t>;
    compute(shape, from.data_ptr<scalar_t>(), by.data_ptr<scalar_t>(),
            gradient.data_ptr<scalar_t>());
  });
  return gradient;
}

}  // namespace gannet::gan
