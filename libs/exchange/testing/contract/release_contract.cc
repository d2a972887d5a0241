#include <string>

#include "gmock/gmock.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/testing/contract/contract_support.h"
#include "libs/exchange/testing/exchange_contract.h"
#include "libs/exchange/validation.h"

namespace gannet::exchange {
namespace {

using ::testing::SizeIs;

}  // namespace

// ---- Release, Fail, Leave

TEST_P(ExchangeContractTest, AReleasedUnitIsReadyAtOnce) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));

  ASSERT_OK(exchange().Release(TestWorker(1), run_, unit.unit, unit.attempt));

  EXPECT_EQ(Progress(1).ready, 1);
  EXPECT_EQ(ClaimUnit(TestWorker(1)).attempt, base::Attempt(2));
}

TEST_P(ExchangeContractTest, ReleasingWhatIsNotHeldChangesNothing) {
  StartRun(2);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit first = ClaimUnit(TestWorker(1));
  ASSERT_OK(exchange().Release(TestWorker(1), run_, first.unit, first.attempt));
  const WorkUnit second = ClaimUnit(TestWorker(1));

  EXPECT_OK(exchange().Release(TestWorker(1), run_, first.unit, first.attempt));
  EXPECT_OK(exchange().Release(TestWorker(2), run_, second.unit, second.attempt));
  EXPECT_OK(exchange().Release(TestWorker(1), run_, kNoSuchUnit, base::Attempt(1)));
  EXPECT_OK(exchange().Fail(TestWorker(1), run_, first.unit, first.attempt, "no"));
  EXPECT_OK(exchange().Fail(TestWorker(2), run_, second.unit, second.attempt, "no"));
  EXPECT_OK(exchange().Fail(TestWorker(1), run_, kNoSuchUnit, base::Attempt(1), "no"));

  EXPECT_EQ(Progress(1).leased, 1);
  EXPECT_THAT(Submit(TestWorker(1), second), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
  EXPECT_OK(exchange().Release(TestWorker(1), run_, second.unit, second.attempt));
  EXPECT_THAT(Progress(1).gradients, SizeIs(1));
}

TEST_P(ExchangeContractTest, AReleasedUnitMayStillBeHandedIn) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  ASSERT_OK(exchange().Release(TestWorker(1), run_, unit.unit, unit.attempt));

  EXPECT_THAT(Submit(TestWorker(1), unit), base::IsOkAndHolds(domain::SubmitOutcome::kLate));
}

TEST_P(ExchangeContractTest, AFailedUnitReturnsUntilItHasFailedForGood) {
  StartRun(1);
  Join(TestWorker(1));
  for (int failure = 1; failure < domain::kMaxUnitFailures; ++failure) {
    const WorkUnit unit = ClaimUnit(TestWorker(1));
    EXPECT_EQ(unit.attempt, base::Attempt(failure));
    ASSERT_OK(exchange().Fail(TestWorker(1), run_, unit.unit, unit.attempt, "face 12.jpg"));
    ASSERT_OK(exchange().Fail(TestWorker(1), run_, unit.unit, unit.attempt, "face 12.jpg"));
    backend().AdvanceTime(domain::RequeueBackoff(unit.attempt, domain::RequeueCause::kFailed));
    EXPECT_EQ(Progress(1).ready, 1);
    EXPECT_EQ(Status().state, domain::RunState::kRunning);
  }
  const WorkUnit last = ClaimUnit(TestWorker(1));

  ASSERT_OK(exchange().Fail(TestWorker(1), run_, last.unit, last.attempt, "face 99.jpg"));

  EXPECT_EQ(Progress(1).failed, 1);
  EXPECT_EQ(Progress(1).ready, 0);
  EXPECT_EQ(Progress(1).failure_reason, "face 99.jpg");
  EXPECT_EQ(Status().state, domain::RunState::kPaused);
  EXPECT_EQ(Status().state_reason,
            FailedUnitReason(base::Round(1), base::Slot(0), domain::kMaxUnitFailures,
                             TestWorker(1).id, "face 99.jpg"));
  EXPECT_THAT(Submit(TestWorker(1), last), base::IsOkAndHolds(domain::SubmitOutcome::kClosed));
}

