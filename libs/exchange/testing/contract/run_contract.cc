#include <functional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "libs/base/clock.h"
#include "libs/base/sha256.h"
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

// ---- Runs

TEST_P(ExchangeContractTest, ANewRunStandsAtVersionZero) {
  StartRun();

  const RunStatus status = Must(store().FindRun(config_.name));

  EXPECT_EQ(status.run, run_);
  EXPECT_EQ(status.config, config_);
  EXPECT_EQ(status.config.data.description, config_.data.description);
  EXPECT_EQ(status.state, domain::RunState::kRunning);
  EXPECT_EQ(status.state_reason, "");
  EXPECT_EQ(status.weights_version, base::WeightsVersion(0));
  EXPECT_FALSE(status.last_round.has_value());
  EXPECT_EQ(status.worker_count, 0);
  EXPECT_EQ(status.accepted_image_count, 0);
  EXPECT_EQ(Progress(1).ready, 3);
  const Store::Snapshot snapshot = Must(store().LoadSnapshot(run_));
  EXPECT_EQ(snapshot.version, base::WeightsVersion(0));
  EXPECT_EQ(*snapshot.weights.bytes, *TestWeights(config_, 0.0f).bytes);
  EXPECT_EQ(*snapshot.adam_state.bytes, *TestAdamState(config_, 0.0f).bytes);
  EXPECT_TRUE(snapshot.weights.IsIntact());
  EXPECT_TRUE(snapshot.adam_state.IsIntact());
}

