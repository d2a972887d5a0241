#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/philox.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/domain/dcgan_layout.h"
#include "libs/gan/gan.h"
#include "libs/gan/testing/reference_dcgan.h"

namespace gannet {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr ModelConfig kSmall32{.image_size = 32, .latent_dim = 20, .base_width = 8};

// Uniform noise that depends on the position alone.
absl::Status ReadNoiseImage(int position, absl::Span<float> out) {
  PhiloxStream stream(99, RandomPurpose::kFaces, static_cast<uint64_t>(position), 0);
  for (float& value : out) value = 2 * stream.NextUniform() - 1;
  return absl::OkStatus();
}

UnitTask MakeTask(int image_count, int micro_batch) {
  UnitTask task;
  task.round = 7;
  task.slot = 2;
  task.seed = 5;
  task.micro_batch = micro_batch;
  task.real_label = 0.9;
  task.image_count = image_count;
  task.read_image = ReadNoiseImage;
  return task;
}

absl::StatusOr<UnitGradient> ComputeAt(const ModelConfig& model, const TensorBundle& weights,
                                       const UnitTask& task) {
  absl::StatusOr<std::unique_ptr<GradientComputer>> computer = MakeGradientComputer(model);
  if (!computer.ok()) return computer.status();
  if (absl::Status status = (*computer)->SetWeights(weights); !status.ok()) return status;
  return (*computer)->Compute(task);
}

double RelativeDistance(const Tensor& got, const Tensor& expected) {
  double squares = 0, norm = 0;
  for (size_t i = 0; i < expected.f32().size(); ++i) {
    const double e = expected.f32()[i];
    squares += (got.f32()[i] - e) * (got.f32()[i] - e);
    norm += e * e;
  }
  return std::sqrt(squares / norm);
}

// Compares every tensor of a unit's gradient, losses and accuracies with the naive reference. The
// seeds are such that no activation's input is so close to 0 that the derivative is up to rounding.
void ExpectParity(const ModelConfig& model, const UnitTask& task, uint64_t weights_seed = 11) {
  const TensorBundle weights = InitialWeights(model, weights_seed);

  ASSERT_OK_AND_ASSIGN(const UnitGradient got, ComputeAt(model, weights, task));

  const ReferenceUnit expected = ReferenceGradient(model, weights, task);
  ASSERT_GE(expected.kink_distance, kKinkDistanceMin) << "choose another seed";
  for (const TensorSpec& spec : ParameterSpec(model)) {
    EXPECT_LE(RelativeDistance(*got.gradient.Find(spec.name), *expected.gradient.Find(spec.name)),
              1e-5)
        << spec.name;
  }
  EXPECT_OK(got.gradient.CheckSpec(GradientSpec(model)));
  EXPECT_NEAR(got.discriminator_loss, expected.discriminator_loss, 1e-5);
  EXPECT_NEAR(got.generator_loss, expected.generator_loss, 1e-5);
  EXPECT_DOUBLE_EQ(got.real_accuracy, expected.real_accuracy);
  EXPECT_DOUBLE_EQ(got.fake_accuracy, expected.fake_accuracy);
}

bool SameBytes(const TensorBundle& a, const TensorBundle& b) {
  if (a.tensors().size() != b.tensors().size()) return false;
  for (size_t i = 0; i < a.tensors().size(); ++i) {
    if (a.tensors()[i].bytes != b.tensors()[i].bytes) return false;
  }
  return true;
}

TEST(GradientComputerTest, EqualsAutogradOfStockModulesAt32) {
  ExpectParity(kSmall32, MakeTask(16, 16));
}

TEST(GradientComputerTest, EqualsAutogradOfStockModulesAt64) {
  UnitTask task = MakeTask(12, 12);
  task.seed = 6;

  ExpectParity({.image_size = 64, .latent_dim = 100, .base_width = 12}, task);
}

TEST(GradientComputerTest, EqualsAutogradOfStockModulesAtTheDefaultWidth) {
  UnitTask task = MakeTask(4, 4);
  task.seed = 1;

  ExpectParity(ModelConfig{}, task, /*weights_seed=*/6);
}

TEST(GradientComputerTest, EqualsAutogradOfStockModulesAtAWidthThatIsNoMultipleOfAVector) {
  ExpectParity({.image_size = 32, .latent_dim = 7, .base_width = 5}, MakeTask(6, 6));
}

TEST(GradientComputerTest, RemainderJoinsTheLastMicroBatch) {
  const UnitTask task = MakeTask(19, 8);

  ASSERT_OK_AND_ASSIGN(const UnitGradient got,
                       ComputeAt(kSmall32, InitialWeights(kSmall32, 1), task));

  EXPECT_EQ(got.micro_batch_count, 2);
  ExpectParity(kSmall32, task);  // 8 and 11 images, weighted by their number
}

TEST(GradientComputerTest, BatchNormBuffersAfterARoundOfOneMicroBatchAreLibTorchs) {
  const UnitTask task = MakeTask(16, 16);
  TensorBundle weights = InitialWeights(kSmall32, 3);
  for (Tensor& tensor : weights.mutable_tensors()) {
    // Buffers of a training that is under way.
    if (tensor.spec.name.ends_with("running_mean")) tensor.mutable_f32()[1] = -0.75f;
    if (tensor.spec.name.ends_with("running_var")) tensor.mutable_f32()[1] = 2.5f;
  }
  const ReferenceUnit expected = ReferenceGradient(kSmall32, weights, task);
  ASSERT_OK_AND_ASSIGN(const UnitGradient unit, ComputeAt(kSmall32, weights, task));
  TensorBundle adam_state = InitialAdamState(kSmall32);

  ASSERT_OK(ApplyRound(kSmall32, AdamConfig{}, unit.gradient, 1, weights, adam_state));

  for (const BatchNormLayout& layout : BatchNormLayouts(kSmall32)) {
    for (const char* buffer : {".running_mean", ".running_var"}) {
      const std::string name = layout.prefix + buffer;
      EXPECT_LE(RelativeDistance(*weights.Find(name), *expected.weights.Find(name)), 1e-6) << name;
    }
    const std::string counter = layout.prefix + ".num_batches_tracked";
    EXPECT_EQ(weights.Find(counter)->i64_scalar(), expected.weights.Find(counter)->i64_scalar());
  }
}

TEST(GradientComputerTest, BatchNormStatisticsAreImageWeightedMeansOverMicroBatches) {
  // Running averages of LibTorch after one micro-batch from zero are a tenth of that batch's
  // statistics.
  TensorBundle weights = InitialWeights(kSmall32, 3);
  for (Tensor& tensor : weights.mutable_tensors()) {
    if (tensor.spec.name.ends_with("running_var")) {
      for (float& value : tensor.mutable_f32()) value = 0;
    }
  }
  ASSERT_OK_AND_ASSIGN(const UnitGradient both, ComputeAt(kSmall32, weights, MakeTask(14, 6)));

  // The unit's micro-batches have 6 and 8 images; the generator's noise and so its statistics
  // follow the position.
  const ReferenceUnit first = ReferenceGradient(kSmall32, weights, MakeTask(6, 6));
  ReferenceUnit last;
  {
    UnitTask task = MakeTask(14, 6);
    last = ReferenceGradient(kSmall32, weights, task);
  }
  for (const BatchNormLayout& layout : BatchNormLayouts(kSmall32)) {
    if (layout.passes.size() != 1) continue;
    for (const auto& [statistic, buffer] :
         {std::pair{".batch_mean.fake", ".running_mean"}, {".batch_var.fake", ".running_var"}}) {
      const auto got = both.gradient.Find(layout.prefix + statistic)->f32();
      const auto after_first = first.weights.Find(layout.prefix + buffer)->f32();
      const auto after_both = last.weights.Find(layout.prefix + buffer)->f32();
      for (size_t c = 0; c < got.size(); ++c) {
        const double first_batch = after_first[c] / 0.1;
        const double second_batch = (after_both[c] - 0.9 * after_first[c]) / 0.1;
        EXPECT_NEAR(got[c], (6 * first_batch + 8 * second_batch) / 14, 2e-5) << layout.prefix;
      }
    }
  }
}

TEST(GradientComputerTest, SameUnitGivesTheSameBits) {
  const TensorBundle weights = InitialWeights(kSmall32, 1);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<GradientComputer> computer,
                       MakeGradientComputer(kSmall32));
  ASSERT_OK(computer->SetWeights(weights));
  ASSERT_OK_AND_ASSIGN(const UnitGradient first, computer->Compute(MakeTask(19, 8)));
  ASSERT_OK(computer->Compute(MakeTask(8, 4)));

