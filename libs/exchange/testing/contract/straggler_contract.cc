#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/testing/contract/contract_support.h"
#include "libs/exchange/testing/exchange_contract.h"
#include "libs/exchange/validation.h"

namespace gannet::exchange {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

}  // namespace

// ---- Speculative copies: a second unit in the slot of a slow one

// A run whose median unit takes ten seconds, in its second round of two units; speculative copies
// after twenty.
void ExchangeContractTest::StartRunWithSpeculation() {
  config_.policy.speculation_multiplier = 2;
  StartRun(1);
  for (int worker = 1; worker <= 3; ++worker) Join(TestWorker(worker));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  backend().AdvanceTime(absl::Seconds(10));
  Must(Submit(TestWorker(1), unit).status());
  Publish(2);
}

TEST_P(ExchangeContractTest, TheMedianTimeIsTheMedianOfTheLastRoundFromClaimToAccept) {
  StartRun(3);
  EXPECT_EQ(Status().median_unit_time, absl::ZeroDuration()) << "not known yet";
  for (int worker = 1; worker <= 3; ++worker) {
    Join(TestWorker(worker));
    const WorkUnit unit = ClaimUnit(TestWorker(worker));
    backend().AdvanceTime(worker * absl::Milliseconds(500));
    ASSERT_OK(Submit(TestWorker(worker), unit));
  }
  Publish();

  EXPECT_EQ(Status().median_unit_time, absl::Seconds(1));
  Publish();
  EXPECT_EQ(Status().median_unit_time, absl::Seconds(1))
      << "a round without gradients tells nothing";
}

TEST_P(ExchangeContractTest, ALeaseIsAsLongAsTheMedianTimeSuggests) {
  config_.lease = absl::Seconds(300);
  StartRunWithSpeculation();

  const WorkUnit unit = ClaimUnit(TestWorker(1));
  EXPECT_EQ(unit.lease, domain::UnitLease(config_.lease, absl::Seconds(10)));
  EXPECT_EQ(unit.lease, absl::Seconds(40));
  backend().AdvanceTime(absl::Seconds(39));
  ASSERT_OK(Heartbeat(TestWorker(1), unit, 1));
  backend().AdvanceTime(absl::Seconds(39));
  EXPECT_THAT(store().ReapExpiredLeases(run_, leadership_), base::IsOkAndHolds(0))
      << "renewed by 40 s";
  backend().AdvanceTime(absl::Seconds(1));
  EXPECT_THAT(store().ReapExpiredLeases(run_, leadership_), base::IsOkAndHolds(1));
}

TEST_P(ExchangeContractTest, ASlowUnitGetsASpareWhenNothingElseIsToDo) {
  StartRunWithSpeculation();
  const WorkUnit slow = ClaimUnit(TestWorker(1));
  backend().AdvanceTime(absl::Seconds(20));
  const WorkUnit other = ClaimUnit(TestWorker(2));
  EXPECT_NE(other.slot, slow.slot) << "what is free goes first";
  ExpectNothingToClaim(TestWorker(3));
  backend().AdvanceTime(absl::Milliseconds(1));
  ExpectNothingToClaim(TestWorker(1));

  const WorkUnit copy = ClaimUnit(TestWorker(3));

  EXPECT_NE(copy.unit, slow.unit);
  EXPECT_EQ(copy.attempt, base::Attempt(1));
  EXPECT_EQ(copy.round, slow.round);
  EXPECT_EQ(copy.slot, slow.slot);
  EXPECT_EQ(copy.image_indices, slow.image_indices);
  EXPECT_EQ(copy.seed, slow.seed);
  ExpectNothingToClaim(TestWorker(2));
  EXPECT_EQ(Progress(2).leased, 3);
}

