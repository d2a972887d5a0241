#include "libs/domain/unit_state.h"

#include <vector>

#include "libs/base/testing/status_matchers.h"

namespace gannet::domain {
namespace {

using ::testing::HasSubstr;

const base::WorkerId kHolder(std::string(32, 'a'));
const base::WorkerId kOther(std::string(32, 'b'));

UnitView Unit(UnitState state, int attempt) {
  UnitView unit;
  unit.state = state;
  unit.attempt = base::Attempt(attempt);
  if (attempt > 0) unit.holder = kHolder;
  return unit;
}

UnitView DoneUnit(int attempt, const std::string& sha256) {
  UnitView unit = Unit(UnitState::kDone, attempt);
  unit.has_gradient = true;
  unit.gradient_attempt = base::Attempt(attempt);
  unit.gradient_sha256 = sha256;
  return unit;
}

TEST(ClassifySubmitTest, TheHolderOfALeaseIsAccepted) {
  EXPECT_THAT(ClassifySubmit(Unit(UnitState::kLeased, 2), kHolder, base::Attempt(2), "x"),
              base::IsOkAndHolds(SubmitOutcome::kAccepted));
}

TEST(ClassifySubmitTest, AnExpiredLeaseIsLate) {
  UnitView unit = Unit(UnitState::kLeased, 2);
  unit.lease_expired = true;

  EXPECT_THAT(ClassifySubmit(unit, kHolder, base::Attempt(2), "x"),
              base::IsOkAndHolds(SubmitOutcome::kLate));
}

TEST(ClassifySubmitTest, AReturnedUnitThatNobodyClaimedIsLate) {
  EXPECT_THAT(ClassifySubmit(Unit(UnitState::kReady, 2), kHolder, base::Attempt(2), "x"),
              base::IsOkAndHolds(SubmitOutcome::kLate));
}

TEST(ClassifySubmitTest, AttemptsBelowTheFirstAreErrors) {
  for (const UnitState state : {UnitState::kReady, UnitState::kLeased, UnitState::kDone,
                                UnitState::kFailed, UnitState::kClosed}) {
    for (const int attempt : {-1, 0}) {
      EXPECT_THAT(ClassifySubmit(Unit(state, 2), kHolder, base::Attempt(attempt), "x"),
                  base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("at least 1")));
    }
  }
}

TEST(ClassifySubmitTest, AnAttemptTheDatabaseForgotIsSuperseded) {
  for (const UnitState state : {UnitState::kReady, UnitState::kLeased, UnitState::kDone}) {
    EXPECT_THAT(ClassifySubmit(Unit(state, 2), kHolder, base::Attempt(3), "x"),
                base::IsOkAndHolds(SubmitOutcome::kSuperseded));
  }
  EXPECT_THAT(ClassifySubmit(Unit(UnitState::kReady, 0), kHolder, base::Attempt(1), "x"),
              base::IsOkAndHolds(SubmitOutcome::kSuperseded));
}

TEST(ClassifySubmitTest, TheSameGradientAgainIsAlreadyAccepted) {
  EXPECT_THAT(ClassifySubmit(DoneUnit(2, "x"), kHolder, base::Attempt(2), "x"),
              base::IsOkAndHolds(SubmitOutcome::kAlreadyAccepted));
}

TEST(ClassifySubmitTest, TheSameGradientIsAlreadyAcceptedWhenItsUnitIsClosed) {
  UnitView unit = DoneUnit(2, "x");
  unit.state = UnitState::kClosed;

  EXPECT_THAT(ClassifySubmit(unit, kHolder, base::Attempt(2), "x"),
              base::IsOkAndHolds(SubmitOutcome::kAlreadyAccepted));
}

TEST(ClassifySubmitTest, OtherBytesUnderTheSameAttemptAreAnError) {
  EXPECT_THAT(ClassifySubmit(DoneUnit(2, "x"), kHolder, base::Attempt(2), "y"),
              base::StatusIs(absl::StatusCode::kAlreadyExists));
}

TEST(ClassifySubmitTest, AnEarlierAttemptIsSuperseded) {
  EXPECT_THAT(ClassifySubmit(Unit(UnitState::kLeased, 2), kHolder, base::Attempt(1), "x"),
              base::IsOkAndHolds(SubmitOutcome::kSuperseded));
  EXPECT_THAT(ClassifySubmit(Unit(UnitState::kReady, 2), kOther, base::Attempt(1), "x"),
              base::IsOkAndHolds(SubmitOutcome::kSuperseded));
  EXPECT_THAT(ClassifySubmit(DoneUnit(2, "x"), kHolder, base::Attempt(1), "x"),
              base::IsOkAndHolds(SubmitOutcome::kSuperseded));
}

TEST(ClassifySubmitTest, AForeignWorkerOfADoneUnitIsSuperseded) {
  EXPECT_THAT(ClassifySubmit(DoneUnit(2, "x"), kOther, base::Attempt(2), "x"),
              base::IsOkAndHolds(SubmitOutcome::kSuperseded));
}

TEST(ClassifySubmitTest, ClosedAndFailedUnitsAreClosedToAnyAttempt) {
  for (const UnitState state : {UnitState::kClosed, UnitState::kFailed}) {
    for (const base::WorkerId& worker : {kHolder, kOther}) {
      for (const int attempt : {1, 2}) {
        EXPECT_THAT(ClassifySubmit(Unit(state, 2), worker, base::Attempt(attempt), "x"),
                    base::IsOkAndHolds(SubmitOutcome::kClosed));
      }
    }
  }
}

TEST(ClassifySubmitTest, AnAttemptOfAnotherWorkerIsSuperseded) {
  EXPECT_THAT(ClassifySubmit(Unit(UnitState::kLeased, 2), kOther, base::Attempt(2), "x"),
              base::IsOkAndHolds(SubmitOutcome::kSuperseded));
}

TEST(ClassifySubmitTest, ARejectedGradientThatComesAgainIsSuperseded) {
  UnitView unit = Unit(UnitState::kReady, 2);
  unit.holder = base::WorkerId();

  EXPECT_THAT(ClassifySubmit(unit, kHolder, base::Attempt(2), "x"),
              base::IsOkAndHolds(SubmitOutcome::kSuperseded));
}

TEST(DecideRenewalTest, AHolderWithProgressIsRenewed) {
  const RenewDecision decision =
      DecideRenewal(Unit(UnitState::kLeased, 2), kHolder, base::Attempt(2), absl::ZeroDuration(),
                    absl::Seconds(30));

  EXPECT_TRUE(decision.renew);
  EXPECT_EQ(decision.reason, "");
}

TEST(DecideRenewalTest, ProgressExactlyAtTheLimitStillCounts) {
  const UnitView unit = Unit(UnitState::kLeased, 2);
  const absl::Duration limit = absl::Seconds(30);

  EXPECT_TRUE(DecideRenewal(unit, kHolder, base::Attempt(2), limit, limit).renew);
  const RenewDecision decision =
      DecideRenewal(unit, kHolder, base::Attempt(2), limit + absl::Nanoseconds(1), limit);
  EXPECT_FALSE(decision.renew);
  EXPECT_THAT(decision.reason, HasSubstr("no progress"));
}

TEST(DecideRenewalTest, OnlyTheHolderUnderTheCurrentAttemptIsRenewed) {
  const absl::Duration none = absl::ZeroDuration();
  const absl::Duration limit = absl::Seconds(30);
  const UnitView leased = Unit(UnitState::kLeased, 2);

  EXPECT_THAT(DecideRenewal(leased, kOther, base::Attempt(2), none, limit).reason,
              HasSubstr("another worker"));
  EXPECT_THAT(DecideRenewal(leased, kHolder, base::Attempt(1), none, limit).reason,
              HasSubstr("another attempt"));
  for (const UnitState state :
       {UnitState::kReady, UnitState::kDone, UnitState::kFailed, UnitState::kClosed}) {
    const RenewDecision decision =
        DecideRenewal(Unit(state, 2), kHolder, base::Attempt(2), none, limit);
    EXPECT_FALSE(decision.renew);
    EXPECT_THAT(decision.reason, HasSubstr("not leased"));
  }
}

TEST(DecideRenewalTest, AnExpiredLeaseNobodyTookIsRenewed) {
  UnitView unit = Unit(UnitState::kLeased, 2);
  unit.lease_expired = true;

  EXPECT_TRUE(
      DecideRenewal(unit, kHolder, base::Attempt(2), absl::ZeroDuration(), absl::Seconds(30))
          .renew);
}

TEST(DecideRenewalTest, ALeaseThatRanOutIsTakenUpAgainUntilSomebodyElseClaims) {
  const absl::Duration none = absl::ZeroDuration();
  const absl::Duration limit = absl::Seconds(30);
  UnitView unit = Unit(UnitState::kReady, 2);
  unit.reaped = true;

  EXPECT_TRUE(DecideRenewal(unit, kHolder, base::Attempt(2), none, limit).renew);
  EXPECT_FALSE(DecideRenewal(unit, kOther, base::Attempt(2), none, limit).renew);
  EXPECT_FALSE(DecideRenewal(unit, kHolder, base::Attempt(1), none, limit).renew);
  EXPECT_FALSE(DecideRenewal(unit, kHolder, base::Attempt(2), limit + none + limit, limit).renew);
  unit.state = UnitState::kClosed;
  EXPECT_FALSE(DecideRenewal(unit, kHolder, base::Attempt(2), none, limit).renew);
}

TEST(HeartbeatIntervalTest, IsAThirdOfAShortLease) {
  EXPECT_EQ(HeartbeatInterval(absl::Minutes(5)), absl::Seconds(5));
  EXPECT_EQ(HeartbeatInterval(absl::Seconds(15)), absl::Seconds(5));
  EXPECT_EQ(HeartbeatInterval(absl::Seconds(3)), absl::Seconds(1));
}

TEST(StallLimitTest, IsThreeLeases) { EXPECT_EQ(StallLimit(absl::Seconds(10)), absl::Seconds(30)); }

TEST(DecideRequeueTest, OnlyFailuresAndRejectionsCount) {
  for (const RequeueCause cause :
       {RequeueCause::kReleased, RequeueCause::kExpired, RequeueCause::kTakenOver}) {
    const RequeueDecision decision = DecideRequeue(kMaxUnitFailures - 1, cause);
    EXPECT_EQ(decision.state, UnitState::kReady);
    EXPECT_EQ(decision.failures, kMaxUnitFailures - 1);
  }
}

TEST(DecideRequeueTest, TheLastFailureAllowedFailsTheUnit) {
  for (const RequeueCause cause : {RequeueCause::kFailed, RequeueCause::kRejected}) {
    const RequeueDecision before = DecideRequeue(kMaxUnitFailures - 2, cause);
    EXPECT_EQ(before.state, UnitState::kReady);
    EXPECT_EQ(before.failures, kMaxUnitFailures - 1);

    const RequeueDecision last = DecideRequeue(kMaxUnitFailures - 1, cause);
    EXPECT_EQ(last.state, UnitState::kFailed);
    EXPECT_EQ(last.failures, kMaxUnitFailures);
  }
}

TEST(RequeueBackoffTest, GrowsWithTheAttempts) {
  const std::vector<int> seconds = {0, 1, 2, 4, 5, 5};
  for (size_t i = 0; i < seconds.size(); ++i) {
    const base::Attempt attempt(static_cast<int32_t>(i) + 1);
    for (const RequeueCause cause :
         {RequeueCause::kExpired, RequeueCause::kFailed, RequeueCause::kRejected}) {
      EXPECT_EQ(RequeueBackoff(attempt, cause), absl::Seconds(seconds[i]));
    }
    EXPECT_EQ(RequeueBackoff(attempt, RequeueCause::kReleased), absl::ZeroDuration());
    EXPECT_EQ(RequeueBackoff(attempt, RequeueCause::kTakenOver), absl::ZeroDuration());
  }
  EXPECT_EQ(RequeueBackoff(base::Attempt(2'000'000'000), RequeueCause::kFailed), absl::Seconds(5));
}

TEST(ClassifySubmitTest, WhoeverComesSecondInASlotIsADuplicate) {
  for (const UnitState state : {UnitState::kClosed, UnitState::kLeased, UnitState::kReady}) {
    UnitView unit = Unit(state, 2);
    unit.slot_filled = true;
    EXPECT_THAT(ClassifySubmit(unit, kHolder, base::Attempt(2), "x"),
                base::IsOkAndHolds(SubmitOutcome::kDuplicate));
  }
  UnitView closed = Unit(UnitState::kClosed, 2);
  closed.slot_filled = true;
  EXPECT_THAT(ClassifySubmit(closed, kOther, base::Attempt(2), "x"),
              base::IsOkAndHolds(SubmitOutcome::kClosed));
  EXPECT_THAT(ClassifySubmit(closed, kHolder, base::Attempt(1), "x"),
              base::IsOkAndHolds(SubmitOutcome::kClosed));
}

TEST(UnitLeaseTest, IsFourTimesTheMedianTimeWithinLimits) {
  const absl::Duration configured = absl::Seconds(300);
  EXPECT_EQ(UnitLease(configured, absl::ZeroDuration()), configured) << "not known yet";
  EXPECT_EQ(UnitLease(configured, absl::Seconds(20)), absl::Seconds(80));
  EXPECT_EQ(UnitLease(configured, absl::Seconds(1)), absl::Seconds(15));
  EXPECT_EQ(UnitLease(configured, absl::Seconds(100)), configured);
  EXPECT_EQ(UnitLease(absl::Seconds(4), absl::Seconds(1)), absl::Seconds(4));
}

TEST(UnitLeaseTest, LeavesRoomForTwoLostHeartbeats) {
  for (const absl::Duration configured : {absl::Seconds(1), absl::Seconds(15), absl::Hours(1)}) {
    EXPECT_GE(UnitLease(configured, absl::Milliseconds(1)), 3 * HeartbeatInterval(configured));
  }
}

TEST(SpeculationDelayTest, IsSoManyTimesTheMedianTimeAndNeverBelowFiveSeconds) {
  constexpr absl::Duration kLease = absl::Seconds(60);
  EXPECT_EQ(SpeculationDelay(3, absl::Seconds(10), kLease), absl::Seconds(30));
  EXPECT_EQ(SpeculationDelay(3, absl::Milliseconds(10), kLease), absl::Seconds(5));
  EXPECT_EQ(SpeculationDelay(0, absl::Seconds(10), kLease), absl::InfiniteDuration());
}

TEST(SpeculationDelayTest, TheFirstRoundWhoseMedianTimeIsNotKnownHasALimitToo) {
  EXPECT_EQ(SpeculationDelay(3, absl::ZeroDuration(), absl::Seconds(60)),
            StallLimit(absl::Seconds(60)));
  EXPECT_EQ(SpeculationDelay(0, absl::ZeroDuration(), absl::Seconds(60)), absl::InfiniteDuration());
}

TEST(DecideRequeueTest, ASpareIsClosedUnlessItWasAloneInItsSlot) {
  for (const RequeueCause cause : {RequeueCause::kReleased, RequeueCause::kExpired,
                                   RequeueCause::kTakenOver, RequeueCause::kFailed}) {
    EXPECT_EQ(DecideRequeue(0, cause, true).state, UnitState::kClosed);
  }
  EXPECT_EQ(DecideRequeue(0, RequeueCause::kRejected, true).state, UnitState::kReady);
}

TEST(DecideRequeueTest, AStaleUnitIsClosedWhateverHappens) {
  for (const RequeueCause cause :
       {RequeueCause::kReleased, RequeueCause::kExpired, RequeueCause::kTakenOver,
        RequeueCause::kFailed, RequeueCause::kRejected}) {
    const RequeueDecision decision = DecideRequeue(kMaxUnitFailures - 1, cause, true, 1);
    EXPECT_EQ(decision.state, UnitState::kClosed);
    const bool counts = cause == RequeueCause::kFailed || cause == RequeueCause::kRejected;
    EXPECT_EQ(decision.failures, kMaxUnitFailures - (counts ? 0 : 1));
  }
}

TEST(StaleWeightTest, FallsExponentially) {
  EXPECT_EQ(StaleWeight(0.5, 0), 1);
  EXPECT_EQ(StaleWeight(0.5, 1), 0.5);
  EXPECT_EQ(StaleWeight(0.5, 3), 0.125);
  EXPECT_EQ(StaleWeight(1, 4), 1) << "no staleness counts";
  EXPECT_EQ(StaleWeight(0, 0), 1) << "what is in time always counts";
  EXPECT_EQ(StaleWeight(0, 1), 0);
}

}  // namespace
}  // namespace gannet::domain
