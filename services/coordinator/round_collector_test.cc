#include "services/coordinator/round_collector.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "libs/aggregate/aggregator.h"
#include "libs/base/testing/fake_clock.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/domain/model_layout.h"
#include "libs/exchange/memory_backend.h"
#include "libs/exchange/testing/memory_inspector.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/tensor/codec.h"
#include "services/coordinator/testing/fake_workers.h"
#include "services/coordinator/testing/faulty_store.h"

namespace gannet::coordinator {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

domain::RunConfig ConfigOf(int units_per_round) {
  domain::RunConfig config = exchange::TinyRunConfig();
  config.units_per_round = units_per_round;
  return config;
}

class RoundCollectorTest : public ::testing::Test {
 protected:
  explicit RoundCollectorTest(int units_per_round = 3) : config_(ConfigOf(units_per_round)) {
    run_ = *backend_.store().CreateRun(exchange::TestNewRun(config_));
    leadership_ =
        *backend_.store().AcquireLeadership(run_, exchange::TestLeader(1), absl::Minutes(1));
    workers_.emplace(backend_.exchange(), config_);
    Fold(aggregate::CreateAggregator("weighted_mean"));
  }

  // Begins the round anew, with gradients folded by that rule.
  void Fold(std::unique_ptr<aggregate::Aggregator> aggregator) {
    collector_.emplace(store_, run_, config_, std::move(aggregator), leadership_, retry_, clock_,
                       telemetry::NullLogger(), coordinator_metrics_);
    collector_->Begin(base::Round(1), config_.units_per_round);
  }

  absl::Status Look() {
    const absl::StatusOr<exchange::RoundProgress> progress =
        store_.GetRoundProgress(run_, base::Round(1));
    return collector_->Take(*progress);
  }

  const domain::RunConfig config_;
  base::FakeClock clock_;
  exchange::MemoryBackend backend_{clock_};
  FaultyStore store_{backend_.store()};
  base::StopSignal stop_;
  telemetry::RetryingCaller retry_{"the database",
                                   clock_,
                                   stop_,
                                   telemetry::NullLogger(),
                                   {absl::Microseconds(10), absl::Microseconds(10), 1.0}};
  telemetry::Metrics metrics_;
  CoordinatorMetrics coordinator_metrics_{metrics_};
  base::RunId run_;
  exchange::Leadership leadership_;
  std::optional<FakeWorkers> workers_;
  std::optional<RoundCollector> collector_;
};

TEST_F(RoundCollectorTest, NoticesThatADatabaseHasGoneBack) {
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers_->ClaimRound());
  for (const size_t slot : {0u, 2u}) ASSERT_OK(workers_->Submit(units[slot]));
  ASSERT_OK(Look());
  ASSERT_OK_AND_ASSIGN(const exchange::RoundProgress now,
                       store_.GetRoundProgress(run_, base::Round(1)));
  ASSERT_TRUE(collector_->StillHas(now));

  for (const size_t i : {0u, 1u}) {  // one that is folded, one that waits for a lower slot
    exchange::RoundProgress gone = now;
    gone.gradients.erase(gone.gradients.begin() + static_cast<ptrdiff_t>(i));
    EXPECT_FALSE(collector_->StillHas(gone));
    exchange::RoundProgress other_unit = now;
    other_unit.gradients[i].unit = base::UnitId(1 << 20);
    EXPECT_FALSE(collector_->StillHas(other_unit));
    exchange::RoundProgress other_bytes = now;
    other_bytes.gradients[i].sha256 = std::string(32, 'x');
    EXPECT_FALSE(collector_->StillHas(other_bytes));
  }
  collector_->Begin(base::Round(1), static_cast<int>(units.size()));
  EXPECT_TRUE(collector_->StillHas({}));
}