TEST_P(ExchangeContractTest, ARunsNameIsUnique) {
  StartRun();
  EXPECT_THAT(store().CreateRun(TestNewRun(config_)),
              base::StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_OK(store().CreateRun(TestNewRun(TinyRunConfig("other"))));
}

TEST_P(ExchangeContractTest, CallsOfTheStoreToNoRunAreNotFound) {
  StartRun();
  const base::RunId none = kNoSuchRun;
  EXPECT_THAT(store().FindRun("another"), base::StatusIs(kNotFound));
  EXPECT_THAT(store().GetRunStatus(none), base::StatusIs(kNotFound));
  EXPECT_THAT(store().GetRunStatus(base::RunId(0)), base::StatusIs(kNotFound));
  EXPECT_THAT(store().AcquireLeadership(none, TestLeader(1), absl::Seconds(1)),
              base::StatusIs(kNotFound));
  EXPECT_THAT(store().ResignLeadership(none, leadership_), base::StatusIs(kNotFound));
  EXPECT_THAT(store().LoadSnapshot(none), base::StatusIs(kNotFound));
  EXPECT_THAT(store().GetRoundProgress(none, base::Round(1)), base::StatusIs(kNotFound));
  EXPECT_THAT(store().FetchGradient(none, base::UnitId(1)), base::StatusIs(kNotFound));
  EXPECT_THAT(store().RejectGradient(none, leadership_, base::UnitId(1), ""),
              base::StatusIs(kNotFound));
  EXPECT_THAT(store().Publish(TestPublish(config_, none, leadership_, base::WeightsVersion(0))),
              base::StatusIs(kNotFound));
  EXPECT_THAT(store().ReapExpiredLeases(none, leadership_), base::StatusIs(kNotFound));
  EXPECT_THAT(store().ReclaimOldBlobs(none, leadership_, base::Round(1)),
              base::StatusIs(kNotFound));
  EXPECT_THAT(store().SetRunState(none, domain::RunState::kPaused, ""), base::StatusIs(kNotFound));
  EXPECT_THAT(store().ListRounds(none, base::Round(0), 1), base::StatusIs(kNotFound));
  EXPECT_THAT(store().ListWorkers(none, base::WorkerId(), 1), base::StatusIs(kNotFound));
}

TEST_P(ExchangeContractTest, MalformedRunsAreRefused) {
  const std::vector<std::function<void(NewRun&)>> flaws = {
      [](NewRun& r) { r.config.name = std::string(65, 'x'); },
      [](NewRun& r) { r.config.name = "two\nlines"; },
      [](NewRun& r) { r.config.micro_batch = 0; },
      [](NewRun& r) { r.config.data.digest = ""; },
      [](NewRun& r) { r.units.clear(); },
      [](NewRun& r) { r.units[1].slot = base::Slot(0); },
      [](NewRun& r) { r.units[1].slot = base::Slot(-1); },
      [](NewRun& r) { r.units[1].image_indices.clear(); },
      [](NewRun& r) { r.units[1].image_indices = {-1}; },
      [](NewRun& r) { r.weights = Payload(); },
      [](NewRun& r) { r.adam_state = Payload::FromBytes(tensor::Codec::kFp32, ""); },
  };
  for (size_t i = 0; i < flaws.size(); ++i) {
    NewRun run = TestNewRun(config_);
    flaws[i](run);
    EXPECT_THAT(store().CreateRun(run), base::StatusIs(kInvalid)) << "flaw " << i;
  }
  NewRun damaged = TestNewRun(config_);
  damaged.weights.sha256 = base::Sha256("something else");
  EXPECT_THAT(store().CreateRun(damaged), base::StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(store().FindRun(config_.name), base::StatusIs(kNotFound));
}

TEST_P(ExchangeContractTest, AWorkerIsPresentUntilItsTimeIsOver) {
  StartRun();
  Join(TestWorker(1));
  backend().AdvanceTime(kWorkerLivenessTimeout - absl::Milliseconds(1));
  EXPECT_EQ(Status().worker_count, 1);
  backend().AdvanceTime(absl::Milliseconds(1));
  EXPECT_EQ(Status().worker_count, 0);
  ASSERT_OK(exchange().Heartbeat(TestWorker(1), run_, {}));
  EXPECT_EQ(Status().worker_count, 1);
}

TEST_P(ExchangeContractTest, AKeptGradientIsASignOfLifeAndAClaimIsNone) {
  StartRun();
  Join(TestWorker(1));
  const absl::Time joined = Summary(TestWorker(1)).last_seen;
  backend().AdvanceTime(absl::Seconds(7));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  EXPECT_EQ(Summary(TestWorker(1)).last_seen, joined);
  ASSERT_OK(Submit(TestWorker(1), unit));
  EXPECT_EQ(Summary(TestWorker(1)).last_seen, joined + absl::Seconds(7));
  backend().AdvanceTime(absl::Seconds(1));
  ASSERT_THAT(Submit(TestWorker(1), unit),
              base::IsOkAndHolds(domain::SubmitOutcome::kAlreadyAccepted));
  EXPECT_EQ(Summary(TestWorker(1)).last_seen, joined + absl::Seconds(7));
}

TEST_P(ExchangeContractTest, APausedRunHandsOutNothingAndStillAccepts) {
  StartRun(2);
  Join(TestWorker(1));
  const ClaimRequest request = NewClaim(TestWorker(1));
  const WorkUnit unit = *Must(exchange().Claim(request)).unit;

  ASSERT_OK(store().SetRunState(run_, domain::RunState::kPaused, "lunch"));

  const ClaimResult none = Must(exchange().Claim(NewClaim(TestWorker(1))));
  EXPECT_FALSE(none.unit.has_value());
  EXPECT_EQ(none.state, domain::RunState::kPaused);
  EXPECT_EQ(Must(exchange().Claim(request)).unit, unit) << "a repeat gets what it holds";
  EXPECT_EQ(Must(Heartbeat(TestWorker(1), unit, 1)).state, domain::RunState::kPaused);
  EXPECT_THAT(Submit(TestWorker(1), unit), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
  EXPECT_EQ(Status().state_reason, "lunch");
  ASSERT_OK(store().SetRunState(run_, domain::RunState::kPaused, "still lunch"));
  EXPECT_EQ(Status().state_reason, "lunch");

  ASSERT_OK(store().SetRunState(run_, domain::RunState::kRunning, "back"));

  EXPECT_EQ(Status().state_reason, "");
  EXPECT_EQ(ClaimUnit(TestWorker(1)).slot, base::Slot(1));
}

TEST_P(ExchangeContractTest, AStoppedRunIsOver) {
  StartRun(3);
  Join(TestWorker(1));
  const WorkUnit done = ClaimUnit(TestWorker(1));
  const WorkUnit open = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(1), done));

  ASSERT_OK(store().SetRunState(run_, domain::RunState::kStopped, "enough"));
  ASSERT_OK(store().SetRunState(run_, domain::RunState::kStopped, "enough, again"));

  EXPECT_EQ(Status().state, domain::RunState::kStopped);
  EXPECT_EQ(Status().state_reason, "enough");
  EXPECT_EQ(Progress(1).ready + Progress(1).leased, 0);
  EXPECT_THAT(Progress(1).gradients, SizeIs(1));
  EXPECT_THAT(Submit(TestWorker(1), open), base::IsOkAndHolds(domain::SubmitOutcome::kClosed));
  const ClaimResult claim = Must(exchange().Claim(NewClaim(TestWorker(1))));
  EXPECT_FALSE(claim.unit.has_value());
  EXPECT_EQ(claim.state, domain::RunState::kStopped);
  EXPECT_THAT(store().SetRunState(run_, domain::RunState::kRunning, ""),
              base::StatusIs(kFailedPrecondition));
  EXPECT_THAT(store().SetRunState(run_, domain::RunState::kPaused, ""),
              base::StatusIs(kFailedPrecondition));
  EXPECT_THAT(store().Publish(TestPublish(config_, run_, leadership_, base::WeightsVersion(0))),
              base::StatusIs(kFailedPrecondition));
  EXPECT_THAT(store().RejectGradient(run_, leadership_, done.unit, "bad"),
              base::StatusIs(kNotFound));
}

TEST_P(ExchangeContractTest, NobodyMayAskForTheEnd) {
  StartRun();
  EXPECT_THAT(store().SetRunState(run_, domain::RunState::kFinished, ""), base::StatusIs(kInvalid));
  EXPECT_EQ(Status().state, domain::RunState::kRunning);
}

// ---- Waiting for changes

TEST_P(ExchangeContractTest, TheAcceptThatCompletesARoundIsAChange) {
  StartRun(2);
  Join(TestWorker(1));
  const WorkUnit first = ClaimUnit(TestWorker(1));
  const WorkUnit second = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(1), first));
  const auto wait = [&] {
    base::RealClock clock;
    const absl::Duration end = clock.Steady() + absl::Seconds(40);
    // A hint only: it may come for nothing.
    while (Progress(1).gradients.size() < 2 && clock.Steady() < end) {
      store().AwaitChange(run_, absl::Seconds(40));
    }
  };

  ExpectWoken(wait, [&] { Must(Submit(TestWorker(1), second).status()); });

  EXPECT_THAT(Progress(1).gradients, SizeIs(2));
}