TEST_P(ExchangeContractTest, AUnitGoesToOthersBeforeItGoesBackToWhoFailedIt) {
  StartRun(1);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit failed = ClaimUnit(TestWorker(1));
  ASSERT_OK(exchange().Fail(TestWorker(1), run_, failed.unit, failed.attempt, "no disk"));

  ExpectNothingToClaim(TestWorker(1));
  const WorkUnit given_back = ClaimUnit(TestWorker(2));
  EXPECT_EQ(given_back.unit, failed.unit);
  ASSERT_OK(exchange().Release(TestWorker(2), run_, given_back.unit, given_back.attempt));
  ExpectNothingToClaim(TestWorker(1));
  const WorkUnit rejected = ClaimUnit(TestWorker(2));
  ASSERT_OK(Submit(TestWorker(2), rejected));
  ASSERT_OK(store().RejectGradient(run_, leadership_, rejected.unit, "NaN"));
  backend().AdvanceTime(domain::RequeueBackoff(rejected.attempt, domain::RequeueCause::kRejected));

  EXPECT_EQ(ClaimUnit(TestWorker(1)).unit, failed.unit) << "nobody is left who has not failed it";
}

TEST_P(ExchangeContractTest, OneWorkerThatFailsEverythingPausesNoClass) {
  StartRun(2);
  Join(TestWorker(1));
  Join(TestWorker(2));
  for (int slot = 0; slot < 2; ++slot) {
    const WorkUnit unit = ClaimUnit(TestWorker(1));
    ASSERT_OK(exchange().Fail(TestWorker(1), run_, unit.unit, unit.attempt, "no disk"));
    backend().AdvanceTime(domain::RequeueBackoff(unit.attempt, domain::RequeueCause::kFailed));
  }

  ExpectNothingToClaim(TestWorker(1));
  for (int slot = 0; slot < 2; ++slot) {
    ASSERT_OK(Submit(TestWorker(2), ClaimUnit(TestWorker(2))));
  }
  EXPECT_EQ(Status().state, domain::RunState::kRunning);
  EXPECT_EQ(Progress(1).failed, 0);
}

TEST_P(ExchangeContractTest, WhoFailedAUnitWaitsForNobodyWhoIsGone) {
  for (const char* how : {"left", "removed", "silent"}) {
    SCOPED_TRACE(how);
    SetUp();
    StartRun(1);
    Join(TestWorker(2));
    backend().AdvanceTime(kWorkerLivenessTimeout - absl::Microseconds(1));
    Join(TestWorker(1));
    const WorkUnit failed = ClaimUnit(TestWorker(1));
    ASSERT_OK(exchange().Fail(TestWorker(1), run_, failed.unit, failed.attempt, "no disk"));
    ExpectNothingToClaim(TestWorker(1));

    const std::string what = how;
    if (what == "left") {
      ASSERT_OK(exchange().Leave(TestWorker(2), run_));
    } else if (what == "removed") {
      ASSERT_OK(store().RemoveWorker(run_, TestWorker(2).id, "plays"));
    } else {
      backend().AdvanceTime(absl::Microseconds(1));
    }

    EXPECT_EQ(ClaimUnit(TestWorker(1)).unit, failed.unit);
  }
}

TEST_P(ExchangeContractTest, WhoFailedAUnitGetsItAfterAWhileFromOneWhoNeverAsks) {
  StartRun(1);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit failed = ClaimUnit(TestWorker(1));
  ASSERT_OK(exchange().Fail(TestWorker(1), run_, failed.unit, failed.attempt, "no disk"));

  backend().AdvanceTime(domain::StallLimit(config_.lease) - absl::Microseconds(1));
  ASSERT_OK(exchange().Heartbeat(TestWorker(2), run_, {}));
  ExpectNothingToClaim(TestWorker(1));
  backend().AdvanceTime(absl::Microseconds(1));

  EXPECT_EQ(ClaimUnit(TestWorker(1)).unit, failed.unit);
}

TEST_P(ExchangeContractTest, AResumedRunForgetsWhoFailed) {
  StartRun(1);
  Join(TestWorker(1));
  FailForGood(TestWorker(1), "broken image");
  Join(TestWorker(2));

  ASSERT_OK(store().SetRunState(run_, domain::RunState::kRunning, "repaired"));

  ClaimUnit(TestWorker(1));
}