TEST_F(RoundCollectorTest, IsCompleteWithTheLastSlot) {
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers_->ClaimRound());
  for (const size_t slot : {2u, 0u}) {
    ASSERT_OK(workers_->Submit(units[slot]));
    ASSERT_OK(Look());
    EXPECT_FALSE(collector_->complete());
  }

  ASSERT_OK(workers_->Submit(units[1]));
  ASSERT_OK(Look());

  ASSERT_TRUE(collector_->complete());
  ASSERT_OK_AND_ASSIGN(const FoldedRound folded, collector_->Finish());
  EXPECT_THAT(folded.consumed, ElementsAre(units[0].unit, units[1].unit, units[2].unit));
  EXPECT_EQ(folded.micro_batch_count, 6);
  EXPECT_EQ(folded.summary.round, base::Round(1));
  EXPECT_EQ(folded.summary.gradient_count, 3);
  EXPECT_EQ(folded.summary.image_count, 12);
  EXPECT_DOUBLE_EQ(folded.summary.discriminator_loss, 1.25);
  EXPECT_DOUBLE_EQ(folded.summary.fake_accuracy, 0.25);
}

// A gradient of one value in all parameters.
tensor::TensorBundle FlatGradient(const domain::RunConfig& config, float value) {
  tensor::TensorBundle gradient;
  for (const tensor::TensorSpec& spec : domain::GradientSpec(config.model)) {
    tensor::Tensor tensor = tensor::Tensor::Zeros(spec);
    if (spec.name.find(".batch_") != std::string::npos) {
      gradient.Add(std::move(tensor));
      continue;
    }
    for (float& each : tensor.mutable_f32()) each = value;
    gradient.Add(std::move(tensor));
  }
  return gradient;
}

TEST_F(RoundCollectorTest, TheMeanIsFoldedInSlotOrder) {
  // In doubles the middle one is lost beside a neighbour, and is all that stays if those two meet
  // first: ordinary gradients would give the same floats in any order.
  const std::vector<tensor::TensorBundle> gradients = {
      FlatGradient(config_, 0x1p56F), FlatGradient(config_, 1.0F), FlatGradient(config_, -0x1p56F)};
  const std::unique_ptr<aggregate::Aggregator> expected =
      aggregate::CreateAggregator("weighted_mean");
  for (const tensor::TensorBundle& gradient : gradients) {
    ASSERT_OK(expected->Add(gradient, config_.images_per_unit));
  }
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers_->ClaimRound());
  for (const size_t slot : {2u, 0u, 1u}) {
    ASSERT_OK(workers_->Submit(units[slot], gradients[slot]));
    ASSERT_OK(Look());
  }

  ASSERT_OK_AND_ASSIGN(const FoldedRound folded, collector_->Finish());

  ASSERT_OK_AND_ASSIGN(const tensor::TensorBundle mean, expected->Finish());
  for (size_t i = 0; i < mean.tensors().size(); ++i) {
    EXPECT_EQ(folded.gradient.tensors()[i].bytes, mean.tensors()[i].bytes);
  }
}

TEST_F(RoundCollectorTest, EachGradientIsFetchedOnce) {
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers_->ClaimRound());
  ASSERT_OK(workers_->Submit(units[2]));
  for (int i = 0; i < 3; ++i) ASSERT_OK(Look());
  ASSERT_OK(workers_->Submit(units[0]));
  for (int i = 0; i < 3; ++i) ASSERT_OK(Look());

  EXPECT_EQ(store_.calls("FetchGradient"), 2);
}

TEST_F(RoundCollectorTest, AGradientWithANanIsRejectedAndItsUnitIsReady) {
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers_->ClaimRound());
  tensor::TensorBundle gradient = FakeGradient(config_, base::Round(1), base::Slot(0));
  gradient.mutable_tensors()[3].mutable_f32()[0] = std::nanf("");
  ASSERT_OK(workers_->Submit(units[0], gradient));

  ASSERT_OK(Look());

  ASSERT_OK_AND_ASSIGN(const exchange::RunDump dump,
                       exchange::MemoryBackendInspector::Dump(backend_, run_));
  EXPECT_EQ(dump.units[0].state, domain::UnitState::kReady);
  EXPECT_EQ(dump.units[0].failures, 1);
  EXPECT_THAT(dump.units[0].failure_reason, HasSubstr("NaN"));
  EXPECT_THAT(metrics_.Render(), HasSubstr("gannet_coordinator_rejected_gradients_total 1"));
}

