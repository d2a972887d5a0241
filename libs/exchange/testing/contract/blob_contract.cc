#include <cmath>
#include <optional>
#include <vector>

#include "gmock/gmock.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/testing/contract/contract_support.h"
#include "libs/exchange/testing/exchange_contract.h"
#include "libs/exchange/validation.h"

namespace gannet::exchange {
namespace {

using ::testing::SizeIs;

}  // namespace

// ---- Room for blobs

TEST_P(ExchangeContractTest, PreparingARoundFreesWhatIsEightRoundsOld) {
  StartRun(1);
  Join(TestWorker(1));
  std::vector<WorkUnit> units;
  for (int round = 1; round <= kBlobRing + 1; ++round) {
    if (round > 1) Publish(1, /*keep=*/round == 3);  // publishes version round - 1
    units.push_back(ClaimUnit(TestWorker(1)));
    ASSERT_EQ(units.back().round, base::Round(round));
    ASSERT_OK(Submit(TestWorker(1), units.back(), static_cast<float>(round)));
  }
  ASSERT_EQ(Status().weights_version, base::WeightsVersion(kBlobRing));
  const auto weights_of = [&](int64_t version) {
    return exchange().FetchWeights({TestWorker(1), run_, base::WeightsVersion(version)});
  };

  ASSERT_OK(store().ReclaimOldBlobs(run_, leadership_, base::Round(kBlobRing + 1)));

  EXPECT_THAT(store().FetchGradient(run_, units[0].unit), base::StatusIs(kNotFound));
  for (size_t round = 2; round <= kBlobRing + 1; ++round) {
    EXPECT_OK(store().FetchGradient(run_, units[round - 1].unit)) << "round " << round;
  }
  EXPECT_OK(weights_of(0)) << "version 0 shares the place of version 8";
  EXPECT_THAT(weights_of(1), base::StatusIs(kNotFound));
  EXPECT_OK(weights_of(2));
  EXPECT_OK(weights_of(kBlobRing));

  ASSERT_OK(store().ReclaimOldBlobs(run_, leadership_, base::Round(kBlobRing + 2)));
  ASSERT_OK(store().ReclaimOldBlobs(run_, leadership_, base::Round(kBlobRing + 2)));

  EXPECT_THAT(store().FetchGradient(run_, units[1].unit), base::StatusIs(kNotFound));
  EXPECT_OK(store().FetchGradient(run_, units[2].unit));
  EXPECT_OK(weights_of(2)) << "kept permanently";
  EXPECT_OK(weights_of(3));
  EXPECT_THAT(Must(store().GetRoundProgress(run_, base::Round(1))).gradients, SizeIs(1))
      << "what is known about a gradient stays";
  EXPECT_THAT(Submit(TestWorker(1), units[0], 1.0f),
              base::IsOkAndHolds(domain::SubmitOutcome::kAlreadyAccepted));
  const Store::Snapshot snapshot = Must(store().LoadSnapshot(run_));
  EXPECT_EQ(snapshot.weights.sha256, TestWeights(config_, kBlobRing).sha256);
  EXPECT_TRUE(snapshot.adam_state.IsIntact());
}

TEST_P(ExchangeContractTest, KeptWeightsStayWhenTheirPlaceIsUsedAgain) {
  StartRun(1);
  Join(TestWorker(1));
  for (int version = 1; version <= 2 * kBlobRing + 1; ++version) {
    ASSERT_OK(store().ReclaimOldBlobs(run_, leadership_, base::Round(version + 1)));
    Publish(1, /*keep=*/version == 1 || version == kBlobRing);
  }
  for (const int version : {1, kBlobRing}) {
    const Payload weights =
        Must(exchange().FetchWeights({TestWorker(1), run_, base::WeightsVersion(version)}));
    EXPECT_EQ(*weights.bytes, *TestWeights(config_, static_cast<float>(version)).bytes);
  }
  for (const int version : {0, 2, kBlobRing + 1, kBlobRing + 2}) {
    EXPECT_THAT(exchange().FetchWeights({TestWorker(1), run_, base::WeightsVersion(version)}),
                base::StatusIs(kNotFound))
        << "version " << version;
  }
  EXPECT_OK(exchange().FetchWeights({TestWorker(1), run_, base::WeightsVersion(kBlobRing + 3)}));
}

TEST_P(ExchangeContractTest, TheBestWeightsStayUntilBetterOnesAreKept) {
  StartRun(1);
  EXPECT_EQ(Status().best, std::nullopt);
  EXPECT_THAT(store().LoadBest(run_), base::StatusIs(kNotFound));
  EXPECT_THAT(store().LoadBest(kNoSuchRun), base::StatusIs(kNotFound));
  const auto keep = [&](int64_t version, double distance) {
    return store().SaveBest(run_, leadership_, {base::WeightsVersion(version), distance},
                            TestWeights(config_, static_cast<float>(version)));
  };
  const auto expect_best = [&](int64_t version, double distance) {
    EXPECT_EQ(Status().best, (BestWeights{base::WeightsVersion(version), distance}));
    const Store::BestSnapshot best = Must(store().LoadBest(run_));
    EXPECT_EQ(best.best, (BestWeights{base::WeightsVersion(version), distance}));
    EXPECT_EQ(*best.weights.bytes, *TestWeights(config_, static_cast<float>(version)).bytes);
    EXPECT_TRUE(best.weights.IsIntact());
  };
  Publish(1);
  ASSERT_OK(keep(1, 0.5));
  expect_best(1, 0.5);

  for (int version = 2; version <= 2 * kBlobRing; ++version) {
    ASSERT_OK(store().ReclaimOldBlobs(run_, leadership_, base::Round(version + 1)));
    Publish(1);
  }
  expect_best(1, 0.5);

  ASSERT_OK(keep(3, 0.25)) << "measured when its place was used already";
  ASSERT_OK(keep(3, 0.25)) << "its answer was lost";
  expect_best(3, 0.25);

  EXPECT_THAT(keep(2 * kBlobRing + 1, 0.1), base::StatusIs(kInvalid)) << "not published";
  EXPECT_THAT(keep(-1, 0.1), base::StatusIs(kInvalid));
  EXPECT_THAT(keep(3, -0.1), base::StatusIs(kInvalid));
  EXPECT_THAT(keep(3, std::nan("")), base::StatusIs(kInvalid));
  Leadership deposed = leadership_;
  deposed.term -= 1;
  EXPECT_THAT(
      store().SaveBest(run_, deposed, {base::WeightsVersion(3), 0.1}, TestWeights(config_, 3)),
      base::StatusIs(kFailedPrecondition));
  Payload damaged = TestWeights(config_, 3);
  damaged.sha256[0] ^= 1;
  EXPECT_THAT(store().SaveBest(run_, leadership_, {base::WeightsVersion(3), 0.1}, damaged),
              base::StatusIs(absl::StatusCode::kDataLoss));
  expect_best(3, 0.25);
}

TEST_P(ExchangeContractTest, APlaceThatWasNotPreparedLosesNothingNew) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit old = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(1), old, 1.0f));
  for (int version = 1; version <= kBlobRing; ++version) Publish(1);
  const WorkUnit current = ClaimUnit(TestWorker(1));
  ASSERT_EQ(current.round, base::Round(kBlobRing + 1));
  ASSERT_OK(Submit(TestWorker(1), current, 9.0f));
  ASSERT_OK(store().FetchGradient(run_, old.unit));

  ASSERT_OK(store().ReclaimOldBlobs(run_, leadership_, base::Round(kBlobRing + 1)));

  EXPECT_THAT(store().FetchGradient(run_, old.unit), base::StatusIs(kNotFound));
  const Payload kept = Must(store().FetchGradient(run_, current.unit));
  EXPECT_EQ(*kept.bytes, *TestGradient(config_, 9.0f).bytes);
}