  ASSERT_OK_AND_ASSIGN(const UnitGradient again, computer->Compute(MakeTask(19, 8)));
  ASSERT_OK_AND_ASSIGN(const UnitGradient other, ComputeAt(kSmall32, weights, MakeTask(19, 8)));

  EXPECT_TRUE(SameBytes(first.gradient, again.gradient));
  EXPECT_TRUE(SameBytes(first.gradient, other.gradient));
}

TEST(GradientComputerTest, AnotherThreadGivesTheSameBits) {
  // A new thread starts with OpenMP's own number of threads, which must not show.
  ConfigureCompute(1);
  const ModelConfig model{.image_size = 32, .latent_dim = 100, .base_width = 32};
  const TensorBundle weights = InitialWeights(model, 1);
  ASSERT_OK_AND_ASSIGN(const UnitGradient here, ComputeAt(model, weights, MakeTask(16, 16)));

  absl::StatusOr<UnitGradient> there;
  std::thread([&] { there = ComputeAt(model, weights, MakeTask(16, 16)); }).join();

  ASSERT_OK(there);
  EXPECT_TRUE(SameBytes(here.gradient, there->gradient));
}

TEST(GradientComputerTest, NoiseFollowsSeedRoundAndSlot) {
  const TensorBundle weights = InitialWeights(kSmall32, 1);
  ASSERT_OK_AND_ASSIGN(const UnitGradient base, ComputeAt(kSmall32, weights, MakeTask(8, 8)));

  for (const auto change :
       {+[](UnitTask& task) { task.seed = 6; }, +[](UnitTask& task) { task.round = 8; },
        +[](UnitTask& task) { task.slot = 3; }}) {
    UnitTask task = MakeTask(8, 8);
    change(task);
    ASSERT_OK_AND_ASSIGN(const UnitGradient other, ComputeAt(kSmall32, weights, task));
    EXPECT_NE(base.generator_loss, other.generator_loss);
  }
}