// As an older version stored it, or a worker in direct mode.
TEST_F(RoundCollectorTest, ValuesBeyondTheirLimitsAreRejectedNamingTensorAndWorker) {
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers_->ClaimRound());
  const std::vector<std::pair<const char*, float>> bad = {
      {".weight", 3e38F}, {"batch_var", -1e6F}, {"batch_mean", 1e30F}};
  for (size_t i = 0; i < bad.size(); ++i) {
    tensor::TensorBundle gradient = FakeGradient(config_, base::Round(1), units[i].slot);
    for (tensor::Tensor& tensor : gradient.mutable_tensors()) {
      if (tensor.spec.name.find(bad[i].first) != std::string::npos) {
        tensor.mutable_f32()[0] = bad[i].second;
      }
    }
    ASSERT_OK(workers_->Submit(units[i], gradient));
  }

  ASSERT_OK(Look());

  ASSERT_OK_AND_ASSIGN(const exchange::RunDump dump,
                       exchange::MemoryBackendInspector::Dump(backend_, run_));
  for (size_t i = 0; i < bad.size(); ++i) {
    EXPECT_EQ(dump.units[i].state, domain::UnitState::kReady);
    EXPECT_THAT(dump.units[i].failure_reason,
                AllOf(HasSubstr(bad[i].first), HasSubstr("gradient of worker 0000"),
                      HasSubstr("('worker ")));
  }
}

TEST_F(RoundCollectorTest, StoredStatisticsThatNobodyWouldTakeTodayAreRejected) {
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers_->ClaimRound());
  for (const exchange::WorkUnit& unit : units) ASSERT_OK(workers_->Submit(unit));
  ASSERT_OK_AND_ASSIGN(exchange::RoundProgress progress,
                       store_.GetRoundProgress(run_, base::Round(1)));
  progress.gradients[0].stats.discriminator_loss = 1e308;
  progress.gradients[1].stats.real_accuracy = -1e30;
  progress.gradients[2].stats.micro_batch_count = std::numeric_limits<int>::max();

  ASSERT_OK(collector_->Take(progress));

  ASSERT_OK_AND_ASSIGN(const exchange::RunDump dump,
                       exchange::MemoryBackendInspector::Dump(backend_, run_));
  EXPECT_THAT(dump.units[0].failure_reason, HasSubstr("discriminator_loss"));
  EXPECT_THAT(dump.units[1].failure_reason, HasSubstr("real_accuracy"));
  EXPECT_THAT(dump.units[2].failure_reason, HasSubstr("micro_batch_count"));
  EXPECT_FALSE(collector_->complete());
}

TEST_F(RoundCollectorTest, OneThatStandsOutAmongAllIsRejected) {
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers_->ClaimRound());
  for (const exchange::WorkUnit& unit : units) {
    tensor::TensorBundle gradient = FakeGradient(config_, base::Round(1), unit.slot);
    if (unit.slot == base::Slot(1)) gradient.mutable_tensors()[0].mutable_f32()[2] = 1e17F;
    ASSERT_OK(workers_->Submit(unit, gradient));
  }
  ASSERT_OK(Look());
  ASSERT_TRUE(collector_->complete());

  EXPECT_THAT(collector_->RejectOutlier(), base::IsOkAndHolds(true));

  ASSERT_OK_AND_ASSIGN(const exchange::RunDump dump,
                       exchange::MemoryBackendInspector::Dump(backend_, run_));
  EXPECT_EQ(dump.units[1].state, domain::UnitState::kReady);
  EXPECT_THAT(dump.units[1].failure_reason,
              AllOf(HasSubstr("stands out"), HasSubstr("worker 0000")));
  collector_->Begin(base::Round(1), 3);
  workers_->SkipTurn();
  ASSERT_OK_AND_ASSIGN(const exchange::WorkUnit again, workers_->ClaimOne());
  ASSERT_OK(workers_->Submit(again));
  ASSERT_OK(Look());
  ASSERT_TRUE(collector_->complete());
  EXPECT_THAT(collector_->RejectOutlier(), base::IsOkAndHolds(false));
}