TEST_P(ExchangeContractTest, OneRunsRoomIsNotAnothers) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(1), unit));
  const domain::RunConfig other = TinyRunConfig("other");
  const base::RunId other_run = Must(store().CreateRun(TestNewRun(other)));
  const Leadership lead =
      Must(store().AcquireLeadership(other_run, TestLeader(2), kMaxLeadershipTtl));
  for (int version = 1; version <= kBlobRing; ++version) {
    ASSERT_OK(store().ReclaimOldBlobs(other_run, lead, base::Round(version + 1)));
    ASSERT_OK(
        store().Publish(TestPublish(other, other_run, lead, base::WeightsVersion(version - 1))));
  }

  EXPECT_OK(store().FetchGradient(run_, unit.unit));
  EXPECT_OK(exchange().FetchWeights({TestWorker(1), run_, base::WeightsVersion(0)}));
}

TEST_P(ExchangeContractTest, ARunThatHasEndedKeepsOnlyWhatIsAskedFor) {
  StartRun(1);
  Join(TestWorker(1));
  std::vector<WorkUnit> units;
  for (int version = 1; version <= 3; ++version) {
    units.push_back(ClaimUnit(TestWorker(1)));
    ASSERT_OK(Submit(TestWorker(1), units.back(), static_cast<float>(version)));
    Publish(1, /*keep=*/version == 1);
  }
  units.push_back(ClaimUnit(TestWorker(1)));
  ASSERT_OK(Submit(TestWorker(1), units.back(), 4.0f));
  EXPECT_THAT(store().ReclaimBlobs(run_, leadership_), base::StatusIs(kFailedPrecondition))
      << "a round is open";
  EXPECT_OK(store().FetchGradient(run_, units.back().unit));
  ASSERT_OK(store().SetRunState(run_, domain::RunState::kStopped, "the lesson ends"));
  Leadership deposed = leadership_;
  deposed.term -= 1;
  EXPECT_THAT(store().ReclaimBlobs(run_, deposed), base::StatusIs(kFailedPrecondition));

  ASSERT_OK(store().ReclaimBlobs(run_, leadership_));
  ASSERT_OK(store().ReclaimBlobs(run_, leadership_)) << "its answer was lost";

  for (const WorkUnit& unit : units) {
    EXPECT_THAT(store().FetchGradient(run_, unit.unit), base::StatusIs(kNotFound));
  }
  EXPECT_THAT(Submit(TestWorker(1), units[0], 1.0f),
              base::IsOkAndHolds(domain::SubmitOutcome::kAlreadyAccepted));
  const auto weights_of = [&](int64_t version) {
    return exchange().FetchWeights({TestWorker(1), run_, base::WeightsVersion(version)});
  };
  EXPECT_THAT(weights_of(0), base::StatusIs(kNotFound));
  EXPECT_EQ(*Must(weights_of(1)).bytes, *TestWeights(config_, 1).bytes) << "kept permanently";
  EXPECT_THAT(weights_of(2), base::StatusIs(kNotFound));
  EXPECT_EQ(*Must(weights_of(3)).bytes, *TestWeights(config_, 3).bytes) << "the current ones";
  const Store::Snapshot snapshot = Must(store().LoadSnapshot(run_));
  EXPECT_EQ(snapshot.version, base::WeightsVersion(3));
  EXPECT_TRUE(snapshot.weights.IsIntact());
  EXPECT_TRUE(snapshot.adam_state.IsIntact());
  EXPECT_THAT(Must(store().ListRounds(run_, base::Round(0), kMaxPage)), SizeIs(3));
}