TEST_P(ExchangeContractTest, WhoFailedAUnitComputesNoCopyOfIt) {
  StartRunWithSpeculation();
  const WorkUnit failed = ClaimUnit(TestWorker(3));
  ASSERT_OK(exchange().Fail(TestWorker(3), run_, failed.unit, failed.attempt, "no disk"));
  const WorkUnit slow = ClaimUnit(TestWorker(1));
  ASSERT_EQ(slow.unit, failed.unit);
  ASSERT_OK(Submit(TestWorker(2), ClaimUnit(TestWorker(2))));
  backend().AdvanceTime(absl::Seconds(21));

  ExpectNothingToClaim(TestWorker(3));
  EXPECT_EQ(ClaimUnit(TestWorker(2)).slot, slow.slot);
}

TEST_P(ExchangeContractTest, AUnitThatKeepsFailingIsGivenOutLaterEachTime) {
  StartRun(2);
  Join(TestWorker(1));
  const WorkUnit first = ClaimUnit(TestWorker(1));
  ASSERT_OK(exchange().Fail(TestWorker(1), run_, first.unit, first.attempt, "no"));
  const WorkUnit again = ClaimUnit(TestWorker(1));
  EXPECT_EQ(again.unit, first.unit);  // at once
  ASSERT_OK(exchange().Fail(TestWorker(1), run_, again.unit, again.attempt, "no"));

  const WorkUnit other = ClaimUnit(TestWorker(1));
  EXPECT_EQ(other.slot, base::Slot(1));
  ExpectNothingToClaim(TestWorker(1));
  EXPECT_EQ(Progress(1).ready, 1);
  backend().AdvanceTime(absl::Seconds(1) - absl::Microseconds(1));
  ExpectNothingToClaim(TestWorker(1));
  backend().AdvanceTime(absl::Microseconds(1));

  const WorkUnit third = ClaimUnit(TestWorker(1));
  EXPECT_EQ(third.unit, first.unit);
  EXPECT_EQ(third.attempt, base::Attempt(3));
  ASSERT_OK(exchange().Release(TestWorker(1), run_, third.unit, third.attempt));
  const WorkUnit fourth = ClaimUnit(TestWorker(1));
  EXPECT_EQ(fourth.attempt, base::Attempt(4));  // released: at once
  backend().AdvanceTime(config_.lease);
  EXPECT_THAT(store().ReapExpiredLeases(run_, leadership_), base::IsOkAndHolds(2));
  EXPECT_EQ(ClaimUnit(TestWorker(1)).unit, other.unit);
  ExpectNothingToClaim(TestWorker(1));
  backend().AdvanceTime(absl::Seconds(4));
  EXPECT_EQ(ClaimUnit(TestWorker(1)).attempt, base::Attempt(5));
}

