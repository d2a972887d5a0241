#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/philox.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/domain/model_layout.h"
#include "libs/gan/gan.h"
#include "libs/gan/kernels/kernels.h"
#include "libs/gan/testing/reference_training.h"

namespace gannet::gan {
namespace {

using ::testing::HasSubstr;

const domain::ModelConfig kModel{.image_size = 32, .latent_dim = 20, .base_width = 8};

// A gradient of the size that training gives, some values zero.
tensor::TensorBundle MakeGradient(double factor = 1) {
  tensor::TensorBundle gradient;
  uint64_t index = 0;
  for (const tensor::TensorSpec& spec : domain::GradientSpec(kModel)) {
    tensor::Tensor tensor = tensor::Tensor::Zeros(spec);
    base::PhiloxStream stream(4, base::RandomPurpose::kNoise, index++, 0);
    base::FillNormal(stream, tensor.mutable_f32());
    for (float& value : tensor.mutable_f32()) value = static_cast<float>(0.01 * value * factor);
    tensor.mutable_f32()[0] = 0;
    gradient.Add(std::move(tensor));
  }
  return gradient;
}

void ExpectLibTorchsAdam(const domain::AdamConfig& adam) {
  const tensor::TensorBundle start = InitialWeights(kModel, 1);
  tensor::TensorBundle weights = start;
  tensor::TensorBundle state = InitialAdamState(kModel, domain::AdamConfig{}, weights);
  const int steps = 5;

  for (int step = 1; step <= steps; ++step) {
    tensor::TensorBundle gradient = MakeGradient();
    for (tensor::Tensor& tensor : gradient.mutable_tensors()) {
      for (float& value : tensor.mutable_f32()) value /= static_cast<float>(step);
    }
    ASSERT_OK(ApplyRound(kModel, adam, gradient, 3, weights, state));
  }

  const tensor::TensorBundle expected = ReferenceAdam(kModel, adam, start, MakeGradient(), steps);
  for (const tensor::TensorSpec& spec : domain::ParameterSpec(kModel)) {
    const auto before = start.Find(spec.name)->f32();
    const auto got = weights.Find(spec.name)->f32();
    const auto want = expected.Find(spec.name)->f32();
    double squares = 0, moved = 0;
    for (size_t i = 0; i < want.size(); ++i) {
      squares += std::pow(static_cast<double>(got[i]) - want[i], 2);
      moved += std::pow(static_cast<double>(want[i]) - before[i], 2);
    }
    double norm = 0;
    for (const float value : want) norm += static_cast<double>(value) * value;
    EXPECT_GT(moved, 0) << spec.name;
    EXPECT_LE(std::sqrt(squares / norm), 1e-6) << spec.name;
  }
  EXPECT_EQ(state.Find("step")->i64_scalar(), steps);
}

TEST(ApplyRoundTest, AdamIsLibTorchsOverSeveralSteps) {
  ExpectLibTorchsAdam({.learning_rate = 2e-3, .beta1 = 0.5, .beta2 = 0.999, .epsilon = 1e-8});
}

TEST(ApplyRoundTest, NetworksWithRatesOfTheirOwnHaveAnAdamOfLibTorchEach) {
  ExpectLibTorchsAdam({.learning_rate = 2e-3, .learning_rate_generator = 5e-4});
  ExpectLibTorchsAdam({.learning_rate = 2e-3, .learning_rate_discriminator = 8e-3});
  ExpectLibTorchsAdam(
      {.learning_rate = 0.5, .learning_rate_generator = 1e-4, .learning_rate_discriminator = 4e-4});
}

TEST(ApplyRoundTest, RatesOfTheirOwnEqualToTheSharedOneChangeNoBit) {
  tensor::TensorBundle shared = InitialWeights(kModel, 1), own = shared;
  tensor::TensorBundle shared_state = InitialAdamState(kModel, domain::AdamConfig{}, shared),
                       own_state = shared_state;
  const domain::AdamConfig adam{.learning_rate = 2e-3};
  domain::AdamConfig spelled_out = adam;
  spelled_out.learning_rate = 0.5;
  spelled_out.learning_rate_generator = spelled_out.learning_rate_discriminator = 2e-3;

  ASSERT_OK(ApplyRound(kModel, adam, MakeGradient(), 2, shared, shared_state));
  ASSERT_OK(ApplyRound(kModel, spelled_out, MakeGradient(), 2, own, own_state));

  for (const tensor::TensorSpec& spec : domain::WeightsSpec(kModel)) {
    EXPECT_EQ(shared.Find(spec.name)->bytes, own.Find(spec.name)->bytes) << spec.name;
  }
}

TEST(ApplyRoundTest, ZeroGradientMovesNothing) {
  const tensor::TensorBundle start = InitialWeights(kModel, 1);
  tensor::TensorBundle weights = start;
  tensor::TensorBundle state = InitialAdamState(kModel, domain::AdamConfig{}, weights);

  ASSERT_OK(ApplyRound(kModel, domain::AdamConfig{}, MakeGradient(0), 1, weights, state));

  for (const tensor::TensorSpec& spec : domain::ParameterSpec(kModel)) {
    EXPECT_EQ(weights.Find(spec.name)->bytes, start.Find(spec.name)->bytes) << spec.name;
  }
}

TEST(ApplyRoundTest, BatchNormBuffersFollowTheFormulaPassByPass) {
  for (const int64_t k : {1, 2, 30}) {
    const tensor::TensorBundle start = InitialWeights(kModel, 1);
    const tensor::TensorBundle gradient = MakeGradient();
    tensor::TensorBundle weights = start;
    tensor::TensorBundle state = InitialAdamState(kModel, domain::AdamConfig{}, weights);

    ASSERT_OK(ApplyRound(kModel, domain::AdamConfig{}, gradient, k, weights, state));

    const double keep = std::pow(0.9, static_cast<double>(k));
    for (const domain::BatchNormLayout& layout : domain::BatchNormLayouts(kModel)) {
      for (const auto& [statistic, buffer] :
           {std::pair{".batch_mean.", ".running_mean"}, {".batch_var.", ".running_var"}}) {
        for (size_t c = 0; c < static_cast<size_t>(layout.channels); ++c) {
          double expected = start.Find(layout.prefix + buffer)->f32()[c];
          for (const std::string& pass : layout.passes) {
            expected = keep * expected +
                       (1 - keep) * gradient.Find(layout.prefix + statistic + pass)->f32()[c];
          }
          EXPECT_NEAR(weights.Find(layout.prefix + buffer)->f32()[c], expected, 2e-7);
        }
      }
      EXPECT_EQ(weights.Find(layout.prefix + ".num_batches_tracked")->i64_scalar(),
                k * static_cast<int64_t>(layout.passes.size()));
    }
  }
}

// LibTorch keeps batch statistics in double, a gradient carries them as float. Where they are exact
// in float the buffers are equal bit for bit.
TEST(ApplyRoundTest, BatchNormBuffersAreLibTorchsBitForBitWhereTheStatisticsAreExact) {
  const domain::BatchNormLayout layout = domain::BatchNormLayouts(kModel).front();
  const size_t channels = static_cast<size_t>(layout.channels);
  // 65 rows that come in pairs of opposite sign around a zero: the mean is 0, the unbiased variance
  // a multiple of 1/64. Then 64 rows for the mean alone.
  for (const int64_t rows : {65, 64}) {
    std::vector<float> input(static_cast<size_t>(rows) * channels);
    base::PhiloxStream stream(8, base::RandomPurpose::kNoise, 0, 0);
    for (size_t r = 0; r + 1 < static_cast<size_t>(rows); r += 2) {
      for (size_t c = 0; c < channels; ++c) {
        const float value = static_cast<float>(stream.NextBelow(64)) / 8;
        input[r * channels + c] = value;
        input[(r + 1) * channels + c] = rows == 65 ? -value : value + 1;
      }
    }
    std::vector<float> mean(channels), inverse_std(channels), variance(channels);
    BatchStatistics(input.data(), rows, layout.channels, 1e-5, mean.data(), inverse_std.data(),
                    variance.data());
    tensor::TensorBundle weights = InitialWeights(kModel, 1);
    std::vector<float> expected_mean(channels), expected_var(channels);
    for (size_t c = 0; c < channels; ++c) {
      expected_mean[c] = weights.Find(layout.prefix + ".running_mean")->mutable_f32()[c] =
          0.37f * static_cast<float>(c) - 1;
      expected_var[c] = weights.Find(layout.prefix + ".running_var")->mutable_f32()[c] =
          0.53f * static_cast<float>(c) + 0.1f;
    }
    ReferenceBatchNorm(rows, layout.channels, input, expected_mean, expected_var);
    tensor::TensorBundle gradient = MakeGradient();
    for (size_t c = 0; c < channels; ++c) {
      gradient.Find(layout.prefix + ".batch_mean.fake")->mutable_f32()[c] = mean[c];
      gradient.Find(layout.prefix + ".batch_var.fake")->mutable_f32()[c] = variance[c];
    }
    tensor::TensorBundle state = InitialAdamState(kModel, domain::AdamConfig{}, weights);

    ASSERT_OK(ApplyRound(kModel, domain::AdamConfig{}, gradient, 1, weights, state));

    for (size_t c = 0; c < channels; ++c) {
      EXPECT_EQ(weights.Find(layout.prefix + ".running_mean")->f32()[c], expected_mean[c]);
      if (rows == 65) {
        EXPECT_EQ(weights.Find(layout.prefix + ".running_var")->f32()[c], expected_var[c]);
      } else {
        EXPECT_FLOAT_EQ(weights.Find(layout.prefix + ".running_var")->f32()[c], expected_var[c]);
      }
    }
  }
}

// As weights may have it that were published when any batch variance was taken.
TEST(ApplyRoundTest, ARunningVarianceBelowZeroIsMended) {
  for (const int64_t micro_batches : {1, 3}) {
    tensor::TensorBundle weights = InitialWeights(kModel, 1);
    tensor::TensorBundle state = InitialAdamState(kModel, domain::AdamConfig{}, weights);
    tensor::TensorBundle gradient = MakeGradient();
    for (tensor::Tensor& tensor : gradient.mutable_tensors()) {
      for (float& value : tensor.mutable_f32()) value = std::abs(value);
    }
    for (tensor::Tensor& tensor : weights.mutable_tensors()) {
      if (!tensor.spec.name.ends_with("running_var")) continue;
      for (float& value : tensor.mutable_f32()) value = -1e6F;
    }

    ASSERT_OK(ApplyRound(kModel, domain::AdamConfig{}, gradient, micro_batches, weights, state));

    for (const tensor::Tensor& tensor : weights.tensors()) {
      if (!tensor.spec.name.ends_with("running_var")) continue;
      for (const float value : tensor.f32()) EXPECT_GE(value, 0) << tensor.spec.name;
    }
  }
}

TEST(ApplyRoundTest, SavedAndReloadedStateContinuesWithTheSameBits) {
  tensor::TensorBundle weights = InitialWeights(kModel, 1);
  tensor::TensorBundle state = InitialAdamState(kModel, domain::AdamConfig{}, weights);
  ASSERT_OK(ApplyRound(kModel, domain::AdamConfig{}, MakeGradient(), 2, weights, state));
  tensor::TensorBundle copied_weights = weights, copied_state = state;

  ASSERT_OK(ApplyRound(kModel, domain::AdamConfig{}, MakeGradient(2), 2, weights, state));
  ASSERT_OK(
      ApplyRound(kModel, domain::AdamConfig{}, MakeGradient(2), 2, copied_weights, copied_state));

  for (const tensor::TensorSpec& spec : domain::WeightsSpec(kModel)) {
    EXPECT_EQ(weights.Find(spec.name)->bytes, copied_weights.Find(spec.name)->bytes);
  }
}

TEST(ApplyRoundTest, AverageOfTheGeneratorFollowsItsParameters) {
  const domain::AdamConfig adam{.ema_decay = 0.25};
  tensor::TensorBundle weights = InitialWeights(kModel, 1);
  tensor::TensorBundle state = InitialAdamState(kModel, adam, weights);
  const std::string name = "generator.main.0.weight";
  const float start = weights.Find(name)->f32()[3];
  EXPECT_EQ(state.Find(name + ".ema")->f32()[3], start);
  EXPECT_EQ(state.Find("discriminator.main.0.weight.ema"), nullptr);

  ASSERT_OK(ApplyRound(kModel, adam, MakeGradient(), 1, weights, state));
  const float first = weights.Find(name)->f32()[3];
  ASSERT_OK(ApplyRound(kModel, adam, MakeGradient(), 1, weights, state));
  const float second = weights.Find(name)->f32()[3];

  // Decays 2/11 and, because that is smaller than 3/12, 1/4.
  const double after_first = 2.0 / 11 * start + 9.0 / 11 * first;
  EXPECT_NEAR(state.Find(name + ".ema")->f32()[3], 0.25 * after_first + 0.75 * second, 1e-8);
  const tensor::TensorBundle averaged = AveragedWeights(weights, state);
  EXPECT_OK(averaged.CheckSpec(domain::WeightsSpec(kModel)));
  EXPECT_EQ(averaged.Find(name)->bytes, state.Find(name + ".ema")->bytes);
  for (const char* kept : {"generator.main.1.running_mean", "discriminator.main.0.weight"}) {
    EXPECT_EQ(averaged.Find(kept)->bytes, weights.Find(kept)->bytes) << kept;
  }
}

TEST(ApplyRoundTest, WithoutADecayNoAverageIsKept) {
  const tensor::TensorBundle weights = InitialWeights(kModel, 1);

  const tensor::TensorBundle state = InitialAdamState(kModel, domain::AdamConfig{}, weights);

  EXPECT_EQ(state.Find("generator.main.0.weight.ema"), nullptr);
  EXPECT_EQ(AveragedWeights(weights, state).Find("generator.main.0.weight")->bytes,
            weights.Find("generator.main.0.weight")->bytes);
}

TEST(ApplyRoundTest, AnotherLayoutIsRefusedAndChangesNothing) {
  const tensor::TensorBundle start = InitialWeights(kModel, 1);
  tensor::TensorBundle weights = start;
  tensor::TensorBundle state = InitialAdamState(kModel, domain::AdamConfig{}, weights);
  tensor::TensorBundle without_statistics;
  for (const tensor::TensorSpec& spec : domain::ParameterSpec(kModel))
    without_statistics.Add(tensor::Tensor::Zeros(spec));

  EXPECT_THAT(ApplyRound(kModel, domain::AdamConfig{}, without_statistics, 1, weights, state),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("batch_")));
  EXPECT_THAT(ApplyRound(kModel, domain::AdamConfig{}, MakeGradient(), 0, weights, state),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("micro-batch")));
  tensor::TensorBundle no_state;
  EXPECT_THAT(ApplyRound(kModel, domain::AdamConfig{}, MakeGradient(), 1, weights, no_state),
              base::StatusIs(absl::StatusCode::kInvalidArgument));
  for (const tensor::TensorSpec& spec : domain::WeightsSpec(kModel)) {
    EXPECT_EQ(weights.Find(spec.name)->bytes, start.Find(spec.name)->bytes);
  }
}

}  // namespace
}  // namespace gannet::gan