TEST_P(ExchangeContractTest, ADeletedRunLeavesNothingAndDisturbsNobody) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(1), unit));
  const domain::RunConfig other = TinyRunConfig("other");
  const base::RunId other_run = Must(store().CreateRun(TestNewRun(other)));
  const Leadership lead =
      Must(store().AcquireLeadership(other_run, TestLeader(2), kMaxLeadershipTtl));
  ASSERT_OK(store().Publish(TestPublish(other, other_run, lead, base::WeightsVersion(0))));
  ASSERT_OK(
      store().SaveBest(other_run, lead, {base::WeightsVersion(1), 0.5}, TestWeights(other, 1.0f)));

  EXPECT_THAT(store().DeleteRun(kNoSuchRun), base::StatusIs(kNotFound));
  EXPECT_THAT(store().DeleteRun(other_run), base::StatusIs(kFailedPrecondition))
      << "it has a leader";
  ASSERT_OK(store().ResignLeadership(other_run, lead));
  ASSERT_OK(store().DeleteRun(other_run));

  EXPECT_THAT(store().DeleteRun(other_run), base::StatusIs(kNotFound));
  EXPECT_THAT(store().FindRun("other"), base::StatusIs(kNotFound));
  EXPECT_THAT(store().GetRunStatus(other_run), base::StatusIs(kNotFound));
  EXPECT_OK(store().FetchGradient(run_, unit.unit));
  EXPECT_OK(exchange().FetchWeights({TestWorker(1), run_, base::WeightsVersion(0)}));
  const base::RunId again = Must(store().CreateRun(TestNewRun(other)));
  EXPECT_NE(again, other_run) << "the name is free, the id is not";
}

TEST_P(ExchangeContractTest, OnlyTheRoundsToComeArePrepared) {
  StartRun();
  for (const int64_t round : {-1, 0, 3, 8}) {
    EXPECT_THAT(store().ReclaimOldBlobs(run_, leadership_, base::Round(round)),
                base::StatusIs(kInvalid));
  }
  EXPECT_OK(store().ReclaimOldBlobs(run_, leadership_, base::Round(1)));
  EXPECT_OK(store().ReclaimOldBlobs(run_, leadership_, base::Round(2)));
}

}  // namespace gannet::exchange
