// The training of a whole cluster (PostgreSQL, gateway, coordinator, workers over real sockets)
// against the same training written with LibTorch's own modules in one process.

#include <cmath>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "libs/aggregate/aggregator.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/domain/model_layout.h"
#include "libs/gan/gan.h"
#include "libs/gan/testing/reference_training.h"
#include "libs/image/pixel_range.h"
#include "tests/cluster/test_cluster.h"

namespace gannet::cluster {
namespace {

const domain::ModelConfig kSmall64 = {.image_size = 64, .latent_dim = 100, .base_width = 8};
const domain::ModelConfig kSmall32 = {.image_size = 32, .latent_dim = 100, .base_width = 8};

class TrainingParityTest : public ::testing::Test {
 protected:
  // Bits are promised for one thread.
  static void SetUpTestSuite() { gan::ConfigureCompute(1); }
};

// ||a - b|| / ||b||
double RelativeDistance(const tensor::Tensor& a, const tensor::Tensor& b) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < b.f32().size(); ++i) {
    const double d = static_cast<double>(a.f32()[i]) - static_cast<double>(b.f32()[i]);
    difference += d * d;
    norm += static_cast<double>(b.f32()[i]) * static_cast<double>(b.f32()[i]);
  }
  return norm == 0 ? std::sqrt(difference) : std::sqrt(difference / norm);
}

tensor::TensorBundle Decode(const exchange::Payload& payload) {
  absl::StatusOr<tensor::TensorBundle> bundle = DecodeBundle(*payload.bytes, payload.codec);
  EXPECT_OK(bundle);
  return *std::move(bundle);
}

// The task of a slot as a worker gets it.
gan::UnitTask TaskOf(const domain::RunConfig& config, const data::Dataset& faces, base::Round round,
                     const domain::PlannedUnit& unit) {
  gan::UnitTask task;
  task.round = round.value();
  task.slot = unit.slot.value();
  task.seed = config.seed;
  task.micro_batch = config.micro_batch;
  task.objective = config.objective;
  task.image_count = static_cast<int>(unit.image_indices.size());
  task.read_image = [&faces, unit](int position, absl::Span<float> out) {
    std::vector<uint8_t> rgb(out.size());
    EXPECT_OK(
        faces.ReadRgb(unit.image_indices[static_cast<size_t>(position)], absl::MakeSpan(rgb)));
    image::RgbToFloat(rgb, out);
    return absl::OkStatus();
  };
  return task;
}

std::unique_ptr<data::Dataset> OpenFaces(const domain::RunConfig& config) {
  data::DatasetOptions options;
  options.image_size = config.model.image_size;
  options.seed = 5;
  options.count = config.data.image_count;
  return *data::OpenDataset(options);
}

void RunToTheEnd(TestCluster& cluster, std::vector<WorkerPath> workers) {
  cluster.KeepBlobsOfTheEnd();
  cluster.StartGateway();
  cluster.StartCoordinator();
  for (const WorkerPath path : workers) cluster.AddWorker(path);
  cluster.AwaitFinished();
}

// The gradients that were kept for a round, in slot order.
std::vector<tensor::TensorBundle> KeptGradients(TestCluster& cluster, base::Round round) {
  const absl::StatusOr<exchange::RoundProgress> progress =
      cluster.store().GetRoundProgress(cluster.run(), round);
  EXPECT_OK(progress);
  std::vector<tensor::TensorBundle> gradients;
  for (const exchange::GradientInfo& info : progress->gradients) {
    const absl::StatusOr<exchange::Payload> payload =
        cluster.store().FetchGradient(cluster.run(), info.unit);
    EXPECT_OK(payload);
    gradients.push_back(Decode(*payload));
  }
  return gradients;
}

