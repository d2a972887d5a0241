#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/testing/contract/contract_support.h"
#include "libs/exchange/testing/exchange_contract.h"
#include "libs/exchange/validation.h"

namespace gannet::exchange {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

}  // namespace

// ---- Heartbeat

TEST_P(ExchangeContractTest, AHeartbeatRenewsTheLease) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  backend().AdvanceTime(config_.lease - absl::Milliseconds(1));

  const HeartbeatResult result = Must(Heartbeat(TestWorker(1), unit, 1));

  EXPECT_THAT(result.dropped, IsEmpty());
  EXPECT_EQ(result.state, domain::RunState::kRunning);
  backend().AdvanceTime(config_.lease - absl::Milliseconds(1));
  EXPECT_THAT(store().ReapExpiredLeases(run_, leadership_), base::IsOkAndHolds(0));
  backend().AdvanceTime(absl::Milliseconds(1));
  EXPECT_THAT(store().ReapExpiredLeases(run_, leadership_), base::IsOkAndHolds(1));
}

TEST_P(ExchangeContractTest, AHeartbeatRevivesALeaseThatNobodyReaped) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  backend().AdvanceTime(config_.lease * 2);

  EXPECT_THAT(Must(Heartbeat(TestWorker(1), unit, 0)).dropped, IsEmpty());

  EXPECT_THAT(Submit(TestWorker(1), unit), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
}

TEST_P(ExchangeContractTest, AHeartbeatTakesUpALeaseThatRanOutUnlessSomebodyElseHasTheUnit) {
  StartRun(2);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit kept = ClaimUnit(TestWorker(1));
  const WorkUnit lost = ClaimUnit(TestWorker(1));
  backend().AdvanceTime(config_.lease);
  ASSERT_OK(store().AcquireLeadership(run_, leadership_.leader, absl::Hours(1)));
  ASSERT_THAT(store().ReapExpiredLeases(run_, leadership_), base::IsOkAndHolds(2));
  ASSERT_EQ(Progress(1).ready, 2);
  EXPECT_EQ(Progress(1).most_attempts, 1);
  ASSERT_OK(Heartbeat(TestWorker(1), kept, 1));
  const WorkUnit taken = ClaimUnit(TestWorker(2));
  ASSERT_EQ(taken.unit, lost.unit);
  EXPECT_EQ(Progress(1).most_attempts, 2);
  EXPECT_EQ(Progress(1).most_attempts_slot, lost.slot);

  const HeartbeatResult result = Must(exchange().Heartbeat(
      TestWorker(1), run_, {{kept.unit, kept.attempt, 1}, {lost.unit, lost.attempt, 1}}));

  EXPECT_THAT(result.dropped, ElementsAre(lost.unit));
  EXPECT_EQ(Progress(1).leased, 2);
  EXPECT_THAT(Submit(TestWorker(1), kept), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
}

TEST_P(ExchangeContractTest, WhatWasGivenBackIsNotTakenUpByAHeartbeat) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  ASSERT_OK(exchange().Release(TestWorker(1), run_, unit.unit, unit.attempt));

  EXPECT_THAT(Must(Heartbeat(TestWorker(1), unit, 1)).dropped, ElementsAre(unit.unit));
  EXPECT_EQ(Progress(1).ready, 1);
}

TEST_P(ExchangeContractTest, AHeartbeatTakesUpNoMoreThanAWorkerMayHold) {
  config_.units_per_round = 4;
  StartRun(4);
  Join(TestWorker(1));
  Join(TestWorker(2));
  // The second time both rest for a moment (RequeueBackoff), so that the next claims get others.
  std::vector<UnitProgress> reaped;
  for (const int number : {2, 1}) {
    reaped.clear();
    for (int i = 0; i < 2; ++i) {
      const WorkUnit unit = ClaimUnit(TestWorker(number));
      reaped.push_back({unit.unit, unit.attempt, 0});
    }
    backend().AdvanceTime(config_.lease);
    ASSERT_OK(store().AcquireLeadership(run_, leadership_.leader, absl::Hours(1)));
    ASSERT_THAT(store().ReapExpiredLeases(run_, leadership_), base::IsOkAndHolds(2));
  }
  const WorkUnit third = ClaimUnit(TestWorker(1));
  ClaimUnit(TestWorker(1));

  EXPECT_THAT(Must(exchange().Heartbeat(TestWorker(1), run_, reaped)).dropped, SizeIs(2));
  ASSERT_OK(exchange().Release(TestWorker(1), run_, third.unit, third.attempt));
  EXPECT_THAT(Must(exchange().Heartbeat(TestWorker(1), run_, reaped)).dropped,
              ElementsAre(reaped[1].unit));
  EXPECT_EQ(Progress(1).leased, 2);
}