TEST_F(RoundCollectorTest, TheLargestGradientIsNamed) {
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers_->ClaimRound());
  for (const exchange::WorkUnit& unit : units) {
    tensor::TensorBundle gradient = FakeGradient(config_, base::Round(1), unit.slot);
    if (unit.slot == base::Slot(2)) gradient.mutable_tensors()[0].mutable_f32()[2] = -512.0F;
    ASSERT_OK(workers_->Submit(unit, gradient));
  }
  EXPECT_EQ(collector_->DescribeLargest(), "");
  ASSERT_OK(Look());

  EXPECT_TRUE(collector_->LargestStandsOut());
  EXPECT_THAT(collector_->DescribeLargest(),
              AllOf(HasSubstr("512"), HasSubstr(workers_->HolderOf(units[2]).id.value()),
                    HasSubstr("slot 2"), HasSubstr(absl::StrCat(units[2].unit.value()))));
}

TEST_F(RoundCollectorTest, BytesThatAreNoGradientAreRejected) {
  tensor::TensorBundle other_layout;
  other_layout.Add(tensor::Tensor::FromF32(std::string(2000, '\n'), {1}, {1.0F}));
  ASSERT_OK_AND_ASSIGN(const std::string other, EncodeBundle(other_layout, tensor::Codec::kFp32));
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers_->ClaimRound());
  ASSERT_OK(workers_->SubmitBytes(units[0], "no tensors at all"));
  ASSERT_OK(workers_->SubmitBytes(units[1], other));

  ASSERT_OK(Look());

  ASSERT_OK_AND_ASSIGN(const exchange::RunDump dump,
                       exchange::MemoryBackendInspector::Dump(backend_, run_));
  EXPECT_THAT(dump.units[0].failure_reason, HasSubstr("safetensors"));
  EXPECT_THAT(dump.units[1].failure_reason, HasSubstr("surplus"));
  EXPECT_EQ(dump.units[1].state, domain::UnitState::kReady);
}

TEST_F(RoundCollectorTest, BytesThatAreNotThoseOfTheChecksumAreRejected) {
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers_->ClaimRound());
  ASSERT_OK(workers_->Submit(units[0]));
  store_.FailBefore("FetchGradient", absl::DataLossError("stored bytes are not those sent"));

  EXPECT_OK(Look());

  ASSERT_OK_AND_ASSIGN(const exchange::RunDump dump,
                       exchange::MemoryBackendInspector::Dump(backend_, run_));
  EXPECT_EQ(dump.units[0].state, domain::UnitState::kReady);
  EXPECT_THAT(dump.units[0].failure_reason, HasSubstr("stored bytes"));
}

TEST_F(RoundCollectorTest, ARejectionWhoseAnswerWasLostIsNoError) {
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers_->ClaimRound());
  ASSERT_OK(workers_->SubmitBytes(units[0], "x"));
  store_.LoseAnswer("RejectGradient", absl::UnknownError("in doubt"));

  EXPECT_OK(Look());

  EXPECT_EQ(store_.calls("RejectGradient"), 2);
  ASSERT_OK_AND_ASSIGN(const exchange::RunDump dump,
                       exchange::MemoryBackendInspector::Dump(backend_, run_));
  EXPECT_EQ(dump.units[0].failures, 1);
}

TEST_F(RoundCollectorTest, ADeposedLeaderRejectsNothing) {
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers_->ClaimRound());
  ASSERT_OK(workers_->SubmitBytes(units[0], "x"));
  ASSERT_OK(backend_.store().ResignLeadership(run_, leadership_));

  EXPECT_THAT(Look(), base::StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(RoundCollectorTest, AProgressThatIsHistoryIsIgnored) {
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers_->ClaimRound());
  ASSERT_OK(workers_->SubmitBytes(units[0], "x"));
  ASSERT_OK_AND_ASSIGN(const exchange::RoundProgress old,
                       store_.GetRoundProgress(run_, base::Round(1)));
  ASSERT_OK(Look());  // rejects it

  EXPECT_OK(collector_->Take(old));  // the gradient is gone

  ASSERT_OK_AND_ASSIGN(const exchange::WorkUnit again, workers_->ClaimOne());
  ASSERT_OK(workers_->Submit(again));
  EXPECT_OK(collector_->Take(old));  // another gradient is there

  EXPECT_EQ(store_.calls("RejectGradient"), 1);
}

