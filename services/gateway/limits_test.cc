// The small limits of the gateway, by a clock that tests move.
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/fake_clock.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/domain/model_layout.h"
#include "libs/exchange/testing/test_values.h"
#include "services/gateway/gradient_size.h"
#include "services/gateway/refusals.h"
#include "services/gateway/stream_watch.h"
#include "services/gateway/testing/waiting.h"
#include "services/gateway/worker_slots.h"

namespace gannet::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kGradientBytes = 25'400'000;

// ---- Pace

TEST(StreamPaceTest, TwoGradientsAtATimeOverAHomeUplinkOfHalfAMegabitAreFastEnough) {
  const StreamLimits limits;
  // 0.5 Mbit/s, a tenth of it lost to headers, shared by two.
  const double bytes_per_second = 0.9 * 500'000 / 8 / 2;
  const absl::Duration whole = absl::Seconds(kGradientBytes / bytes_per_second);
  for (absl::Duration at = absl::ZeroDuration(); at <= whole; at += absl::Seconds(1)) {
    const auto bytes = static_cast<int64_t>(absl::ToDoubleSeconds(at) * bytes_per_second);
    ASSERT_OK(CheckPace(limits, at, absl::Seconds(1), bytes)) << at;
  }
}

TEST(StreamPaceTest, OneByteAMinuteIsCutRightAfterTheGrace) {
  const StreamLimits limits;
  EXPECT_OK(CheckPace(limits, limits.grace, limits.grace, 1));
  EXPECT_THAT(CheckPace(limits, limits.grace + absl::Seconds(1), absl::Seconds(30), 1),
              base::StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("too slow")));
}

TEST(StreamPaceTest, WhatStandsStillOrTakesTooLongIsCutHoweverFastItWas) {
  const StreamLimits limits;
  const int64_t plenty = int64_t{1} << 40;
  EXPECT_OK(CheckPace(limits, limits.time_limit, limits.stall_limit, plenty));
  EXPECT_THAT(CheckPace(limits, limits.time_limit, limits.stall_limit + absl::Seconds(1), plenty),
              base::StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("stalled")));
  EXPECT_THAT(CheckPace(limits, limits.time_limit + absl::Seconds(1), absl::ZeroDuration(), plenty),
              base::StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("took too long")));
}

class StreamWatchTest : public ::testing::Test {
 protected:
  std::unique_ptr<StreamWatch::Stream> Watch(int number) {
    return watch_.Watch([this, number](const absl::Status& why) {
      EXPECT_THAT(why, base::StatusIs(absl::StatusCode::kDeadlineExceeded));
      cut_.push_back(number);
    });
  }

  base::FakeClock clock_;
  const StreamLimits limits_ = {};
  StreamWatch watch_{clock_, limits_};
  std::vector<int> cut_;
};

TEST_F(StreamWatchTest, OnlySlowStreamsAreCutAndEachOnce) {
  const auto idle = Watch(1);
  const auto steady = Watch(2);
  { const auto finished = Watch(3); }
  for (int second = 0; second < 60; ++second) {
    clock_.Advance(absl::Seconds(1));
    steady->Moved(2 * limits_.least_bytes_per_second);
    watch_.CutSlow();
  }
  EXPECT_THAT(cut_, ElementsAre(1));
}

TEST_F(StreamWatchTest, WhereThereIsNoRoomTheSlowestPastItsGraceMakesIt) {
  const auto slow = Watch(1);
  const auto slower = Watch(2);
  clock_.Advance(limits_.grace);
  EXPECT_FALSE(watch_.CutSlowest()) << "none has had its grace";
  clock_.Advance(absl::Milliseconds(1));
  const auto young = Watch(3);
  slow->Moved(2'000'000);
  slower->Moved(1'000'000);

  EXPECT_TRUE(watch_.CutSlowest());
  EXPECT_TRUE(watch_.CutSlowest());
  EXPECT_FALSE(watch_.CutSlowest());

  EXPECT_THAT(cut_, ElementsAre(2, 1));
}