TEST_P(ExchangeContractTest, AHeartbeatNamesTheUnitsThatAreLost) {
  StartRun(3);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit lost = ClaimUnit(TestWorker(1));
  const WorkUnit held = ClaimUnit(TestWorker(1));
  const WorkUnit foreign = ClaimUnit(TestWorker(2));
  ASSERT_OK(exchange().Release(TestWorker(1), run_, lost.unit, lost.attempt));

  const HeartbeatResult result = Must(exchange().Heartbeat(TestWorker(1), run_,
                                                           {{kNoSuchUnit, base::Attempt(1), 0},
                                                            {foreign.unit, foreign.attempt, 0},
                                                            {held.unit, held.attempt, 0},
                                                            {lost.unit, lost.attempt, 0}}));

  EXPECT_THAT(result.dropped, ElementsAre(lost.unit, foreign.unit, kNoSuchUnit));
}

TEST_P(ExchangeContractTest, AHeartbeatDropsAnEarlierAttempt) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit first = ClaimUnit(TestWorker(1));
  ASSERT_OK(exchange().Release(TestWorker(1), run_, first.unit, first.attempt));
  const WorkUnit second = ClaimUnit(TestWorker(1));

  EXPECT_THAT(Must(Heartbeat(TestWorker(1), first, 1)).dropped, ElementsAre(first.unit));
  EXPECT_THAT(Must(Heartbeat(TestWorker(1), second, 1)).dropped, IsEmpty());
}

TEST_P(ExchangeContractTest, AHeartbeatDropsWhatIsHandedInOrClosed) {
  StartRun(2);
  Join(TestWorker(1));
  const WorkUnit done = ClaimUnit(TestWorker(1));
  const WorkUnit open = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(1), done));

  EXPECT_THAT(Must(Heartbeat(TestWorker(1), done, 2)).dropped, ElementsAre(done.unit));
  Finish();
  const HeartbeatResult result = Must(Heartbeat(TestWorker(1), open, 2));
  EXPECT_THAT(result.dropped, ElementsAre(open.unit));
  EXPECT_EQ(result.state, domain::RunState::kFinished);
}

TEST_P(ExchangeContractTest, ALeaseWithoutProgressIsNotRenewedForEver) {
  const absl::Duration limit = domain::StallLimit(config_.lease);
  const absl::Duration tick = absl::Milliseconds(1);
  for (const absl::Duration since_progress : {limit - tick, limit, limit + tick}) {
    SCOPED_TRACE(absl::FormatDuration(since_progress));
    domain::UnitView view;
    view.state = domain::UnitState::kLeased;
    view.attempt = base::Attempt(1);
    view.holder = TestWorker(1).id;
    view.lease_expired = true;
    const bool renewed =
        domain::DecideRenewal(view, view.holder, view.attempt, since_progress, limit).renew;
    if (since_progress != limit) {
      ASSERT_EQ(renewed, since_progress < limit);
    }

    TearDown();
    SetUp();
    StartRun(1);
    Join(TestWorker(1));
    const WorkUnit unit = ClaimUnit(TestWorker(1));
    backend().AdvanceTime(since_progress);
    const HeartbeatResult result = Must(Heartbeat(TestWorker(1), unit, 0));

    EXPECT_EQ(result.dropped.empty(), renewed);
    EXPECT_THAT(store().ReapExpiredLeases(run_, leadership_), base::IsOkAndHolds(renewed ? 0 : 1));
  }
}