TEST_P(ExchangeContractTest, TheFasterOfTwoInASlotCountsAndTheOtherIsADuplicate) {
  for (const bool speculative_wins : {true, false}) {
    SetUp();
    StartRunWithSpeculation();
    const WorkUnit slow = ClaimUnit(TestWorker(1));
    ASSERT_OK(Submit(TestWorker(2), ClaimUnit(TestWorker(2))));
    backend().AdvanceTime(absl::Seconds(21));
    const WorkUnit copy = ClaimUnit(TestWorker(3));
    const WorkerIdentity winner = TestWorker(speculative_wins ? 3 : 1);
    const WorkerIdentity loser = TestWorker(speculative_wins ? 1 : 3);
    const WorkUnit& won = speculative_wins ? copy : slow;
    const WorkUnit& lost = speculative_wins ? slow : copy;
    const int64_t before = Summary(winner).accepted_unit_count;
    const int64_t loser_before = Summary(loser).accepted_unit_count;
    const int64_t wasted_before = Summary(loser).wasted_image_count;
    const int64_t all_wasted_before = Status().wasted_image_count;

    EXPECT_THAT(Submit(winner, won), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
    EXPECT_THAT(Must(Heartbeat(loser, lost, 1)).dropped, ElementsAre(lost.unit));
    EXPECT_THAT(Submit(loser, lost), base::IsOkAndHolds(domain::SubmitOutcome::kDuplicate));
    EXPECT_THAT(Submit(loser, lost), base::IsOkAndHolds(domain::SubmitOutcome::kDuplicate));
    EXPECT_THAT(Submit(winner, won), base::IsOkAndHolds(domain::SubmitOutcome::kAlreadyAccepted));

    EXPECT_THAT(Progress(2).gradients, SizeIs(2));
    EXPECT_EQ(Progress(2).leased + Progress(2).ready, 0);
    EXPECT_EQ(Summary(winner).accepted_unit_count, before + 1);
    EXPECT_EQ(Summary(loser).accepted_unit_count, loser_before);
    EXPECT_EQ(Summary(loser).duplicate_unit_count, 1) << "counted once, however often it is sent";
    const auto images = static_cast<int64_t>(lost.image_indices.size());
    EXPECT_EQ(Summary(loser).wasted_image_count, wasted_before + images);
    EXPECT_EQ(Status().wasted_image_count, all_wasted_before + images);
  }
}

TEST_P(ExchangeContractTest, ASpareThatIsGivenBackMakesRoomForAnother) {
  StartRunWithSpeculation();
  const WorkUnit slow = ClaimUnit(TestWorker(1));
  ClaimUnit(TestWorker(1));
  backend().AdvanceTime(absl::Seconds(21));
  const WorkUnit first = ClaimUnit(TestWorker(2));
  ASSERT_OK(exchange().Release(TestWorker(2), run_, first.unit, first.attempt));
  EXPECT_EQ(Progress(2).ready, 0) << "it is closed, not free";

  const WorkUnit second = ClaimUnit(TestWorker(2));

  EXPECT_EQ(second.slot, slow.slot);
  EXPECT_NE(second.unit, first.unit);
  EXPECT_THAT(Submit(TestWorker(2), first), base::IsOkAndHolds(domain::SubmitOutcome::kClosed));
  EXPECT_THAT(Submit(TestWorker(2), second), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
}

TEST_P(ExchangeContractTest, ASpareThatIsAsSlowGetsHelpOnce) {
  StartRunWithSpeculation();
  Join(TestWorker(4));
  const WorkUnit slow = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(2), ClaimUnit(TestWorker(2))));
  backend().AdvanceTime(absl::Seconds(21));
  const WorkUnit copy = ClaimUnit(TestWorker(3));
  for (const auto& [worker, unit] : {std::pair{1, slow}, std::pair{3, copy}}) {
    ASSERT_THAT(Must(Heartbeat(TestWorker(worker), unit, 1)).dropped, IsEmpty());
  }
  backend().AdvanceTime(absl::Seconds(20));
  ExpectNothingToClaim(TestWorker(2));
  backend().AdvanceTime(absl::Microseconds(1));
  ExpectNothingToClaim(TestWorker(1));
  ExpectNothingToClaim(TestWorker(3));

  const WorkUnit help = ClaimUnit(TestWorker(2));

  EXPECT_EQ(help.slot, slow.slot);
  backend().AdvanceTime(absl::Seconds(21));
  ExpectNothingToClaim(TestWorker(4));
  EXPECT_THAT(Submit(TestWorker(2), help), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
  EXPECT_THAT(Submit(TestWorker(1), slow), base::IsOkAndHolds(domain::SubmitOutcome::kDuplicate));
  EXPECT_THAT(Submit(TestWorker(3), copy), base::IsOkAndHolds(domain::SubmitOutcome::kDuplicate));
  EXPECT_EQ(Progress(2).leased, 0);
}

TEST_P(ExchangeContractTest, ARejectedSpareIsHandedOutAgain) {
  StartRunWithSpeculation();
  ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(2), ClaimUnit(TestWorker(2))));
  backend().AdvanceTime(absl::Seconds(21));
  const WorkUnit copy = ClaimUnit(TestWorker(3));
  ASSERT_OK(Submit(TestWorker(3), copy));
  ASSERT_OK(store().RejectGradient(run_, leadership_, copy.unit, "a NaN"));

  // The slow one was closed: this is the only unit left in its slot, and behaves like any.
  WorkUnit again = ClaimUnit(TestWorker(2));
  EXPECT_EQ(again.unit, copy.unit);
  ASSERT_OK(exchange().Release(TestWorker(2), run_, again.unit, again.attempt));
  again = ClaimUnit(TestWorker(2));
  EXPECT_EQ(again.unit, copy.unit);
  EXPECT_THAT(Submit(TestWorker(2), again), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
}