// ---- Places

TEST(WorkerSlotsTest, AWorkerHasSoManyPlacesAndAllTogetherHaveMore) {
  using Answer = WorkerSlots::Answer;
  WorkerSlots slots(2, 3);
  const WorkerSlots::Key ada(base::RunId(1), exchange::TestWorker(1).id);
  const WorkerSlots::Key bob(base::RunId(1), exchange::TestWorker(2).id);
  WorkerSlots::Slot places[4];

  EXPECT_EQ(slots.TryTake(ada, places[0]), Answer::kTaken);
  EXPECT_EQ(slots.TryTake(ada, places[1]), Answer::kTaken);
  EXPECT_EQ(slots.TryTake(ada, places[2]), Answer::kOwnerHasAll);
  EXPECT_EQ(slots.TryTake(bob, places[2]), Answer::kTaken);
  EXPECT_EQ(slots.TryTake(bob, places[3]), Answer::kFull);
  places[0] = WorkerSlots::Slot();
  EXPECT_EQ(slots.TryTake(bob, places[3]), Answer::kTaken);
}

// ---- Sizes

TEST(GradientSizeTest, AGradientOfTheRunFitsAndLittleMore) {
  const domain::RunConfig config = exchange::TinyRunConfig();
  const tensor::BundleSpec spec = domain::GradientSpec(config.model);
  const auto ours = static_cast<int64_t>(exchange::TestGradient(config, 1.0f).bytes->size());

  EXPECT_OK(CheckGradientSize(spec, tensor::Codec::kFp32, ours));
  EXPECT_LT(MostEncodedBytes(spec, tensor::Codec::kFp32), 2 * ours + (8 << 10));
  EXPECT_LT(MostEncodedBytes(spec, tensor::Codec::kFp16),
            MostEncodedBytes(spec, tensor::Codec::kFp32));
  EXPECT_THAT(CheckGradientSize(spec, tensor::Codec::kFp32, int64_t{256} << 20),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("268435456")));
}

TEST(GradientSizeTest, OfALargeModelTheDataIsNearlyAllThereMayBe) {
  const domain::ModelConfig model{.image_size = 64, .latent_dim = 100, .base_width = 64};
  int64_t data = 0;
  for (const tensor::TensorSpec& tensor : domain::GradientSpec(model))
    data += 4 * tensor.element_count();
  EXPECT_LT(MostEncodedBytes(domain::GradientSpec(model), tensor::Codec::kFp32), data + (32 << 10));
}

// ---- What is said about refusals

TEST(RefusalsTest, AreCountedByReasonAndCurrentForAMinute) {
  telemetry::Metrics metrics;
  base::FakeClock clock;
  Refusals refusals(metrics, clock);
  const std::string counter = "gannet_gateway_refused_total{reason=\"fetches\"}";
  const std::string gauge = "gannet_gateway_refusing{reason=\"fetches\"}";
  EXPECT_EQ(MetricValue(metrics.Render(), counter), 0) << "there before the first one";
  EXPECT_EQ(MetricValue(metrics.Render(), gauge), 0);

  refusals.Count(domain::RefusalReason::kFetches);
  refusals.Count(domain::RefusalReason::kFetches);
  clock.Advance(absl::Seconds(59));
  refusals.Update();

  EXPECT_EQ(MetricValue(metrics.Render(), counter), 2);
  EXPECT_EQ(MetricValue(metrics.Render(), gauge), 1);
  EXPECT_THAT(refusals.Current(), ElementsAre(domain::RefusalReason::kFetches));
  clock.Advance(absl::Seconds(1));
  refusals.Update();
  EXPECT_EQ(MetricValue(metrics.Render(), gauge), 0);
  EXPECT_THAT(refusals.Current(), IsEmpty());
}

}  // namespace
}  // namespace gannet::gateway