TEST_P(ExchangeContractTest, ControlIsAChange) {
  StartRun(1);
  Join(TestWorker(1));
  ClaimUnit(TestWorker(1));
  const auto wait = [&] {
    base::RealClock clock;
    const absl::Duration end = clock.Steady() + absl::Seconds(40);
    while (Status().state != domain::RunState::kPaused && clock.Steady() < end) {
      store().AwaitChange(run_, absl::Seconds(40));
    }
  };

  ExpectWoken(wait, [&] { Must(store().SetRunState(run_, domain::RunState::kPaused, "lunch")); });
}

TEST_P(ExchangeContractTest, WaitingForChangesOfNoRunReturns) {
  StartRun(1);
  Join(TestWorker(1));
  ClaimUnit(TestWorker(1));
  ExpectWoken([&] { store().AwaitChange(kNoSuchRun, absl::Seconds(40)); }, [] {});
}

// ---- Lists

TEST_P(ExchangeContractTest, RoundsAreListedAPageAtATime) {
  StartRun(1);
  for (int version = 1; version <= 5; ++version) Publish(1);
  const auto rounds = [&](int64_t after, int limit) {
    std::vector<int64_t> numbers;
    for (const RoundSummary& summary : Must(store().ListRounds(run_, base::Round(after), limit))) {
      numbers.push_back(summary.round.value());
    }
    return numbers;
  };
  EXPECT_THAT(rounds(0, 2), ElementsAre(1, 2));
  EXPECT_THAT(rounds(2, 2), ElementsAre(3, 4));
  EXPECT_THAT(rounds(4, 2), ElementsAre(5));
  EXPECT_THAT(rounds(5, 2), IsEmpty());
  EXPECT_THAT(rounds(0, kMaxPage), SizeIs(5));
  EXPECT_THAT(store().ListRounds(run_, base::Round(0), 0), base::StatusIs(kInvalid));
  EXPECT_THAT(store().ListRounds(run_, base::Round(0), kMaxPage + 1), base::StatusIs(kInvalid));
  EXPECT_THAT(store().ListRounds(run_, base::Round(-1), 1), base::StatusIs(kInvalid));
}

TEST_P(ExchangeContractTest, WorkersAreListedAPageAtATime) {
  StartRun();
  for (const int number : {30, 10, 20}) Join(TestWorker(number));
  const auto workers = [&](const base::WorkerId& after, int limit) {
    std::vector<base::WorkerId> ids;
    for (const WorkerSummary& summary : Must(store().ListWorkers(run_, after, limit))) {
      ids.push_back(summary.worker);
    }
    return ids;
  };
  EXPECT_THAT(workers(base::WorkerId(), 2), ElementsAre(TestWorker(10).id, TestWorker(20).id));
  EXPECT_THAT(workers(TestWorker(20).id, 2), ElementsAre(TestWorker(30).id));
  EXPECT_THAT(workers(TestWorker(11).id, 1), ElementsAre(TestWorker(20).id));
  EXPECT_THAT(workers(TestWorker(30).id, 2), IsEmpty());
  EXPECT_THAT(store().ListWorkers(run_, base::WorkerId("x"), 1), base::StatusIs(kInvalid));
  EXPECT_THAT(store().ListWorkers(run_, base::WorkerId(), 0), base::StatusIs(kInvalid));
  EXPECT_THAT(store().ListWorkers(run_, base::WorkerId(), kMaxPage + 1), base::StatusIs(kInvalid));
}

}  // namespace gannet::exchange