TEST_P(ExchangeContractTest, WhatIsRefusedCountsAsWasted) {
  StartRun(2);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit zombie = ClaimUnit(TestWorker(1));
  ASSERT_OK(exchange().Release(TestWorker(1), run_, zombie.unit, zombie.attempt));
  ClaimUnit(TestWorker(2));
  const auto images = static_cast<int64_t>(zombie.image_indices.size());

  ASSERT_THAT(Submit(TestWorker(1), zombie),
              base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded));
  ASSERT_THAT(Submit(TestWorker(1), zombie),
              base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded));
  EXPECT_EQ(Summary(TestWorker(1)).wasted_image_count, images);
  EXPECT_EQ(Summary(TestWorker(1)).duplicate_unit_count, 0);

  const WorkUnit closed = ClaimUnit(TestWorker(1));
  Publish();
  ASSERT_THAT(Submit(TestWorker(1), closed), base::IsOkAndHolds(domain::SubmitOutcome::kClosed));
  EXPECT_EQ(Status().wasted_image_count, 2 * images);
}

TEST_P(ExchangeContractTest, OnlyWhoHadTheLeaseIsChargedForWhatIsRefused) {
  StartRun(2);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit first = ClaimUnit(TestWorker(1));
  ASSERT_OK(exchange().Release(TestWorker(1), run_, first.unit, first.attempt));
  const WorkUnit second = ClaimUnit(TestWorker(1));
  ASSERT_EQ(second.unit, first.unit);
  const auto images = static_cast<int64_t>(first.image_indices.size());
  for (const WorkUnit& asked : {first, second}) {
    ASSERT_THAT(Submit(TestWorker(2), asked),
                base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded));
  }
  ASSERT_OK(Submit(TestWorker(1), second));
  ASSERT_OK(store().RejectGradient(run_, leadership_, second.unit, "a NaN"));
  ASSERT_THAT(Submit(TestWorker(2), second),
              base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded));
  EXPECT_EQ(Summary(TestWorker(2)).wasted_image_count, 0);

  // Nor does a stranger's question use up what is counted once.
  ASSERT_THAT(Submit(TestWorker(1), first), base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded));
  EXPECT_EQ(Summary(TestWorker(1)).wasted_image_count, images);
  ASSERT_THAT(Submit(TestWorker(1), second),
              base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded));
  EXPECT_EQ(Summary(TestWorker(1)).wasted_image_count, 2 * images);
}

