#include "libs/gan/kernels/convolution.h"

#include <ATen/Parallel.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/randn.h>

#include <tuple>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gannet::gan {
namespace {

constexpr double kTolerance = 1e-13;      // of double
constexpr double kFloatTolerance = 3e-6;  // the sums have up to 8320 terms

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

  EXPECT_LE(RelativeDistance(ConvolveTransposed(input, ConvolutionWeight(weight)),
                             StockTransposed(input, weight)),
            kTolerance);
}

TEST(ConvolutionTest, GradientsOfATransposedConvolutionAreThoseOfAConvolutionWithRolesChanged) {
  const at::Tensor input = Random({3, 6, 4, 4}), weight = Random({6, 5, 4, 4});
  const at::Tensor gradient = Random({3, 5, 8, 8});

  const at::Tensor input_gradient = Convolve(gradient, ConvolutionWeight(weight));
  const at::Tensor weight_gradient =
      ConvolutionWeightGradient(input, gradient, ConvolutionWeight(weight));

  const auto [expected_input, expected_weight, none] =
      StockTransposedBackward(gradient, input, weight);
  EXPECT_LE(RelativeDistance(input_gradient, expected_input), kTolerance);
  EXPECT_LE(RelativeDistance(weight_gradient, expected_weight), kTolerance);
}

TEST(ConvolutionTest, TransposedConvolutionToAnImageIsLibTorchsInFloat) {
  const at::Tensor input = Random({3, 21, 8, 8}).to(at::kFloat);
  const at::Tensor weight = Random({21, 3, 4, 4}).to(at::kFloat);

  const at::Tensor expected = StockTransposed(input.to(at::kDouble), weight.to(at::kDouble));
  EXPECT_LE(RelativeDistance(ConvolveTransposed(input, ConvolutionWeight(weight)).to(at::kDouble),
                             expected),
            1e-6);
}

struct Directions {
  at::Tensor output, transposed, weight_gradient;
};

Directions Ours(const at::Tensor& input, const at::Tensor& gradient, const at::Tensor& weight) {
  const ConvolutionWeight shared(weight);
  return {Convolve(input, shared), ConvolveTransposed(gradient, shared),
          ConvolutionWeightGradient(gradient, input, shared)};
}

Directions Stock(const at::Tensor& input, const at::Tensor& gradient, const at::Tensor& weight) {
  const auto [transposed, weight_gradient, none] =
      at::convolution_backward(gradient, input, weight, at::OptionalIntArrayRef(), {2, 2}, {1, 1},
                               {1, 1}, false, {0, 0}, 1, {true, true, false});
  return {at::convolution(input, weight, {}, {2, 2}, {1, 1}, {1, 1}, false, {0, 0}, 1), transposed,
          weight_gradient};
}

void ExpectNear(const Directions& got, const Directions& expected, double tolerance) {
  EXPECT_LE(RelativeDistance(got.output.to(at::kDouble), expected.output), tolerance);
  EXPECT_LE(RelativeDistance(got.transposed.to(at::kDouble), expected.transposed), tolerance);
  EXPECT_LE(RelativeDistance(got.weight_gradient.to(at::kDouble), expected.weight_gradient),
            tolerance);
}

// Tiles and panels have ends: less than a vector of channels, several vectors, no multiple of one;
// fewer pixels than a tile, a block and the pixels of one sum, and more.
TEST(ConvolutionTest, EveryShapeIsLibTorchsInDoubleAndFloat) {
  for (const int64_t width : {1, 5, 12, 16, 40}) {
    for (int64_t side = 32, in = 3, out = width; side >= 2; side /= 2, in = out, out *= 2) {
      for (const int64_t images : {1, 3}) {
        SCOPED_TRACE(testing::Message()
                     << images << " images of " << side << ", " << in << " channels to " << out);
        const at::Tensor input = Random({images, in, side, side});
        const at::Tensor weight = Random({out, in, 4, 4});
        const at::Tensor gradient = Random({images, out, side / 2, side / 2});
        const Directions expected = Stock(input, gradient, weight);

        ExpectNear(Ours(input, gradient, weight), expected, kTolerance);
        ExpectNear(Ours(input.to(at::kFloat), gradient.to(at::kFloat), weight.to(at::kFloat)),
                   expected, kFloatTolerance);
      }
    }
  }
}

TEST(ConvolutionTest, LargeLayerIsLibTorchsInFloat) {
  const at::Tensor input = Random({40, 256, 8, 8}), weight = Random({260, 256, 4, 4});
  const at::Tensor gradient = Random({40, 260, 4, 4});

  ExpectNear(Ours(input.to(at::kFloat), gradient.to(at::kFloat), weight.to(at::kFloat)),
             Stock(input, gradient, weight), kFloatTolerance);
}

TEST(ConvolutionTest, MiddleLayersAreLibTorchsInFloat) {
  for (const int64_t side : {8, 16}) {
    const at::Tensor input = Random({13, 64, 2 * side, 2 * side}), weight = Random({130, 64, 4, 4});
    const at::Tensor gradient = Random({13, 130, side, side});

    ExpectNear(Ours(input.to(at::kFloat), gradient.to(at::kFloat), weight.to(at::kFloat)),
               Stock(input, gradient, weight), kFloatTolerance);
  }
}

// The derivatives are those of what is computed, not only of what LibTorch computes.
TEST(ConvolutionTest, GradientsAreDifferenceQuotients) {
  const at::Tensor input = Random({2, 3, 8, 8}), weight = Random({5, 3, 4, 4});
  const at::Tensor gradient = Random({2, 5, 4, 4});
  const at::Tensor input_step = Random({2, 3, 8, 8}), weight_step = Random({5, 3, 4, 4});
  const auto loss = [&](double at) {
    const at::Tensor output =
        Convolve(input.add(input_step, at), ConvolutionWeight(weight.add(weight_step, at)));
    return output.mul(gradient).sum().item().toDouble();
  };
  const Directions ours = Ours(input, gradient, weight);

  // The loss is a polynomial of the second degree in the step: the central quotient is exact.
  const double expected = ours.transposed.mul(input_step).sum().item().toDouble() +
                          ours.weight_gradient.mul(weight_step).sum().item().toDouble();
  EXPECT_NEAR((loss(0.5) - loss(-0.5)) / expected, 1, 1e-10);
}

TEST(ConvolutionTest, NoThreadCountChangesABit) {
  const at::Tensor input = Random({7, 24, 16, 16}).to(at::kFloat);
  const at::Tensor weight = Random({40, 24, 4, 4}).to(at::kFloat);
  const at::Tensor gradient = Random({7, 40, 8, 8}).to(at::kFloat);
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const Directions alone = Ours(input, gradient, weight);
  at::set_num_threads(3);
  const Directions together = Ours(input, gradient, weight);
  at::set_num_threads(threads);

  EXPECT_TRUE(together.output.equal(alone.output));
  EXPECT_TRUE(together.transposed.equal(alone.transposed));
  EXPECT_TRUE(together.weight_gradient.equal(alone.weight_gradient));
}

TEST(ConvolutionTest, ResultsAreInChannelsLastOrder) {
  const at::Tensor input = Random({2, 3, 8, 8}), weight = Random({4, 3, 4, 4});

  const Directions ours = Ours(input, Random({2, 4, 4, 4}), weight);

  EXPECT_TRUE(ours.output.is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(ours.transposed.is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(ours.weight_gradient.is_contiguous(at::MemoryFormat::ChannelsLast));
}

}  // namespace
}  // namespace gannet::gan