// Except those that are not defined to rounding: nobody can choose the seed of every round's
// weights.
TEST_F(TrainingParityTest, GradientsEqualTheReferenceInEveryRound) {
  for (domain::ModelConfig model : {kSmall64, kSmall32}) {
    model.base_width = 4;
    // 5 images in micro-batches of 2: the last one has 3.
    const domain::RunConfig config = FacesRunConfig(model, 5, 2, 3);
    TestCluster cluster(config);
    RunToTheEnd(cluster, {WorkerPath::kGateway});

    const std::unique_ptr<data::Dataset> faces = OpenFaces(config);
    domain::RoundPlanner planner(config);
    int compared = 0;
    for (int64_t r = 1; r <= config.round_count; ++r) {
      const tensor::TensorBundle weights = Decode(cluster.Weights(base::WeightsVersion(r - 1)));
      const std::vector<tensor::TensorBundle> kept = KeptGradients(cluster, base::Round(r));
      const std::vector<domain::PlannedUnit> units = planner.Plan(base::Round(r));
      ASSERT_EQ(kept.size(), units.size());
      for (size_t slot = 0; slot < units.size(); ++slot) {
        const gan::ReferenceUnit reference = gan::ReferenceGradient(
            model, weights, TaskOf(config, *faces, base::Round(r), units[slot]));
        if (reference.kink_distance < gan::kKinkDistanceMin) continue;
        ++compared;
        for (const tensor::Tensor& expected : reference.gradient.tensors()) {
          const tensor::Tensor* got = kept[slot].Find(expected.spec.name);
          ASSERT_NE(got, nullptr) << expected.spec.name;
          EXPECT_LE(RelativeDistance(*got, expected), 1e-5)
              << expected.spec.name << " round " << r << " slot " << slot;
        }
      }
    }
    RecordProperty(absl::StrCat("compared_", model.image_size), compared);
    EXPECT_GE(2 * compared, config.round_count * config.units_per_round);
  }
}

TEST_F(TrainingParityTest, BuffersEqualLibTorchsAtOneMicroBatchARound) {
  domain::RunConfig config = FacesRunConfig(kSmall64, 8, 8, 3);
  config.units_per_round = 1;
  TestCluster cluster(config);
  RunToTheEnd(cluster, {WorkerPath::kGateway});

  const std::unique_ptr<data::Dataset> faces = OpenFaces(config);
  domain::RoundPlanner planner(config);
  for (int64_t r = 1; r <= config.round_count; ++r) {
    const gan::ReferenceUnit reference = gan::ReferenceGradient(
        config.model, Decode(cluster.Weights(base::WeightsVersion(r - 1))),
        TaskOf(config, *faces, base::Round(r), planner.Plan(base::Round(r))[0]));
    const tensor::TensorBundle published = Decode(cluster.Weights(base::WeightsVersion(r)));
    int buffers = 0;
    for (const tensor::Tensor& got : published.tensors()) {
      const tensor::Tensor& expected = *reference.weights.Find(got.spec.name);
      if (got.spec.dtype == tensor::Dtype::kI64) {
        EXPECT_EQ(got.i64_scalar(), expected.i64_scalar()) << got.spec.name;
        ++buffers;
      } else if (absl::StrContains(got.spec.name, "running_")) {
        EXPECT_LE(RelativeDistance(got, expected), 1e-6) << got.spec.name << " round " << r;
        ++buffers;
      }
    }
    EXPECT_EQ(buffers, 3 * static_cast<int>(domain::BatchNormLayouts(config.model).size()));
  }
}

TEST_F(TrainingParityTest, BuffersFollowTheFormulaAtManyMicroBatches) {
  const domain::RunConfig config = FacesRunConfig(kSmall64, 8, 4, 2);
  TestCluster cluster(config);
  RunToTheEnd(cluster, {WorkerPath::kGateway});

  const int micro_batches = config.units_per_round * config.images_per_unit / config.micro_batch;
  const double keep = std::pow(0.9, micro_batches);
  for (int64_t r = 1; r <= config.round_count; ++r) {
    const tensor::TensorBundle before = Decode(cluster.Weights(base::WeightsVersion(r - 1)));
    const tensor::TensorBundle after = Decode(cluster.Weights(base::WeightsVersion(r)));
    const std::vector<tensor::TensorBundle> kept = KeptGradients(cluster, base::Round(r));
    for (const domain::BatchNormLayout& layer : domain::BatchNormLayouts(config.model)) {
      const std::map<std::string, std::string> statistics = {{"running_mean", "batch_mean"},
                                                             {"running_var", "batch_var"}};
      for (const auto& [running, batch] : statistics) {
        const std::string name = absl::StrCat(layer.prefix, ".", running);
        for (size_t c = 0; c < static_cast<size_t>(layer.channels); ++c) {
          double value = static_cast<double>(before.Find(name)->f32()[c]);
          for (const std::string& pass : layer.passes) {
            double mean = 0;
            for (const tensor::TensorBundle& gradient : kept) {
              mean +=
                  static_cast<double>(
                      gradient.Find(absl::StrCat(layer.prefix, ".", batch, ".", pass))->f32()[c]) /
                  static_cast<double>(kept.size());
            }
            value = keep * value + (1 - keep) * mean;
          }
          EXPECT_NEAR(after.Find(name)->f32()[c], value, 1e-6 * std::max(1.0, std::abs(value)))
              << name << " round " << r;
        }
      }
      const std::string counter = absl::StrCat(layer.prefix, ".num_batches_tracked");
      EXPECT_EQ(after.Find(counter)->i64_scalar() - before.Find(counter)->i64_scalar(),
                micro_batches * static_cast<int64_t>(layer.passes.size()));
    }
  }
}