// ---- Stale work: what a publication carries over

void ExchangeContractTest::PublishTakingAlong(int max_stale_rounds, int unit_count) {
  const base::WeightsVersion version = Status().weights_version;
  const RoundProgress progress = Progress(version.value() + 1);
  PublishRequest request = TestPublish(config_, run_, leadership_, version);
  request.next_units.resize(static_cast<size_t>(unit_count));
  request.max_stale_rounds = max_stale_rounds;
  std::vector<std::string> checksums;
  for (const auto* gradients : {&progress.gradients, &progress.stale}) {
    for (const GradientInfo& info : *gradients) {
      request.consumed.push_back(info.unit);
      checksums.push_back(info.sha256);
    }
  }
  request.consumed_sha256 = ConsumedSha256(checksums);
  Must(store().Publish(request));
}

TEST_P(ExchangeContractTest, APublicationTakesStaleWorkAlong) {
  StartRun(3);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const ClaimRequest request = NewClaim(TestWorker(1));
  const WorkUnit stale = *Must(exchange().Claim(request)).unit;
  ASSERT_OK(Submit(TestWorker(2), ClaimUnit(TestWorker(2))));
  ASSERT_OK(Heartbeat(TestWorker(1), stale, 1));
  PublishTakingAlong(1, 2);

  EXPECT_EQ(Progress(1).leased + Progress(1).stale_leased, 0);
  EXPECT_EQ(Progress(2).stale_leased, 1);
  EXPECT_EQ(Progress(2).leased, 0);
  EXPECT_EQ(Progress(2).ready, 2);
  EXPECT_THAT(Must(Heartbeat(TestWorker(1), stale, 2)).dropped, IsEmpty());
  const WorkUnit again = *Must(exchange().Claim(request)).unit;
  EXPECT_EQ(again.unit, stale.unit);
  EXPECT_EQ(again.attempt, stale.attempt);
  EXPECT_EQ(again.round, stale.round);
  EXPECT_EQ(again.slot, stale.slot);
  EXPECT_EQ(again.image_indices, stale.image_indices);
  EXPECT_EQ(again.weights_version, stale.weights_version);
  EXPECT_EQ(again.weights_sha256, stale.weights_sha256);

  EXPECT_THAT(Submit(TestWorker(1), stale), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
  EXPECT_THAT(Submit(TestWorker(1), stale),
              base::IsOkAndHolds(domain::SubmitOutcome::kAlreadyAccepted));
  const RoundProgress progress = Progress(2);
  EXPECT_THAT(progress.gradients, IsEmpty());
  ASSERT_THAT(progress.stale, SizeIs(1));
  EXPECT_EQ(progress.stale[0].unit, stale.unit);
  EXPECT_EQ(progress.stale[0].stale_rounds, 1);
  EXPECT_EQ(progress.stale[0].slot, base::Slot(2)) << "behind those of the round";
  EXPECT_EQ(progress.stale_leased, 0);
  EXPECT_EQ(Must(store().FetchGradient(run_, stale.unit)).sha256, progress.stale[0].sha256);
  EXPECT_EQ(Summary(TestWorker(1)).accepted_unit_count, 1);

  PublishTakingAlong(1);
  EXPECT_EQ(Status().wasted_image_count, 0);
  EXPECT_EQ(Progress(3).stale_leased, 0);
  EXPECT_THAT(Submit(TestWorker(1), stale),
              base::IsOkAndHolds(domain::SubmitOutcome::kAlreadyAccepted));
}

TEST_P(ExchangeContractTest, WhatIsCarriedOverButNotConsumedIsWasted) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit stale = ClaimUnit(TestWorker(1));
  PublishTakingAlong(1);
  ASSERT_OK(Submit(TestWorker(1), stale));
  Publish();
  EXPECT_EQ(Status().wasted_image_count, static_cast<int64_t>(stale.image_indices.size()));
}