// The median of each value, and of two the lower: a rule that needs all gradients, and refuses to
// fold a first value that is negative. `most_kept` becomes the most gradients it ever had at once.
class CoordinateMedian final : public aggregate::Aggregator {
 public:
  explicit CoordinateMedian(size_t* most_kept) : most_kept_(most_kept) {}

  bool needs_all() const override { return true; }

 private:
  absl::Status CheckValues(const tensor::TensorBundle& gradient, double /*weight*/) const override {
    if (gradient.tensors()[0].f32()[0] >= 0) return absl::OkStatus();
    return absl::InvalidArgumentError("the median takes no negative value");
  }

  void Fold(tensor::TensorBundle gradient, double /*weight*/, bool /*is_first*/) override {
    kept_.push_back(std::move(gradient));
    *most_kept_ = std::max(*most_kept_, kept_.size());
  }

  void Write(tensor::TensorBundle& out) const override {
    for (size_t i = 0; i < out.tensors().size(); ++i) {
      const absl::Span<float> values = out.mutable_tensors()[i].mutable_f32();
      for (size_t k = 0; k < values.size(); ++k) {
        std::vector<float> all;
        for (const tensor::TensorBundle& gradient : kept_)
          all.push_back(gradient.tensors()[i].f32()[k]);
        absl::c_sort(all);
        values[k] = all[(all.size() - 1) / 2];
      }
    }
  }

  void Forget() override { kept_.clear(); }

  size_t* const most_kept_;
  std::vector<tensor::TensorBundle> kept_;
};

TEST_F(RoundCollectorTest, WhatTheRuleCannotFoldIsRejectedWithItsReason) {
  size_t most_kept = 0;
  Fold(std::make_unique<CoordinateMedian>(&most_kept));
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers_->ClaimRound());
  for (const size_t slot : {0u, 1u, 2u}) {
    ASSERT_OK(workers_->Submit(units[slot], FlatGradient(config_, slot == 1 ? -1.0F : 1.0F)));
  }

  ASSERT_OK(Look());

  ASSERT_OK_AND_ASSIGN(const exchange::RunDump dump,
                       exchange::MemoryBackendInspector::Dump(backend_, run_));
  EXPECT_EQ(dump.units[1].state, domain::UnitState::kReady);
  EXPECT_THAT(dump.units[1].failure_reason,
              AllOf(HasSubstr("takes no negative value"), HasSubstr("gradient of worker")));
  EXPECT_EQ(most_kept, 1u);
  workers_->SkipTurn();
  ASSERT_OK_AND_ASSIGN(const exchange::WorkUnit again, workers_->ClaimOne());
  ASSERT_OK(workers_->Submit(again, FlatGradient(config_, 1.0F)));
  ASSERT_OK(Look());
  EXPECT_TRUE(collector_->complete());
  EXPECT_EQ(most_kept, 3u);
}

class WideRoundCollectorTest : public RoundCollectorTest {
 protected:
  WideRoundCollectorTest() : RoundCollectorTest(12) {}
};

TEST_F(WideRoundCollectorTest, FewGradientsAreHeldWhileALowerSlotIsMissing) {
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers_->ClaimRound());
  for (size_t slot = 1; slot < units.size(); ++slot) ASSERT_OK(workers_->Submit(units[slot]));
  ASSERT_OK(Look());
  EXPECT_EQ(store_.calls("FetchGradient"), RoundCollector::kMaxHeld - 1);  // slots 1 to 7

  ASSERT_OK(workers_->Submit(units[0]));
  ASSERT_OK(Look());

  EXPECT_TRUE(collector_->complete());
  EXPECT_EQ(store_.calls("FetchGradient"), 12);
}