TEST_P(ExchangeContractTest, AFailedUnitHasAllItsTriesAgainWhenTheRunResumes) {
  StartRun(1);
  Join(TestWorker(1));
  FailForGood(TestWorker(1), "broken image");

  ASSERT_OK(store().SetRunState(run_, domain::RunState::kRunning, "repaired"));

  EXPECT_EQ(Status().state, domain::RunState::kRunning);
  EXPECT_EQ(Status().state_reason, "");
  EXPECT_EQ(Progress(1).failed, 0);
  EXPECT_EQ(Progress(1).failure_reason, "");
  FailForGood(TestWorker(1), "broken still");
  EXPECT_EQ(Status().state, domain::RunState::kPaused);
  EXPECT_EQ(Status().state_reason,
            FailedUnitReason(base::Round(1), base::Slot(0), domain::kMaxUnitFailures,
                             TestWorker(1).id, "broken still"));

  ASSERT_OK(store().SetRunState(run_, domain::RunState::kRunning, "repaired"));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  EXPECT_EQ(unit.attempt, base::Attempt(2 * domain::kMaxUnitFailures + 1));
  EXPECT_THAT(Submit(TestWorker(1), unit), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
}

TEST_P(ExchangeContractTest, AUnitFailingForGoodKeepsTheReasonOfAPausedRun) {
  StartRun(1);
  Join(TestWorker(1));
  for (int failure = 1; failure < domain::kMaxUnitFailures; ++failure) {
    const WorkUnit unit = ClaimUnit(TestWorker(1));
    ASSERT_OK(exchange().Fail(TestWorker(1), run_, unit.unit, unit.attempt, "no"));
    backend().AdvanceTime(domain::RequeueBackoff(unit.attempt, domain::RequeueCause::kFailed));
  }
  const WorkUnit last = ClaimUnit(TestWorker(1));
  ASSERT_OK(store().SetRunState(run_, domain::RunState::kPaused, "lunch"));

  ASSERT_OK(exchange().Fail(TestWorker(1), run_, last.unit, last.attempt, "no"));

  EXPECT_EQ(Status().state_reason, "lunch");
  EXPECT_EQ(Progress(1).failed, 1);
}

TEST_P(ExchangeContractTest, TheFailureReasonIsThatOfTheLowestSlot) {
  StartRun(2);
  Join(TestWorker(1));
  WorkUnit first = ClaimUnit(TestWorker(1));
  for (int failure = 1; failure < domain::kMaxUnitFailures; ++failure) {
    ASSERT_OK(exchange().Fail(TestWorker(1), run_, first.unit, first.attempt, "the first image"));
    backend().AdvanceTime(domain::RequeueBackoff(first.attempt, domain::RequeueCause::kFailed));
    first = ClaimUnit(TestWorker(1));
  }
  backend().AdvanceTime(kWorkerLivenessTimeout);  // the other is as good as alone
  Join(TestWorker(2));
  FailForGood(TestWorker(2), "the second image");
  EXPECT_EQ(Progress(1).failure_reason, "the second image");

  ASSERT_OK(exchange().Fail(TestWorker(1), run_, first.unit, first.attempt, "the first image"));

  EXPECT_EQ(Progress(1).failed, 2);
  EXPECT_EQ(Progress(1).failure_reason, "the first image");
}

TEST_P(ExchangeContractTest, ReasonsAreCheckedText) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  for (const std::string& reason :
       {std::string(501, 'x'), std::string("two\nlines"), std::string("\xFF")}) {
    EXPECT_THAT(exchange().Fail(TestWorker(1), run_, unit.unit, unit.attempt, reason),
                base::StatusIs(kInvalid));
    EXPECT_THAT(store().SetRunState(run_, domain::RunState::kPaused, reason),
                base::StatusIs(kInvalid));
  }
  std::string longest;
  for (int i = 0; i < 500; ++i) longest += "\xC3\xA9";  // 500 characters, 1000 bytes
  EXPECT_OK(exchange().Fail(TestWorker(1), run_, unit.unit, unit.attempt, longest));
  EXPECT_OK(store().SetRunState(run_, domain::RunState::kPaused, longest));
  EXPECT_EQ(Status().state_reason, longest);
}

TEST_P(ExchangeContractTest, LeavingGivesEverythingBack) {
  StartRun(2);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  ClaimUnit(TestWorker(1));
  ASSERT_EQ(Status().worker_count, 2);

  ASSERT_OK(exchange().Leave(TestWorker(1), run_));
  ASSERT_OK(exchange().Leave(TestWorker(1), run_));

  EXPECT_EQ(Status().worker_count, 1);
  EXPECT_EQ(Progress(1).ready, 2);
  EXPECT_EQ(ClaimUnit(TestWorker(2)).unit, unit.unit);
}

TEST_P(ExchangeContractTest, WhoLeftMayComeBack) {
  StartRun(1);
  Join(TestWorker(1));
  ASSERT_OK(exchange().Leave(TestWorker(1), run_));

  ClaimUnit(TestWorker(1));
  EXPECT_EQ(Status().worker_count, 0) << "a claim does not count as being seen";
  ASSERT_OK(exchange().Heartbeat(TestWorker(1), run_, {}));
  EXPECT_EQ(Status().worker_count, 1);
  ASSERT_OK(exchange().Leave(TestWorker(1), run_));
  Join(TestWorker(1, 2));
  EXPECT_EQ(Status().worker_count, 1);
}

}  // namespace gannet::exchange