TEST(GradientComputerTest, NumbersBeyondTheNameOfANoiseStreamAreRefused) {
  const TensorBundle weights = InitialWeights(kSmall32, 1);
  for (const auto change :
       {+[](UnitTask& task) { task.round = int64_t{1} << 48; },
        +[](UnitTask& task) { task.round = -1; }, +[](UnitTask& task) { task.slot = 4096; },
        +[](UnitTask& task) { task.image_count = (1 << 20) + 1; },
        +[](UnitTask& task) { task.image_count = 0; },
        +[](UnitTask& task) { task.micro_batch = 0; },
        +[](UnitTask& task) { task.read_image = nullptr; }}) {
    UnitTask task = MakeTask(8, 8);
    change(task);
    EXPECT_THAT(ComputeAt(kSmall32, weights, task), StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST(GradientComputerTest, ProgressIsReportedAfterEachMicroBatch) {
  UnitTask task = MakeTask(20, 4);
  std::vector<int> done;
  task.on_progress = [&](int count) { done.push_back(count); };

  ASSERT_OK(ComputeAt(kSmall32, InitialWeights(kSmall32, 1), task));

  EXPECT_THAT(done, ElementsAre(1, 2, 3, 4, 5));
}

TEST(GradientComputerTest, CancellationEndsAtTheNextMicroBatch) {
  UnitTask task = MakeTask(20, 4);
  std::atomic<bool> cancelled = false;
  int last_done = 0;
  task.cancelled = &cancelled;
  task.on_progress = [&](int count) {
    last_done = count;
    cancelled = count == 2;
  };

  EXPECT_THAT(ComputeAt(kSmall32, InitialWeights(kSmall32, 1), task),
              StatusIs(absl::StatusCode::kCancelled));
  EXPECT_EQ(last_done, 2);
}

TEST(GradientComputerTest, ErrorOfReadImageEndsTheUnitUnchanged) {
  UnitTask task = MakeTask(20, 4);
  task.read_image = [](int position, absl::Span<float> out) {
    if (position == 9) return absl::DataLossError("broken.jpg cannot be decoded");
    return ReadNoiseImage(position, out);
  };

  EXPECT_THAT(ComputeAt(kSmall32, InitialWeights(kSmall32, 1), task),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("broken.jpg")));
}

TEST(GradientComputerTest, AMicroBatchIsReadWhileTheOneBeforeIsComputed) {
  UnitTask task = MakeTask(8, 4);
  absl::Notification second_is_read;
  task.read_image = [&](int position, absl::Span<float> out) {
    if (position == 7) second_is_read.Notify();
    return ReadNoiseImage(position, out);
  };
  task.on_progress = [&](int done) {
    // Nobody has asked for the second one yet.
    if (done != 1) return;
    EXPECT_TRUE(second_is_read.WaitForNotificationWithTimeout(absl::Minutes(2)));
  };

  EXPECT_OK(ComputeAt(kSmall32, InitialWeights(kSmall32, 1), task));
}

TEST(GradientComputerTest, ComputingWithoutWeightsIsRefused) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<GradientComputer> computer,
                       MakeGradientComputer(kSmall32));

  EXPECT_THAT(computer->Compute(MakeTask(4, 4)), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST(GradientComputerTest, WeightsOfAnotherNetworkAreRefused) {
  ModelConfig wider = kSmall32;
  wider.base_width = 16;

  EXPECT_THAT(ComputeAt(kSmall32, InitialWeights(wider, 1), MakeTask(4, 4)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("main.")));
}

TEST(GradientComputerTest, WeightsThatAreNotFiniteAreRefused) {
  TensorBundle weights = InitialWeights(kSmall32, 1);
  weights.Find("generator.main.3.weight")->mutable_f32()[5] =
      std::numeric_limits<float>::quiet_NaN();

  EXPECT_THAT(ComputeAt(kSmall32, weights, MakeTask(4, 4)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("generator.main.3.weight")));
}

TEST(GradientComputerTest, DivergedRunIsReportedWithTheTensor) {
  TensorBundle weights = InitialWeights(kSmall32, 1);
  for (float& value : weights.Find("discriminator.main.8.weight")->mutable_f32()) value = 1e38f;

  EXPECT_THAT(ComputeAt(kSmall32, weights, MakeTask(4, 4)),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("main.")));
}

TEST(GradientComputerTest, UnknownImageSizeIsRefused) {
  EXPECT_THAT(MakeGradientComputer({.image_size = 48, .latent_dim = 100, .base_width = 8}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("48")));
}

TEST(GradientComputerTest, DataSecondsAreNotComputeSeconds) {
  ASSERT_OK_AND_ASSIGN(const UnitGradient unit,
                       ComputeAt(kSmall32, InitialWeights(kSmall32, 1), MakeTask(8, 4)));

  EXPECT_GT(unit.data_seconds, 0);
  EXPECT_GT(unit.compute_seconds, 0);
}

}  // namespace
}  // namespace gannet