TEST_F(WideRoundCollectorTest, ARuleThatNeedsAllGetsEveryGradientOnceAsItComes) {
  size_t most_kept = 0;
  Fold(std::make_unique<CoordinateMedian>(&most_kept));
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers_->ClaimRound());
  // The values are 0 to 11 in another order than the slots; of those the sixth is 5.
  for (size_t slot = 1; slot < units.size(); ++slot) {
    const float value = static_cast<float>(slot * 7 % 12);
    ASSERT_OK(workers_->Submit(units[slot], FlatGradient(config_, value)));
  }

  ASSERT_OK(Look());

  EXPECT_EQ(store_.calls("FetchGradient"), 11);  // none is left in the store
  EXPECT_EQ(most_kept, 0u);                      // and none folded before its turn
  ASSERT_OK(workers_->Submit(units[0], FlatGradient(config_, 0)));
  ASSERT_OK(Look());
  ASSERT_TRUE(collector_->complete());
  EXPECT_EQ(store_.calls("FetchGradient"), 12);
  EXPECT_EQ(most_kept, 12u);
  ASSERT_OK_AND_ASSIGN(const FoldedRound folded, collector_->Finish());
  EXPECT_EQ(*EncodeBundle(folded.gradient, tensor::Codec::kFp32),
            *EncodeBundle(FlatGradient(config_, 5), tensor::Codec::kFp32));
  EXPECT_EQ(folded.consumed.size(), 12u);
}

TEST_F(WideRoundCollectorTest, ARuleThatNeedsAllForgetsARoundThatBeginsAnew) {
  size_t most_kept = 0;
  Fold(std::make_unique<CoordinateMedian>(&most_kept));
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers_->ClaimRound());
  ASSERT_OK(workers_->Submit(units[3], FlatGradient(config_, 9)));
  ASSERT_OK_AND_ASSIGN(const exchange::RoundProgress one,
                       store_.GetRoundProgress(run_, base::Round(1)));
  ASSERT_THAT(collector_->TakeLast(one, 2), base::IsOkAndHolds(false));
  for (const size_t slot : {5u, 7u}) {
    ASSERT_OK(workers_->Submit(units[slot], FlatGradient(config_, 2)));
  }
  ASSERT_OK_AND_ASSIGN(const exchange::RoundProgress three,
                       store_.GetRoundProgress(run_, base::Round(1)));

  ASSERT_THAT(collector_->TakeLast(three, 2), base::IsOkAndHolds(true));

  ASSERT_OK_AND_ASSIGN(const FoldedRound folded, collector_->Finish());
  EXPECT_EQ(*EncodeBundle(folded.gradient, tensor::Codec::kFp32),
            *EncodeBundle(FlatGradient(config_, 2), tensor::Codec::kFp32));
  EXPECT_EQ(most_kept, 3u);  // had the first one stayed, there would be four
}

TEST_F(WideRoundCollectorTest, ARoundMayEndWithHolesAndIsFoldedInTheOrderOfSlots) {
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers_->ClaimRound());
  for (const size_t slot : {11u, 0u, 2u, 7u}) ASSERT_OK(workers_->Submit(units[slot]));
  ASSERT_OK(Look());
  ASSERT_OK_AND_ASSIGN(const exchange::RoundProgress progress,
                       store_.GetRoundProgress(run_, base::Round(1)));

  EXPECT_THAT(collector_->TakeLast(progress, 4), base::IsOkAndHolds(true));

  ASSERT_TRUE(collector_->complete());
  ASSERT_OK_AND_ASSIGN(const FoldedRound folded, collector_->Finish());
  EXPECT_THAT(folded.consumed,
              ElementsAre(units[0].unit, units[2].unit, units[7].unit, units[11].unit));
  EXPECT_EQ(folded.summary.gradient_count, 4);
  const std::unique_ptr<aggregate::Aggregator> mean = aggregate::CreateAggregator("weighted_mean");
  for (const int slot : {0, 2, 7, 11}) {
    ASSERT_OK(mean->Add(FakeGradient(config_, base::Round(1), base::Slot(slot)), 4));
  }
  ASSERT_OK_AND_ASSIGN(const tensor::TensorBundle expected, mean->Finish());
  EXPECT_EQ(*EncodeBundle(folded.gradient, tensor::Codec::kFp32),
            *EncodeBundle(expected, tensor::Codec::kFp32));
}

