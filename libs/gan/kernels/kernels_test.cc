#include "libs/gan/kernels/kernels.h"

#include <omp.h>

#include <cmath>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/philox.h"

namespace gannet::gan {
namespace {

constexpr double kEpsilon = 1e-5;

std::vector<float> Normal(int64_t count, uint64_t stream, float mean = 0) {
  std::vector<float> values(static_cast<size_t>(count));
  base::PhiloxStream random(1, base::RandomPurpose::kNoise, stream, 0);
  base::FillNormal(random, absl::MakeSpan(values));
  for (float& value : values) value += mean;
  return values;
}

struct Batch {
  int64_t rows, channels;
  std::vector<float> x, mean, inverse_std, variance, gamma, beta;

  Batch(int64_t row_count, int64_t channel_count, float x_mean)
      : rows(row_count),
        channels(channel_count),
        x(Normal(rows * channels, 1, x_mean)),
        mean(static_cast<size_t>(channels)),
        inverse_std(mean.size()),
        variance(mean.size()),
        gamma(Normal(channels, 2, 1)),
        beta(Normal(channels, 3)) {
    BatchStatistics(x.data(), rows, channels, kEpsilon, mean.data(), inverse_std.data(),
                    variance.data());
  }

  NormalizedActivation Layer(float slope) const {
    return {.channels = channels,
            .mean = mean.data(),
            .inverse_std = inverse_std.data(),
            .gamma = gamma.data(),
            .beta = beta.data(),
            .slope = slope};
  }
};

struct Shape {
  int64_t rows, channels;
};

// Less than a block, several blocks with a remainder, more channels than a block has floats / 8, no
// multiple of a vector.
class KernelsTest : public ::testing::TestWithParam<Shape> {};

INSTANTIATE_TEST_SUITE_P(Shapes, KernelsTest,
                         ::testing::Values(Shape{2, 1}, Shape{16, 512}, Shape{1000, 37},
                                           Shape{4099, 64}, Shape{19, 2048}));

TEST_P(KernelsTest, StatisticsAreThoseOfDouble) {
  const auto [rows, channels] = GetParam();
  const Batch batch(rows, channels, /*x_mean=*/30);

  for (int64_t c = 0; c < channels; ++c) {
    double sum = 0, squares = 0;
    for (int64_t r = 0; r < rows; ++r) sum += batch.x[static_cast<size_t>(r * channels + c)];
    const double mean = sum / static_cast<double>(rows);
    for (int64_t r = 0; r < rows; ++r) {
      squares += std::pow(batch.x[static_cast<size_t>(r * channels + c)] - mean, 2);
    }
    const size_t i = static_cast<size_t>(c);
    ASSERT_NEAR(batch.mean[i], mean, 3e-6 * 30);
    ASSERT_NEAR(batch.variance[i] * static_cast<double>(rows - 1), squares, 1e-5 * squares + 1e-9);
    ASSERT_NEAR(batch.inverse_std[i] * std::sqrt(squares / static_cast<double>(rows) + kEpsilon), 1,
                1e-5);
  }
}

TEST_P(KernelsTest, ForwardIsBatchNormThenActivation) {
  const auto [rows, channels] = GetParam();
  const Batch batch(rows, channels, 0);
  std::vector<float> y(batch.x.size());

  NormalizeActivate(batch.Layer(0.2f), batch.x.data(), y.data(), rows);

  for (size_t i = 0; i < y.size(); ++i) {
    const size_t c = i % batch.gamma.size();
    const double normal = (static_cast<double>(batch.x[i]) - batch.mean[c]) * batch.inverse_std[c];
    const double value = normal * batch.gamma[c] + batch.beta[c];
    ASSERT_NEAR(y[i], value > 0 ? value : 0.2 * value, 1e-5);
  }
}

TEST_P(KernelsTest, BackwardIsTheDerivativeThroughTheBatchStatistics) {
  const auto [rows, channels] = GetParam();
  const Batch batch(rows, channels, 0);
  const std::vector<float> upstream = Normal(rows * channels, 4);
  std::vector<float> gradient = upstream;
  std::vector<double> gamma_gradient(batch.gamma.size(), 1), beta_gradient(batch.gamma.size(), 2);

  NormalizeActivateBackward(batch.Layer(0.2f), batch.x.data(), gradient.data(), rows,
                            gamma_gradient.data(), beta_gradient.data());

  for (size_t c = 0; c < batch.gamma.size(); ++c) {
    const double n = static_cast<double>(rows), inverse = batch.inverse_std[c];
    double sum = 0, product = 0;
    const auto each = [&](const auto& body) {
      for (size_t i = c; i < gradient.size(); i += batch.gamma.size()) {
        const double normal = (static_cast<double>(batch.x[i]) - batch.mean[c]) * inverse;
        const double value = normal * batch.gamma[c] + batch.beta[c];
        body(i, normal, value > 0 ? upstream[i] : 0.2 * upstream[i]);
      }
    };
    each([&](size_t, double normal, double g) {
      sum += g;
      product += g * normal;
    });
    each([&](size_t i, double normal, double g) {
      const double expected = batch.gamma[c] * inverse * (g - sum / n - normal * product / n);
      // Two rows make the exact answer zero by cancellation of terms as large as inverse_std.
      ASSERT_NEAR(gradient[i], expected, 2e-5 * (1 + inverse * std::abs(g)));
    });
    // They are added to what was there.
    ASSERT_NEAR(beta_gradient[c], 2 + sum, 1e-4 * std::sqrt(n));
    ASSERT_NEAR(gamma_gradient[c], 1 + product, 1e-4 * std::sqrt(n));
  }
}

TEST_P(KernelsTest, ThreadsDoNotChangeABit) {
  const auto [rows, channels] = GetParam();
  const auto run = [&, rows = rows, channels = channels](int threads) {
    omp_set_num_threads(threads);
    const Batch batch(rows, channels, 1);
    std::vector<float> all = Normal(rows * channels, 4);
    std::vector<double> gamma(batch.gamma.size()), beta(batch.gamma.size());
    NormalizeActivateBackward(batch.Layer(0), batch.x.data(), all.data(), rows, gamma.data(),
                              beta.data());
    for (size_t c = 0; c < gamma.size(); ++c) {
      all.insert(all.end(), {batch.mean[c], batch.inverse_std[c], batch.variance[c],
                             static_cast<float>(gamma[c]), static_cast<float>(beta[c])});
    }
    return all;
  };

  EXPECT_EQ(run(1), run(3));
}

TEST(KernelsOfImagesTest, InterleavingAndBackIsTheIdentity) {
  const std::vector<float> planar = Normal(3 * 64, 5);
  std::vector<float> interleaved(planar.size()), back(planar.size());

  PlanarToInterleaved(planar.data(), interleaved.data(), 3, 64);
  InterleavedToPlanar(interleaved.data(), back.data(), 3, 64);

  EXPECT_EQ(back, planar);
  EXPECT_EQ(interleaved[1], planar[64]);
}

TEST(KernelsOfActivationsTest, LeakyReluAndItsDerivative) {
  std::vector<float> x = {-2, -0.0f, 0, 3};
  LeakyRelu(x.data(), 4, 0.5f);
  std::vector<float> gradient = {1, 1, 1, 1};
  LeakyReluBackward(x.data(), gradient.data(), 4, 0.5f);

  EXPECT_THAT(x, ::testing::ElementsAre(-1, 0, 0, 3));
  EXPECT_THAT(gradient, ::testing::ElementsAre(0.5, 0.5, 0.5, 1));
}

TEST(KernelsOfActivationsTest, DerivativeOfTanh) {
  const std::vector<float> y = {0, 0.5f, -1};
  std::vector<float> gradient = {2, 2, 2};

  TanhBackward(y.data(), gradient.data(), 3);

  EXPECT_THAT(gradient, ::testing::ElementsAre(2, 1.5, 0));
}

}  // namespace
}  // namespace gannet::gan