TEST_F(TrainingParityTest, TheFirstStepIsLibTorchsAdam) {
  const domain::RunConfig config = FacesRunConfig(kSmall64, 8, 8, 1);
  TestCluster cluster(config);
  RunToTheEnd(cluster, {WorkerPath::kGateway});

  const std::unique_ptr<aggregate::Aggregator> mean = aggregate::CreateAggregator("weighted_mean");
  for (const tensor::TensorBundle& gradient : KeptGradients(cluster, base::Round(1))) {
    ASSERT_OK(mean->Add(gradient, config.images_per_unit));
  }
  ASSERT_OK_AND_ASSIGN(const tensor::TensorBundle round_gradient, mean->Finish());
  const tensor::TensorBundle expected =
      gan::ReferenceAdam(config.model, config.adam,
                         Decode(cluster.Weights(base::WeightsVersion(0))), round_gradient, 1);
  const tensor::TensorBundle published = Decode(cluster.Weights(base::WeightsVersion(1)));
  for (const tensor::Tensor& parameter : expected.tensors()) {
    EXPECT_LE(RelativeDistance(*published.Find(parameter.spec.name), parameter), 1e-6)
        << parameter.spec.name;
  }
}

TEST_F(TrainingParityTest, AnyWorkersByAnyPathEndWithTheSameBits) {
  const domain::RunConfig config = FacesRunConfig(kSmall32, 8, 4, 6);
  const std::vector<std::vector<WorkerPath>> classes = {
      {WorkerPath::kGateway},
      {WorkerPath::kGateway, WorkerPath::kGateway},
      {WorkerPath::kDirect},
      {WorkerPath::kDirect, WorkerPath::kGateway, WorkerPath::kGateway}};
  std::vector<std::string> digests;
  for (const std::vector<WorkerPath>& workers : classes) {
    TestCluster cluster(config);
    RunToTheEnd(cluster, workers);
    digests.push_back(cluster.FinalWeightsSha());
  }

  for (const std::string& digest : digests) EXPECT_EQ(digest, digests[0]);
}

TEST_F(TrainingParityTest, SamplesInEvalModeAreNotGrey) {
  domain::RunConfig config = FacesRunConfig(kSmall32, 16, 16, 120);
  config.adam.learning_rate = 1e-3;
  config.objective.real_label = 0.9;
  TestCluster cluster(config);
  RunToTheEnd(cluster, {WorkerPath::kGateway, WorkerPath::kGateway});

  const tensor::TensorBundle weights =
      Decode(cluster.Weights(base::WeightsVersion(config.round_count)));
  const auto spread = [&](gan::SampleMode mode) {
    const absl::StatusOr<gan::ImageBatch> samples =
        gan::GenerateImages(config.model, weights, 1, 64, mode);
    EXPECT_OK(samples);
    double sum = 0, squares = 0, n = 0;
    for (const std::vector<float>& image : samples->images) {
      for (const float value : image) {
        sum += static_cast<double>(value);
        squares += static_cast<double>(value) * static_cast<double>(value);
        ++n;
      }
    }
    return std::sqrt(squares / n - sum / n * sum / n);
  };
  const double eval = spread(gan::SampleMode::kEval);
  const double batch_statistics = spread(gan::SampleMode::kBatchStatistics);
  EXPECT_GE(eval, 0.5 * batch_statistics);
  EXPECT_GT(batch_statistics, 0.1);
}

}  // namespace
}  // namespace gannet::cluster
