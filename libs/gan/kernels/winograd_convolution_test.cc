#include "libs/gan/kernels/winograd_convolution.h"

#include <omp.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/gan/kernels/strided_convolution.h"
#include "libs/gan/kernels/tile_product.h"

namespace gannet::gan {
namespace {

template <typename T>
std::vector<T> Random(int64_t count) {
  static std::mt19937 engine(1);
  std::normal_distribution<T> normal;
  std::vector<T> values(static_cast<size_t>(count));
  for (T& value : values) value = normal(engine);
  return values;
}

template <typename T>
double RelativeDistance(const std::vector<T>& got, const std::vector<T>& expected) {
  double distance = 0, norm = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double difference = static_cast<double>(got[i]) - static_cast<double>(expected[i]);
    distance += difference * difference;
    norm += static_cast<double>(expected[i]) * static_cast<double>(expected[i]);
  }
  return std::sqrt(distance / norm);
}

template <typename T>
struct Directions {
  std::vector<T> narrow, wide, weight;
};

template <typename T>
struct Operands {
  explicit Operands(const StridedShape& s)
      : shape(s),
        wide(Random<T>(s.images * 4 * s.side * s.side * s.wide_channels)),
        narrow(Random<T>(s.images * s.side * s.side * s.narrow_channels)),
        weight(Random<T>(s.narrow_channels * 16 * s.wide_channels)) {}

  // Those of others, exactly.
  template <typename Other>
  explicit Operands(const Operands<Other>& o)
      : shape(o.shape),
        wide(o.wide.begin(), o.wide.end()),
        narrow(o.narrow.begin(), o.narrow.end()),
        weight(o.weight.begin(), o.weight.end()) {}

  Directions<T> Plain() const {
    const StridedWeight<T> w(shape.wide_channels, shape.narrow_channels, weight.data());
    return Compute(w, StridedConvolve<T>, StridedConvolveTransposed<T>, StridedWeightGradient<T>);
  }

  Directions<T> Winograd() const {
    const WinogradWeight<T> w(shape.wide_channels, shape.narrow_channels, weight.data());
    return Compute(w, WinogradConvolve<T>, WinogradConvolveTransposed<T>,
                   WinogradWeightGradient<T>);
  }

  template <typename Weight, typename Convolve, typename Gradient>
  Directions<T> Compute(const Weight& w, const Convolve& convolve, const Convolve& transposed,
                        const Gradient& gradient) const {
    // Where nothing is written.
    const T nan = std::numeric_limits<T>::quiet_NaN();
    Directions<T> results = {std::vector<T>(narrow.size(), nan), std::vector<T>(wide.size(), nan),
                             std::vector<T>(weight.size(), nan)};
    convolve(shape.images, shape.side, wide.data(), w, results.narrow.data());
    transposed(shape.images, shape.side, narrow.data(), w, results.wide.data());
    gradient(shape, narrow.data(), wide.data(), results.weight.data());
    return results;
  }

  const StridedShape shape;
  const std::vector<T> wide, narrow, weight;
};

// One tile, one block, several and parts of them; channels that fill panels and row tiles, and that
// do not.
template <typename T>
void ExpectPlainProducts(double tolerance) {
  const int64_t panel = GetTileKernels<T>().columns;
  for (const int64_t side : {2, 4, 6, 16}) {
    for (const int64_t images : {1, 3, 37}) {
      if (side == 16 && images == 3) continue;  // of several blocks 37 is enough
      for (const int64_t wide_panels : {1, 3}) {
        for (const int64_t narrow_channels : {1, 24, 41}) {
          const Operands<T> operands({.images = images,
                                      .side = side,
                                      .wide_channels = wide_panels * panel,
                                      .narrow_channels = narrow_channels});
          SCOPED_TRACE(testing::Message()
                       << images << " images of " << side << " x " << side << ", "
                       << operands.shape.wide_channels << " channels to " << narrow_channels);
          const Directions<T> got = operands.Winograd(), expected = operands.Plain();
          EXPECT_LE(RelativeDistance(got.narrow, expected.narrow), tolerance);
          EXPECT_LE(RelativeDistance(got.wide, expected.wide), tolerance);
          EXPECT_LE(RelativeDistance(got.weight, expected.weight), tolerance);
        }
      }
    }
  }
}

TEST(WinogradConvolutionTest, IsThePlainProductsInDouble) { ExpectPlainProducts<double>(1e-14); }

TEST(WinogradConvolutionTest, IsThePlainProductsInFloat) { ExpectPlainProducts<float>(3e-6); }

// At training's own depth the sums are as near to those in double as the plain products' are.
TEST(WinogradConvolutionTest, FloatIsAsExactAsThePlainProducts) {
  const Operands<float> operands(
      {.images = 8, .side = 8, .wide_channels = 128, .narrow_channels = 256});
  const Directions<double> exact = Operands<double>(operands).Plain();
  const Directions<float> got = operands.Winograd(), plain = operands.Plain();

  const auto widen = [](const std::vector<float>& values) {
    return std::vector<double>(values.begin(), values.end());
  };
  const auto expect_as_exact = [&](const std::vector<float>& ours, const std::vector<float>& theirs,
                                   const std::vector<double>& expected) {
    EXPECT_LE(RelativeDistance(widen(ours), expected),
              4 * RelativeDistance(widen(theirs), expected));
  };
  expect_as_exact(got.narrow, plain.narrow, exact.narrow);
  expect_as_exact(got.wide, plain.wide, exact.wide);
  expect_as_exact(got.weight, plain.weight, exact.weight);
}

TEST(WinogradConvolutionTest, NoThreadCountChangesABit) {
  const Operands<float> operands(
      {.images = 19, .side = 16, .wide_channels = 64, .narrow_channels = 40});
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  const Directions<float> alone = operands.Winograd();
  omp_set_num_threads(3);
  const Directions<float> together = operands.Winograd();
  omp_set_num_threads(threads);

  EXPECT_EQ(together.narrow, alone.narrow);
  EXPECT_EQ(together.wide, alone.wide);
  EXPECT_EQ(together.weight, alone.weight);
}

// The layers of the default networks, but for those next to an image and at 4 x 4 pixels.
TEST(WinogradConvolutionTest, PaysForTheMiddleLayers) {
  EXPECT_TRUE(WinogradPays<float>({32, 16, 64, 128}));
  EXPECT_TRUE(WinogradPays<float>({32, 8, 128, 256}));
  EXPECT_FALSE(WinogradPays<float>({32, 4, 256, 512}));
  EXPECT_TRUE(WinogradWeightGradientPays<float>({32, 4, 256, 512}));
  EXPECT_FALSE(WinogradPays<float>({32, 32, 3, 64}));
  EXPECT_FALSE(WinogradPays<float>({32, 9, 64, 128}));
  EXPECT_FALSE(WinogradWeightGradientPays<float>({32, 5, 64, 128}));
}

}  // namespace
}  // namespace gannet::gan
