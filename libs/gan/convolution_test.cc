#include "libs/gan/convolution.h"

#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/randn.h>

#include <tuple>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gannet::gan {
namespace {

constexpr double kTolerance = 1e-13;      // of double
constexpr double kFloatTolerance = 2e-6;  // the sums have up to 1024 terms

at::Tensor Random(at::IntArrayRef shape) {
  return at::randn(shape, at::kDouble).contiguous(at::MemoryFormat::ChannelsLast);
}

double RelativeDistance(const at::Tensor& got, const at::Tensor& expected) {
  return got.sub(expected).norm().item().toDouble() / expected.norm().item().toDouble();
}

// LibTorch's own transposed convolution and its gradients by input and weight.
at::Tensor StockTransposed(const at::Tensor& input, const at::Tensor& weight) {
  return at::convolution(input, weight, {}, {2, 2}, {1, 1}, {1, 1}, true, {0, 0}, 1);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> StockTransposedBackward(const at::Tensor& gradient,
                                                                       const at::Tensor& input,
                                                                       const at::Tensor& weight) {
  return at::convolution_backward(gradient, input, weight, at::OptionalIntArrayRef(), {2, 2},
                                  {1, 1}, {1, 1}, true, {0, 0}, 1, {true, true, false});
}

TEST(ConvolutionTest, ForwardOfATransposedConvolutionIsTheInputGradientOfAConvolution) {
  const at::Tensor input = Random({3, 6, 4, 4}), weight = Random({6, 5, 4, 4});

  EXPECT_LE(RelativeDistance(ConvolveTransposed(input, weight), StockTransposed(input, weight)),
            kTolerance);
}

TEST(ConvolutionTest, GradientsOfATransposedConvolutionAreThoseOfAConvolutionWithRolesChanged) {
  const at::Tensor input = Random({3, 6, 4, 4}), weight = Random({6, 5, 4, 4});
  const at::Tensor gradient = Random({3, 5, 8, 8});

  const at::Tensor input_gradient = Convolve(gradient, weight);
  const at::Tensor weight_gradient = ConvolutionWeightGradient(input, gradient, weight);

  const auto [expected_input, expected_weight, none] =
      StockTransposedBackward(gradient, input, weight);
  EXPECT_LE(RelativeDistance(input_gradient, expected_input), kTolerance);
  EXPECT_LE(RelativeDistance(weight_gradient, expected_weight), kTolerance);
}

TEST(ConvolutionTest, TransposedConvolutionToAnImageIsLibTorchsInFloat) {
  const at::Tensor input = Random({3, 21, 8, 8}).to(at::kFloat);
  const at::Tensor weight = Random({21, 3, 4, 4}).to(at::kFloat);

  const at::Tensor expected = StockTransposed(input.to(at::kDouble), weight.to(at::kDouble));
  EXPECT_LE(RelativeDistance(ConvolveTransposed(input, weight).to(at::kDouble), expected), 1e-6);
}

// oneDNN computes in float only. Its kernels differ with the number of channels: less than a
// vector, several vectors, and no multiple of one, where some of them have been wrong.
TEST(ConvolutionTest, FloatIsDoubleRoundedAtAnyNumberOfChannels) {
  for (const int64_t width : {1, 5, 12, 16, 40}) {
    for (int64_t side = 32, in = 3, out = width; side >= 8; side /= 2, in = out, out *= 2) {
      const at::Tensor input = Random({2, in, side, side}), weight = Random({out, in, 4, 4});
      const at::Tensor gradient = Random({2, out, side / 2, side / 2});
      const at::Tensor input_float = input.to(at::kFloat), weight_float = weight.to(at::kFloat);
      const at::Tensor gradient_float = gradient.to(at::kFloat);

      const at::Tensor output = Convolve(input_float, weight_float);
      const at::Tensor transposed = ConvolveTransposed(gradient_float, weight_float);
      const at::Tensor weight_gradient =
          ConvolutionWeightGradient(gradient_float, input_float, weight_float);

      EXPECT_LE(RelativeDistance(output.to(at::kDouble), Convolve(input, weight)), kFloatTolerance)
          << in << " to " << out;
      EXPECT_LE(RelativeDistance(transposed.to(at::kDouble), ConvolveTransposed(gradient, weight)),
                kFloatTolerance)
          << out << " to " << in;
      EXPECT_LE(RelativeDistance(weight_gradient.to(at::kDouble),
                                 ConvolutionWeightGradient(gradient, input, weight)),
                kFloatTolerance)
          << in << " to " << out;
    }
  }
}

TEST(ConvolutionTest, LargeConvolutionToFourPixelsIsLibTorchsInFloat) {
  const at::Tensor input = Random({3, 256, 8, 8}), weight = Random({256, 256, 4, 4});

  const at::Tensor output = Convolve(input.to(at::kFloat), weight.to(at::kFloat));

  EXPECT_LE(RelativeDistance(output.to(at::kDouble), Convolve(input, weight)), 1e-6);
  EXPECT_TRUE(output.is_contiguous(at::MemoryFormat::ChannelsLast));
}

TEST(ConvolutionTest, ResultsAreInChannelsLastOrder) {
  const at::Tensor input = Random({2, 3, 8, 8}), weight = Random({4, 3, 4, 4});

  const at::Tensor output = Convolve(input, weight);

  EXPECT_TRUE(output.is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(ConvolveTransposed(output, weight).is_contiguous(at::MemoryFormat::ChannelsLast));
}

}  // namespace
}  // namespace gannet::gan