TEST_P(ExchangeContractTest, OnlyMoreMicroBatchesThanBeforeAreProgress) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  const absl::Duration step = domain::StallLimit(config_.lease) - absl::Milliseconds(1);
  backend().AdvanceTime(step);
  ASSERT_THAT(Must(Heartbeat(TestWorker(1), unit, 1)).dropped, IsEmpty());
  backend().AdvanceTime(step);
  ASSERT_THAT(Must(Heartbeat(TestWorker(1), unit, 2)).dropped, IsEmpty());
  backend().AdvanceTime(step);
  ASSERT_THAT(Must(Heartbeat(TestWorker(1), unit, 2)).dropped, IsEmpty());
  ASSERT_THAT(Must(Heartbeat(TestWorker(1), unit, 1)).dropped, IsEmpty());

  backend().AdvanceTime(absl::Milliseconds(2));

  EXPECT_THAT(Must(Heartbeat(TestWorker(1), unit, 2)).dropped, ElementsAre(unit.unit));
}

TEST_P(ExchangeContractTest, MoreMicroBatchesThanTheUnitHasAreNoProgress) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  const auto all = static_cast<int>(
      domain::MicroBatchSizes(config_.images_per_unit, config_.micro_batch).size());
  const absl::Duration step = domain::StallLimit(config_.lease) - absl::Milliseconds(1);
  ASSERT_THAT(Must(Heartbeat(TestWorker(1), unit, all + 5)).dropped, IsEmpty());
  backend().AdvanceTime(step);
  ASSERT_THAT(Must(Heartbeat(TestWorker(1), unit, all + 6)).dropped, IsEmpty());

  backend().AdvanceTime(absl::Milliseconds(2));

  EXPECT_THAT(Must(Heartbeat(TestWorker(1), unit, std::numeric_limits<int>::max())).dropped,
              ElementsAre(unit.unit));
  backend().AdvanceTime(config_.lease);
  EXPECT_THAT(store().ReapExpiredLeases(run_, leadership_), base::IsOkAndHolds(1));
}

TEST_P(ExchangeContractTest, MadeUpProgressDoesNotHoldTheFirstRound) {
  config_.policy.speculation_multiplier = 3;
  StartRun(1);
  for (int worker = 1; worker <= 2; ++worker) Join(TestWorker(worker));
  const WorkUnit held = ClaimUnit(TestWorker(1));
  ASSERT_EQ(Status().median_unit_time, absl::ZeroDuration()) << "the first round";
  backend().AdvanceTime(domain::StallLimit(config_.lease) - absl::Milliseconds(1));
  ASSERT_THAT(Must(Heartbeat(TestWorker(1), held, 1)).dropped, IsEmpty());
  backend().AdvanceTime(absl::Milliseconds(1));
  ExpectNothingToClaim(TestWorker(2));
  backend().AdvanceTime(absl::Milliseconds(1));

  const WorkUnit copy = ClaimUnit(TestWorker(2));

  EXPECT_EQ(copy.slot, held.slot);
  EXPECT_THAT(Submit(TestWorker(2), copy), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
  EXPECT_THAT(Must(Heartbeat(TestWorker(1), held, 2)).dropped, ElementsAre(held.unit));
}

TEST_P(ExchangeContractTest, ANewClaimStartsItsProgressAnew) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit first = ClaimUnit(TestWorker(1));
  ASSERT_OK(Heartbeat(TestWorker(1), first, 2));
  ASSERT_OK(exchange().Release(TestWorker(1), run_, first.unit, first.attempt));
  backend().AdvanceTime(domain::StallLimit(config_.lease));
  const WorkUnit second = ClaimUnit(TestWorker(1));
  backend().AdvanceTime(domain::StallLimit(config_.lease) - absl::Milliseconds(1));

  ASSERT_THAT(Must(Heartbeat(TestWorker(1), second, 1)).dropped, IsEmpty());

  backend().AdvanceTime(absl::Milliseconds(2));
  EXPECT_THAT(Must(Heartbeat(TestWorker(1), second, 1)).dropped, IsEmpty());
}

TEST_P(ExchangeContractTest, MalformedHeartbeatsAreRefused) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  const UnitProgress good{unit.unit, unit.attempt, 1};
  const std::vector<std::vector<UnitProgress>> flaws = {
      {{base::UnitId(0), unit.attempt, 1}},
      {{unit.unit, base::Attempt(0), 1}},
      {{unit.unit, unit.attempt, -1}},
      {good, good},
      std::vector<UnitProgress>(kMaxHeldUnits + 1, good),
  };
  for (size_t i = 0; i < flaws.size(); ++i) {
    EXPECT_THAT(exchange().Heartbeat(TestWorker(1), run_, flaws[i]), base::StatusIs(kInvalid))
        << "flaw " << i;
  }
}

}  // namespace gannet::exchange