TEST_P(ExchangeContractTest, BothUnitsOfAWorkerAreCarriedOver) {
  StartRun(3);
  Join(TestWorker(1));
  const WorkUnit uploading = ClaimUnit(TestWorker(1));
  const WorkUnit computing = ClaimUnit(TestWorker(1));
  PublishTakingAlong(domain::kMaxStaleRounds);

  EXPECT_EQ(Progress(2).stale_leased, 2);
  EXPECT_THAT(Submit(TestWorker(1), computing),
              base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
  EXPECT_THAT(Submit(TestWorker(1), uploading),
              base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
}

TEST_P(ExchangeContractTest, OfASlotOnlyTheUnitThatMadeProgressLastIsCarriedOver) {
  for (const bool speculative_is_ahead : {true, false}) {
    SetUp();
    StartRunWithSpeculation();
    const WorkUnit slow = ClaimUnit(TestWorker(1));
    ASSERT_OK(Submit(TestWorker(2), ClaimUnit(TestWorker(2))));
    backend().AdvanceTime(absl::Seconds(21));
    const WorkUnit copy = ClaimUnit(TestWorker(3));
    ASSERT_EQ(copy.slot, slow.slot);
    backend().AdvanceTime(absl::Seconds(1));
    if (!speculative_is_ahead) {
      ASSERT_OK(Heartbeat(TestWorker(1), slow, 1));
    }
    PublishTakingAlong(1);

    EXPECT_EQ(Progress(3).stale_leased, 1) << "their images would count twice";
    const WorkerIdentity most_recent = TestWorker(speculative_is_ahead ? 3 : 1);
    const WorkerIdentity other = TestWorker(speculative_is_ahead ? 1 : 3);
    EXPECT_THAT(Submit(other, speculative_is_ahead ? slow : copy),
                base::IsOkAndHolds(domain::SubmitOutcome::kClosed));
    EXPECT_THAT(Submit(most_recent, speculative_is_ahead ? copy : slow),
                base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
    EXPECT_EQ(Status().median_unit_time, absl::Seconds(0)) << "of the unit that was in time";
    PublishTakingAlong(1);
    EXPECT_EQ(Status().median_unit_time, absl::Seconds(0)) << "stale ones say nothing of it";
  }
}

TEST_P(ExchangeContractTest, StaleWorkThatComesBackIsClosed) {
  for (const char* how : {"released", "failed", "expired", "rejected", "restarted", "left"}) {
    SCOPED_TRACE(how);
    SetUp();
    StartRun(1);
    Join(TestWorker(1));
    Join(TestWorker(2));
    const WorkUnit stale = ClaimUnit(TestWorker(1));
    PublishTakingAlong(domain::kMaxStaleRounds, 1);
    ASSERT_EQ(Progress(2).stale_leased, 1);
    const std::string what = how;
    if (what == "released") {
      ASSERT_OK(exchange().Release(TestWorker(1), run_, stale.unit, stale.attempt));
    } else if (what == "failed") {
      ASSERT_OK(exchange().Fail(TestWorker(1), run_, stale.unit, stale.attempt, "no such file"));
    } else if (what == "expired") {
      backend().AdvanceTime(config_.lease);
      ASSERT_THAT(store().ReapExpiredLeases(run_, leadership_), base::IsOkAndHolds(1));
    } else if (what == "rejected") {
      ASSERT_OK(Submit(TestWorker(1), stale));
      ASSERT_OK(store().RejectGradient(run_, leadership_, stale.unit, "a NaN"));
      EXPECT_EQ(Summary(TestWorker(1)).accepted_unit_count, 0);
    } else if (what == "restarted") {
      Join(TestWorker(1, 2));
    } else {
      ASSERT_OK(exchange().Leave(TestWorker(1), run_));
    }

    EXPECT_EQ(Progress(2).stale_leased, 0);
    EXPECT_EQ(Progress(2).failed, 0);
    EXPECT_THAT(Progress(2).stale, IsEmpty());
    EXPECT_EQ(Status().state, domain::RunState::kRunning);
    EXPECT_EQ(ClaimUnit(TestWorker(2)).round, base::Round(2));
    ExpectNothingToClaim(TestWorker(2));
    if (what != "restarted") {
      EXPECT_THAT(Submit(TestWorker(1), stale), base::IsOkAndHolds(domain::SubmitOutcome::kClosed));
    }
  }
}

TEST_P(ExchangeContractTest, StaleWorkIsCarriedOverSoOftenAndNoMore) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit stale = ClaimUnit(TestWorker(1));
  PublishTakingAlong(2);
  PublishTakingAlong(2);
  EXPECT_EQ(Progress(3).stale_leased, 1);
  PublishTakingAlong(2);
  EXPECT_EQ(Progress(4).stale_leased, 0);
  EXPECT_THAT(Submit(TestWorker(1), stale), base::IsOkAndHolds(domain::SubmitOutcome::kClosed));
}

TEST_P(ExchangeContractTest, StaleWorkOfTwoRoundsAndOfTheOpenOneIsToldApart) {
  StartRun(2);
  Join(TestWorker(1));
  Join(TestWorker(2));
  Join(TestWorker(3));
  const WorkUnit oldest = ClaimUnit(TestWorker(1));
  PublishTakingAlong(domain::kMaxStaleRounds);
  backend().AdvanceTime(absl::Seconds(1));
  const WorkUnit old = ClaimUnit(TestWorker(2));
  PublishTakingAlong(domain::kMaxStaleRounds);
  ASSERT_OK(Submit(TestWorker(2), old));
  ASSERT_OK(Submit(TestWorker(3), ClaimUnit(TestWorker(3))));
  ASSERT_OK(Submit(TestWorker(1), oldest));

  const RoundProgress progress = Progress(3);
  EXPECT_THAT(progress.gradients, ElementsAre(Field(&GradientInfo::stale_rounds, 0)));
  ASSERT_THAT(progress.stale, SizeIs(2));
  EXPECT_THAT(progress.stale, ElementsAre(Field(&GradientInfo::stale_rounds, 1),
                                          Field(&GradientInfo::stale_rounds, 2)))
      << "in the order of the slots they had";
  EXPECT_NE(progress.stale[0].slot, progress.stale[1].slot);
}

TEST_P(ExchangeContractTest, WithoutStaleWorkOrWithoutANextRoundNothingIsCarriedOver) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  PublishRequest request = TestPublish(config_, run_, leadership_, Status().weights_version);
  for (const int wrong : {-1, domain::kMaxStaleRounds + 1}) {
    request.max_stale_rounds = wrong;
    EXPECT_THAT(store().Publish(request), base::StatusIs(kInvalid, HasSubstr("max_stale_rounds")));
  }
  request.max_stale_rounds = 1;
  request.finished = true;
  request.next_units.clear();
  EXPECT_THAT(store().Publish(request), base::StatusIs(kInvalid, HasSubstr("max_stale_rounds")));
  Publish();
  EXPECT_THAT(Submit(TestWorker(1), unit), base::IsOkAndHolds(domain::SubmitOutcome::kClosed));
}

TEST_P(ExchangeContractTest, AStoppedRunClosesStaleWorkToo) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit stale = ClaimUnit(TestWorker(1));
  PublishTakingAlong(1);
  ASSERT_OK(store().SetRunState(run_, domain::RunState::kStopped, "enough"));
  EXPECT_EQ(Progress(2).stale_leased, 0);
  EXPECT_THAT(Submit(TestWorker(1), stale), base::IsOkAndHolds(domain::SubmitOutcome::kClosed));
}

}  // namespace gannet::exchange
