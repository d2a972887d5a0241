#include <ATen/Tensor.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/philox.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/base/training_choices.h"
#include "libs/gan/gan.h"
#include "libs/gan/networks.h"

namespace gannet::gan {
namespace {

const domain::ModelConfig kModel{.image_size = 32, .latent_dim = 16, .base_width = 8};

// A disc of one colour, size and place on a ground of another.
absl::Status ReadDisc(uint64_t index, absl::Span<float> out) {
  base::PhiloxStream stream(3, base::RandomPurpose::kFaces, index, 0);
  const float x0 = 10 + 12 * stream.NextUniform(), y0 = 10 + 12 * stream.NextUniform();
  const float radius = 6 + 4 * stream.NextUniform();
  for (size_t c = 0; c < 3; ++c) {
    const float ground = -0.9f + 0.6f * stream.NextUniform(),
                disc = 0.9f - 0.6f * stream.NextUniform();
    for (int y = 0; y < 32; ++y) {
      for (int x = 0; x < 32; ++x) {
        const float distance =
            std::hypot(static_cast<float>(x) - x0, static_cast<float>(y) - y0) - radius;
        out[c * 1024 + static_cast<size_t>(y * 32 + x)] =
            ground + (disc - ground) / (1 + std::exp(2 * distance));
      }
    }
  }
  return absl::OkStatus();
}

// Trains for `rounds` rounds of one unit of 16 images in two micro-batches.
tensor::TensorBundle Train(int rounds) {
  tensor::TensorBundle weights = InitialWeights(kModel, 1);
  tensor::TensorBundle state = InitialAdamState(kModel, domain::AdamConfig{}, weights);
  const std::unique_ptr<GradientComputer> computer = MakeGradientComputer(kModel).value();
  for (int round = 0; round < rounds; ++round) {
    UnitTask task;
    task.round = round;
    task.seed = 1;
    task.micro_batch = 8;
    task.objective.real_label = 0.9;
    task.image_count = 16;
    task.read_image = [round](int position, absl::Span<float> out) {
      return ReadDisc(static_cast<uint64_t>(round * 16 + position), out);
    };
    EXPECT_OK(computer->SetWeights(weights));
    const absl::StatusOr<UnitGradient> unit = computer->Compute(task);
    EXPECT_OK(unit);
    EXPECT_OK(ApplyRound(kModel, domain::AdamConfig{.learning_rate = 1e-3}, unit->gradient,
                         unit->micro_batch_count, weights, state));
  }
  return weights;
}

// Mean over pixels of the standard deviation over images: zero when all are the same grey.
double Spread(const ImageBatch& batch) {
  const size_t values = batch.images.front().size();
  double spread = 0;
  for (size_t i = 0; i < values; ++i) {
    double sum = 0, squares = 0;
    for (const std::vector<float>& image : batch.images) {
      sum += image[i];
      squares += static_cast<double>(image[i]) * image[i];
    }
    const double n = static_cast<double>(batch.images.size());
    spread += std::sqrt(std::max(0.0, squares / n - sum * sum / n / n));
  }
  return spread / static_cast<double>(values);
}

double SpreadOf(const tensor::TensorBundle& weights, SampleMode mode) {
  const absl::StatusOr<ImageBatch> batch = GenerateImages(kModel, weights, 1, 64, mode);
  EXPECT_OK(batch);
  return Spread(*batch);
}

TEST(GenerateImagesTest, SamplesInEvalModeAreNotGreyAfterTraining) {
  tensor::TensorBundle weights = Train(150);

  const double batch_spread = SpreadOf(weights, SampleMode::kBatchStatistics);

  EXPECT_GT(batch_spread, 0.05);
  EXPECT_GE(SpreadOf(weights, SampleMode::kEval), 0.5 * batch_spread);
  // Buffers that no round has updated, the defect this guards against, do not pass.
  for (tensor::Tensor& tensor : weights.mutable_tensors()) {
    if (tensor.spec.name.find("running_") == std::string::npos) continue;
    const float value = tensor.spec.name.ends_with("running_var") ? 1.0f : 0.0f;
    for (float& element : tensor.mutable_f32()) element = value;
  }
  EXPECT_LT(SpreadOf(weights, SampleMode::kEval), 0.5 * batch_spread);
}

TEST(GenerateImagesTest, FirstImagesDoNotDependOnTheNumberInEvalMode) {
  const tensor::TensorBundle weights = InitialWeights(kModel, 1);

  ASSERT_OK_AND_ASSIGN(const ImageBatch few, GenerateImages(kModel, weights, 7, 3));
  ASSERT_OK_AND_ASSIGN(const ImageBatch many, GenerateImages(kModel, weights, 7, 130));

  EXPECT_EQ(few.image_size, 32);
  ASSERT_EQ(many.images.size(), 130u);
  for (size_t i = 0; i < few.images.size(); ++i) {
    ASSERT_EQ(few.images[i].size(), 3u * 32 * 32);
    for (size_t p = 0; p < few.images[i].size(); ++p) {
      ASSERT_NEAR(few.images[i][p], many.images[i][p], 1e-6);
      ASSERT_LE(std::abs(few.images[i][p]), 1);
    }
  }
  EXPECT_NE(many.images[0], many.images[64]);
}

// The faces of a run must not change with their number, and not with what computes them either.
TEST(GenerateImagesTest, EveryKindOfNetworksMakesImages) {
  for (const absl::string_view kind : base::kModelNames) {
    SCOPED_TRACE(kind);
    domain::ModelConfig model = kModel;
    model.kind = std::string(kind);
    const tensor::TensorBundle weights = InitialWeights(model, 1);

    ASSERT_OK_AND_ASSIGN(const ImageBatch few, GenerateImages(model, weights, 7, 2));
    ASSERT_OK_AND_ASSIGN(const ImageBatch many, GenerateImages(model, weights, 7, 9));

    ASSERT_EQ(many.images.size(), 9u);
    ASSERT_EQ(few.images[1].size(), 3u * 32 * 32);
    for (size_t p = 0; p < few.images[1].size(); ++p) {
      ASSERT_NEAR(few.images[1][p], many.images[1][p], 1e-6);
    }
    EXPECT_GT(Spread(many), 0);
    ASSERT_OK_AND_ASSIGN(const ImageBatch by_batch,
                         GenerateImages(model, weights, 7, 9, SampleMode::kBatchStatistics));
    EXPECT_GT(Spread(by_batch), Spread(many));  // fresh averages tell too small a deviation
  }
}

TEST(GenerateImagesTest, AChainIsTheSameByItsDesign) {
  tensor::TensorBundle weights = Train(3);  // averages that are not the initial ones
  std::vector<float> noise;
  for (uint64_t i = 0; i < 4; ++i) {
    const Latent latent = SampleLatent(kModel, 7, i);
    noise.insert(noise.end(), latent.begin(), latent.end());
  }
  const at::Tensor latent = at::from_blob(noise.data(), {4, kModel.latent_dim}, at::kFloat);
  for (const Statistics statistics : {Statistics::kRunning, Statistics::kBatch}) {
    const at::Tensor fast = MakeImageGenerator(kModel, weights)->Generate(latent, statistics);
    const at::Tensor plain = MakeDesignGenerator(kModel, weights)->Generate(latent, statistics);
    EXPECT_LE((fast - plain).abs().max().item<float>(), 1e-5f);
  }
}

TEST(GenerateImagesTest, NoImagesIsNoError) {
  for (const SampleMode mode : {SampleMode::kEval, SampleMode::kBatchStatistics}) {
    ASSERT_OK_AND_ASSIGN(const ImageBatch none,
                         GenerateImages(kModel, InitialWeights(kModel, 1), 7, 0, mode));
    EXPECT_TRUE(none.images.empty());
  }
}

TEST(GenerateImagesTest, WeightsOfAnotherNetworkAreRefused) {
  domain::ModelConfig other = kModel;
  other.base_width = 16;

  EXPECT_THAT(GenerateImages(kModel, InitialWeights(other, 1), 7, 4),
              base::StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(GenerateImages(kModel, InitialWeights(kModel, 1), 7, -1),
              base::StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(FlattenedTest, KeepsTheOrder) {
  EXPECT_EQ(Flattened({.image_size = 1, .images = {{1, 2, 3}, {4, 5, 6}}}),
            (std::vector<float>{1, 2, 3, 4, 5, 6}));
}

}  // namespace
}  // namespace gannet::gan