TEST_F(WideRoundCollectorTest, WhatIsLateIsFoldedBehindTheOthersWithLessWeight) {
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers_->ClaimRound());
  exchange::PublishRequest request =
      exchange::TestPublish(config_, run_, leadership_, base::WeightsVersion(0));
  request.max_stale_rounds = domain::kMaxStaleRounds;
  ASSERT_OK(store_.Publish(request));
  for (const size_t slot : {1u, 0u}) ASSERT_OK(workers_->Submit(units[slot]));
  ASSERT_OK_AND_ASSIGN(const exchange::WorkUnit first, workers_->ClaimOne());
  ASSERT_OK_AND_ASSIGN(const exchange::WorkUnit second, workers_->ClaimOne());
  for (const exchange::WorkUnit& unit : {second, first}) ASSERT_OK(workers_->Submit(unit));
  ASSERT_OK_AND_ASSIGN(const exchange::RoundProgress progress,
                       store_.GetRoundProgress(run_, base::Round(2)));
  ASSERT_EQ(progress.stale.size(), 2u);

  collector_->Begin(base::Round(2), config_.units_per_round, 0.25);
  ASSERT_THAT(collector_->TakeLast(progress, 2), base::IsOkAndHolds(true));
  ASSERT_OK(collector_->TakeStale(progress));
  ASSERT_OK_AND_ASSIGN(const FoldedRound folded, collector_->Finish());

  EXPECT_THAT(folded.consumed, ElementsAre(first.unit, second.unit, units[0].unit, units[1].unit));
  EXPECT_EQ(folded.stale_count, 2);
  EXPECT_EQ(folded.micro_batch_count, 2 * exchange::TestStats(config_).micro_batch_count);
  EXPECT_EQ(folded.summary.image_count, 4 * config_.images_per_unit);
  const std::unique_ptr<aggregate::Aggregator> mean = aggregate::CreateAggregator("weighted_mean");
  ASSERT_OK(mean->Add(FakeGradient(config_, base::Round(2), base::Slot(0)), 4));
  ASSERT_OK(mean->Add(FakeGradient(config_, base::Round(2), base::Slot(1)), 4));
  ASSERT_OK(mean->Add(FakeGradient(config_, base::Round(1), base::Slot(0)), 1));
  ASSERT_OK(mean->Add(FakeGradient(config_, base::Round(1), base::Slot(1)), 1));
  ASSERT_OK_AND_ASSIGN(const tensor::TensorBundle expected, mean->Finish());
  EXPECT_EQ(*EncodeBundle(folded.gradient, tensor::Codec::kFp32),
            *EncodeBundle(expected, tensor::Codec::kFp32));
}

TEST_F(WideRoundCollectorTest, WithTooFewUsableGradientsTheRoundBeginsAnew) {
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers_->ClaimRound());
  ASSERT_OK(workers_->Submit(units[1]));
  ASSERT_OK(workers_->SubmitBytes(units[2], "x"));
  ASSERT_OK_AND_ASSIGN(const exchange::RoundProgress progress,
                       store_.GetRoundProgress(run_, base::Round(1)));

  EXPECT_THAT(collector_->TakeLast(progress, 2), base::IsOkAndHolds(false));

  EXPECT_FALSE(collector_->complete());
  ASSERT_OK(workers_->Submit(units[3]));
  ASSERT_OK_AND_ASSIGN(const exchange::RoundProgress more,
                       store_.GetRoundProgress(run_, base::Round(1)));
  EXPECT_THAT(collector_->TakeLast(more, 2), base::IsOkAndHolds(true));
  ASSERT_OK_AND_ASSIGN(const FoldedRound folded, collector_->Finish());
  EXPECT_THAT(folded.consumed, ElementsAre(units[1].unit, units[3].unit));
}

}  // namespace
}  // namespace gannet::coordinator
