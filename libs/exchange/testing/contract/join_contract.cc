#include <functional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/testing/contract/contract_support.h"
#include "libs/exchange/testing/exchange_contract.h"
#include "libs/exchange/validation.h"

namespace gannet::exchange {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

}  // namespace

// ---- Join

TEST_P(ExchangeContractTest, JoinDescribesTheRun) {
  StartRun();

  const JoinResult result = Must(exchange().Join(TestJoin(TestWorker(1), config_)));

  EXPECT_EQ(result.run, run_);
  EXPECT_EQ(result.config, config_);
  EXPECT_EQ(result.config.data.description, config_.data.description);
  EXPECT_EQ(result.state, domain::RunState::kRunning);
  EXPECT_EQ(result.heartbeat_interval, domain::HeartbeatInterval(config_.lease));
}

TEST_P(ExchangeContractTest, AShortLeaseAsksForMoreHeartbeats) {
  domain::RunConfig config = config_;
  config.lease = absl::Seconds(3);
  Must(store().CreateRun(TestNewRun(config)).status());

  const JoinResult result = Must(exchange().Join(TestJoin(TestWorker(1), config)));

  EXPECT_EQ(result.heartbeat_interval, absl::Seconds(1));
}

TEST_P(ExchangeContractTest, JoiningAgainChangesNamesOnly) {
  StartRun();
  const WorkerIdentity worker = TestWorker(1);
  Join(worker);
  const WorkUnit unit = ClaimUnit(worker);

  JoinRequest again = TestJoin(worker, config_);
  again.display_name = "Ada Lovelace \xC3\xA9";
  again.hardware = "another machine";
  ASSERT_OK(exchange().Join(again));

  EXPECT_THAT(Must(store().ListWorkers(run_, base::WorkerId(), 10)),
              ElementsAre(AllOf(Field(&WorkerSummary::worker, worker.id),
                                Field(&WorkerSummary::display_name, again.display_name),
                                Field(&WorkerSummary::hardware, again.hardware))));
  EXPECT_EQ(Progress(1).leased, 1);
  EXPECT_THAT(Submit(worker, unit), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
}

TEST_P(ExchangeContractTest, JoinWithAnotherSecretIsRefused) {
  StartRun();
  Join(TestWorker(1));
  JoinRequest thief = TestJoin(TestWorker(1, 2), config_);
  thief.worker.secret = TestWorker(2).secret;

  EXPECT_THAT(exchange().Join(thief), base::StatusIs(kUnauthenticated));
  thief.data.reset();
  EXPECT_THAT(exchange().Join(thief), base::StatusIs(kUnauthenticated));

  EXPECT_OK(exchange().Heartbeat(TestWorker(1), run_, {}));
}

RoundSummary TestSummary(base::Round round) {
  RoundSummary summary;
  summary.round = round;
  summary.gradient_count = 3;
  summary.image_count = 12;
  summary.discriminator_loss = 1.25;
  summary.generator_loss = 0.75;
  return summary;
}

TEST_P(ExchangeContractTest, ARunGoesOnFromACheckpoint) {
  NewRun run = TestNewRun(config_);
  run.version = base::WeightsVersion(41);
  run.history = {TestSummary(base::Round(7)), TestSummary(base::Round(41))};
  run.history[0].generator_loss = 0.1 + 0.2;
  run_ = Must(store().CreateRun(run));
  leadership_ = Must(store().AcquireLeadership(run_, TestLeader(1), kMaxLeadershipTtl));
  const WorkerIdentity worker = TestWorker(1);
  Join(worker);

  const WorkUnit unit = ClaimUnit(worker);

  EXPECT_EQ(unit.round, base::Round(42));
  EXPECT_EQ(unit.weights_version, base::WeightsVersion(41));
  EXPECT_EQ(Must(exchange().FetchWeights({worker, run_, unit.weights_version})).sha256,
            run.weights.sha256);
  const Store::Snapshot snapshot = Must(store().LoadSnapshot(run_));
  EXPECT_EQ(snapshot.version, base::WeightsVersion(41));
  EXPECT_EQ(snapshot.adam_state.sha256, run.adam_state.sha256);
  EXPECT_EQ(Must(store().ListRounds(run_, base::Round(0), 10)), run.history);
  EXPECT_EQ(Must(store().GetRunStatus(run_)).last_round, run.history[1]);
}

TEST_P(ExchangeContractTest, ACheckpointThatCannotBeIsRefused) {
  NewRun run = TestNewRun(config_);
  run.version = base::WeightsVersion(config_.round_count);
  EXPECT_THAT(store().CreateRun(run), base::StatusIs(kInvalid));
  run.version = base::WeightsVersion(-1);
  EXPECT_THAT(store().CreateRun(run), base::StatusIs(kInvalid));
  run.version = base::WeightsVersion(5);
  run.history = {TestSummary(base::Round(6))};
  EXPECT_THAT(store().CreateRun(run), base::StatusIs(kInvalid));
  run.history = {TestSummary(base::Round(3)), TestSummary(base::Round(3))};
  EXPECT_THAT(store().CreateRun(run), base::StatusIs(kInvalid));
}

TEST_P(ExchangeContractTest, JoinOfNoNameFindsTheNewestRunThatHasNotEnded) {
  const domain::RunConfig names[] = {TinyRunConfig("first"), TinyRunConfig("second"),
                                     TinyRunConfig("third")};
  std::vector<base::RunId> runs;
  for (const domain::RunConfig& config : names) {
    runs.push_back(Must(store().CreateRun(TestNewRun(config))));
  }
  ASSERT_OK(store().SetRunState(runs[2], domain::RunState::kStopped, "over"));
  ASSERT_OK(store().SetRunState(runs[1], domain::RunState::kPaused, "break"));
  JoinRequest request = TestJoin(TestWorker(1), names[1]);
  request.run_name = "";

  const JoinResult result = Must(exchange().Join(request));

  EXPECT_EQ(result.run, runs[1]);
  EXPECT_EQ(result.config.name, "second");
  EXPECT_EQ(result.state, domain::RunState::kPaused);
}

TEST_P(ExchangeContractTest, JoinWithoutARunIsNotFound) {
  JoinRequest request = TestJoin(TestWorker(1), config_);
  EXPECT_THAT(exchange().Join(request), base::StatusIs(kNotFound));
  request.run_name = "";
  EXPECT_THAT(exchange().Join(request), base::StatusIs(kNotFound));

  StartRun();
  ASSERT_OK(store().SetRunState(run_, domain::RunState::kStopped, "over"));

  EXPECT_THAT(exchange().Join(request), base::StatusIs(kNotFound));
  request.run_name = "another";
  EXPECT_THAT(exchange().Join(request), base::StatusIs(kNotFound));
}

TEST_P(ExchangeContractTest, ARunThatHasEndedIsJoinedByName) {
  StartRun();
  Finish();

  const JoinResult result = Must(exchange().Join(TestJoin(TestWorker(1), config_)));

  EXPECT_EQ(result.state, domain::RunState::kFinished);
  EXPECT_EQ(Must(exchange().Claim(NewClaim(TestWorker(1)))).state, domain::RunState::kFinished);
}

TEST_P(ExchangeContractTest, JoinWithoutDataRegistersNothing) {
  StartRun();
  JoinRequest request = TestJoin(TestWorker(1), config_);
  request.data.reset();

  const JoinResult result = Must(exchange().Join(request));

  EXPECT_EQ(result.config, config_);
  EXPECT_THAT(Must(store().ListWorkers(run_, base::WorkerId(), 10)), IsEmpty());
  EXPECT_THAT(exchange().Claim(NewClaim(TestWorker(1))), base::StatusIs(kUnauthenticated));
}

TEST_P(ExchangeContractTest, JoinWithOtherDataSaysHowItDiffers) {
  StartRun();
  JoinRequest request = TestJoin(TestWorker(1), config_);
  request.data->image_count = 63;

  EXPECT_THAT(exchange().Join(request), base::StatusIs(kFailedPrecondition, HasSubstr("63")));
  request = TestJoin(TestWorker(1), config_);
  request.data->digest = std::string(64, 'e');
  EXPECT_THAT(exchange().Join(request), base::StatusIs(kFailedPrecondition));

  EXPECT_THAT(Must(store().ListWorkers(run_, base::WorkerId(), 10)), IsEmpty());
  request = TestJoin(TestWorker(1), config_);
  request.data->description = "the same images, told otherwise";
  EXPECT_OK(exchange().Join(request));
}

TEST_P(ExchangeContractTest, JoinOfAnOldProtocolIsRefused) {
  StartRun();
  JoinRequest request = TestJoin(TestWorker(1), config_);
  request.protocol_version = kMinProtocolVersion - 1;

  EXPECT_THAT(exchange().Join(request), base::StatusIs(kFailedPrecondition, HasSubstr("protocol")));
  request.protocol_version = kProtocolVersion + 1;
  EXPECT_OK(exchange().Join(request));
}

TEST_P(ExchangeContractTest, MalformedJoinsAreRefused) {
  StartRun();
  const std::vector<std::function<void(JoinRequest&)>> flaws = {
      [](JoinRequest& r) { r.worker.id = base::WorkerId(""); },
      [](JoinRequest& r) { r.worker.id = base::WorkerId(std::string(32, 'F')); },
      [](JoinRequest& r) { r.worker.id = base::WorkerId(std::string(33, 'f')); },
      [](JoinRequest& r) { r.worker.secret = std::string(32, 'f'); },
      [](JoinRequest& r) { r.worker.incarnation = base::Incarnation(0); },
      [](JoinRequest& r) { r.worker.incarnation = base::Incarnation(-7); },
      [](JoinRequest& r) { r.display_name = std::string(65, 'x'); },
      [](JoinRequest& r) { r.display_name = "two\nlines"; },
      [](JoinRequest& r) { r.display_name = std::string("nul\0", 4); },
      [](JoinRequest& r) { r.display_name = "cut off \xC3"; },
      [](JoinRequest& r) { r.hardware = std::string(201, 'x'); },
      [](JoinRequest& r) { r.run_name = std::string(65, 'x'); },
      [](JoinRequest& r) { r.data->digest = "abc"; },
      [](JoinRequest& r) { r.data->image_count = -1; },
      [](JoinRequest& r) { r.data->kind = ""; },
  };
  for (size_t i = 0; i < flaws.size(); ++i) {
    JoinRequest request = TestJoin(TestWorker(1), config_);
    flaws[i](request);
    EXPECT_THAT(exchange().Join(request), base::StatusIs(kInvalid)) << "flaw " << i;
  }
  EXPECT_THAT(Must(store().ListWorkers(run_, base::WorkerId(), 10)), IsEmpty());
}

// ---- Describe

TEST_P(ExchangeContractTest, DescribeSaysHowTheRunStands) {
  StartRun();
  Join(TestWorker(1));

  const RunDescription running = Must(exchange().Describe(TestWorker(1), run_));

  EXPECT_EQ(running.run, run_);
  EXPECT_EQ(running.config, config_);
  EXPECT_EQ(running.state, domain::RunState::kRunning);

  domain::RunConfig changed = config_;
  changed.lease = absl::Seconds(90);
  Must(store().ChangeSettings(run_, changed, "slow machines"));
  Must(store().SetRunState(run_, domain::RunState::kPaused, "lunch"));
  EXPECT_EQ(Must(exchange().Describe(TestWorker(1), run_)),
            (RunDescription{run_, config_, domain::RunState::kPaused}))
      << "the change holds from round 2";
  PublishRequest publish = TestPublish(config_, run_, leadership_, base::WeightsVersion(0));
  publish.settings_version = Status().settings_version;
  Must(store().Publish(publish));
  EXPECT_EQ(Must(exchange().Describe(TestWorker(1), run_)).config.lease, absl::Seconds(90));
  Must(store().SetRunState(run_, domain::RunState::kStopped, ""));
  EXPECT_EQ(Must(exchange().Describe(TestWorker(1), run_)).state, domain::RunState::kStopped);
}

TEST_P(ExchangeContractTest, DescribeChangesNothingAndIsNoSignOfLife) {
  StartRun();
  Join(TestWorker(1));
  ClaimUnit(TestWorker(1));
  backend().AdvanceTime(config_.lease + absl::Seconds(1));

  Must(exchange().Describe(TestWorker(1), run_));

  const RunDump dump = backend().Dump(run_);
  EXPECT_EQ(dump.workers.front().since_seen, config_.lease + absl::Seconds(1));
  EXPECT_EQ(Status().worker_count, 0);
  EXPECT_THAT(store().ReapExpiredLeases(run_, leadership_), base::IsOkAndHolds(1));
}

// ---- Identity

TEST_P(ExchangeContractTest, CallsOfAnUnknownWorkerAreRefused) {
  StartRun();
  for (const Answer& answer : CallEverything(TestWorker(1), run_)) {
    EXPECT_THAT(answer.status, base::StatusIs(kUnauthenticated)) << answer.call;
  }
}

TEST_P(ExchangeContractTest, CallsWithAnotherSecretAreRefused) {
  StartRun();
  Join(TestWorker(1));
  WorkerIdentity thief = TestWorker(1);
  thief.secret = TestWorker(2).secret;
  thief.incarnation = base::Incarnation(9);
  for (const Answer& answer : CallEverything(thief, run_)) {
    EXPECT_THAT(answer.status, base::StatusIs(kUnauthenticated)) << answer.call;
  }
}

TEST_P(ExchangeContractTest, CallsOfAStaleIncarnationAreRefused) {
  StartRun();
  Join(TestWorker(1, 10));
  Join(TestWorker(1, 20));
  for (const Answer& answer : CallEverything(TestWorker(1, 10), run_)) {
    EXPECT_THAT(answer.status, base::StatusIs(kFailedPrecondition)) << answer.call;
  }
  EXPECT_OK(exchange().Heartbeat(TestWorker(1, 20), run_, {}));
}

// A database that was rolled back knows only the start before: that is no reason to end.
TEST_P(ExchangeContractTest, CallsOfAnIncarnationThatHasNotJoinedAreRefusedUntilItJoins) {
  StartRun();
  Join(TestWorker(1, 10));
  for (const Answer& answer : CallEverything(TestWorker(1, 20), run_)) {
    EXPECT_THAT(answer.status, base::StatusIs(kUnauthenticated, HasSubstr("join"))) << answer.call;
  }
  Join(TestWorker(1, 20));
  EXPECT_OK(exchange().Heartbeat(TestWorker(1, 20), run_, {}));
  Join(TestWorker(1, 15));  // a clock may go wrong: whoever joined last is current
  EXPECT_OK(exchange().Heartbeat(TestWorker(1, 15), run_, {}));
}

TEST_P(ExchangeContractTest, CallsToNoRunAreNotFound) {
  StartRun();
  Join(TestWorker(1));
  for (const Answer& answer : CallEverything(TestWorker(1), kNoSuchRun)) {
    EXPECT_THAT(answer.status, base::StatusIs(kNotFound)) << answer.call;
  }
  for (const Answer& answer : CallEverything(TestWorker(1), base::RunId(0))) {
    EXPECT_THAT(answer.status, base::StatusIs(kInvalid)) << answer.call;
  }
}

TEST_P(ExchangeContractTest, CallsWithAMalformedIdentityAreRefused) {
  StartRun();
  WorkerIdentity malformed = TestWorker(1);
  malformed.id = base::WorkerId("'; DROP TABLE worker; --");
  for (const Answer& answer : CallEverything(malformed, run_)) {
    EXPECT_THAT(answer.status, base::StatusIs(kInvalid)) << answer.call;
  }
}

TEST_P(ExchangeContractTest, AWorkerIsRegisteredPerRun) {
  StartRun();
  Join(TestWorker(1));
  const base::RunId other = Must(store().CreateRun(TestNewRun(TinyRunConfig("other"))));
  for (const Answer& answer : CallEverything(TestWorker(1), other)) {
    EXPECT_THAT(answer.status, base::StatusIs(kUnauthenticated)) << answer.call;
  }
}

TEST_P(ExchangeContractTest, TakingOverFreesTheLeases) {
  StartRun(2);
  Join(TestWorker(1, 1));
  const WorkUnit first = ClaimUnit(TestWorker(1, 1));
  ClaimUnit(TestWorker(1, 1));

  Join(TestWorker(1, 2));

  EXPECT_EQ(Progress(1).ready, 2);
  const WorkUnit again = ClaimUnit(TestWorker(1, 2));
  EXPECT_EQ(again.unit, first.unit);
  EXPECT_EQ(again.attempt, base::Attempt(2));
}

TEST_P(ExchangeContractTest, TheNewIncarnationMaySubmitWhatTheOldOneComputed) {
  StartRun(1);
  Join(TestWorker(1, 1));
  const WorkUnit unit = ClaimUnit(TestWorker(1, 1));
  Join(TestWorker(1, 2));

  EXPECT_THAT(Submit(TestWorker(1, 2), unit), base::IsOkAndHolds(domain::SubmitOutcome::kLate));
}

// ---- Removing

TEST_P(ExchangeContractTest, EveryCallOfARemovedWorkerIsRefusedUntilItIsRestored) {
  StartRun();
  Join(TestWorker(1));

  ASSERT_OK(store().RemoveWorker(run_, TestWorker(1).id, "plays with the loss"));

  const std::string told =
      "this worker was removed from the run: plays with the loss; ask the instructor";
  for (const Answer& answer : CallEverything(TestWorker(1), run_)) {
    EXPECT_THAT(answer.status, base::StatusIs(kFailedPrecondition, HasSubstr(told))) << answer.call;
  }
  JoinRequest again = TestJoin(TestWorker(1, 7), config_);
  EXPECT_THAT(exchange().Join(again), base::StatusIs(kFailedPrecondition, HasSubstr(told)));
  again.data.reset();
  EXPECT_THAT(exchange().Join(again), base::StatusIs(kFailedPrecondition, HasSubstr(told)));
  EXPECT_EQ(Summary(TestWorker(1)).removed_reason, "plays with the loss");
  EXPECT_EQ(Status().worker_count, 0);

  ASSERT_OK(store().RestoreWorker(run_, TestWorker(1).id));
  ASSERT_OK(store().RestoreWorker(run_, TestWorker(1).id));

  EXPECT_EQ(Summary(TestWorker(1)).removed_reason, "");
  ClaimUnit(TestWorker(1));
  Join(TestWorker(1, 7));
}

TEST_P(ExchangeContractTest, WhatARemovedWorkerHeldOrHandedInIsComputedAnew) {
  StartRun(3);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit done = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(1), done));
  const WorkUnit leased = ClaimUnit(TestWorker(1));
  const WorkUnit honest = ClaimUnit(TestWorker(2));
  ASSERT_OK(Submit(TestWorker(2), honest));

  ASSERT_OK(store().RemoveWorker(run_, TestWorker(1).id, "x"));
  ASSERT_OK(store().RemoveWorker(run_, TestWorker(1).id, "y"));

  EXPECT_EQ(Progress(1).ready, 2);
  EXPECT_EQ(Progress(1).leased, 0);
  ASSERT_EQ(Progress(1).gradients.size(), 1u);
  EXPECT_EQ(Progress(1).gradients[0].worker, TestWorker(2).id);
  EXPECT_EQ(Summary(TestWorker(1)).accepted_unit_count, 0);
  EXPECT_EQ(Summary(TestWorker(1)).accepted_image_count, 0);
  EXPECT_EQ(Summary(TestWorker(1)).removed_reason, "y");
  EXPECT_THAT(store().FetchGradient(run_, done.unit), base::StatusIs(kNotFound));
  EXPECT_EQ(ClaimUnit(TestWorker(2)).unit, done.unit);
  const WorkUnit second = ClaimUnit(TestWorker(2));
  EXPECT_EQ(second.unit, leased.unit);
  EXPECT_EQ(second.attempt, base::Attempt(2));
  ASSERT_OK(store().RestoreWorker(run_, TestWorker(1).id));
  EXPECT_THAT(Submit(TestWorker(1), leased),
              base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded));
  EXPECT_EQ(backend().Dump(run_).units[0].failures, 0);
}

TEST_P(ExchangeContractTest, WhatIsPublishedOfARemovedWorkerStays) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(1), unit));
  Publish(1);

  ASSERT_OK(store().RemoveWorker(run_, TestWorker(1).id, "x"));

  EXPECT_EQ(Summary(TestWorker(1)).accepted_unit_count, 1);
  EXPECT_EQ(Progress(1).gradients.size(), 1u);
}

TEST_P(ExchangeContractTest, OnlyWhoHasJoinedIsRemovedAndForAReason) {
  StartRun();
  Join(TestWorker(1));

  EXPECT_THAT(store().RemoveWorker(run_, TestWorker(2).id, "x"), base::StatusIs(kNotFound));
  EXPECT_THAT(store().RestoreWorker(run_, TestWorker(2).id), base::StatusIs(kNotFound));
  EXPECT_THAT(store().RemoveWorker(kNoSuchRun, TestWorker(1).id, "x"), base::StatusIs(kNotFound));
  EXPECT_THAT(store().RestoreWorker(kNoSuchRun, TestWorker(1).id), base::StatusIs(kNotFound));
  EXPECT_THAT(store().RemoveWorker(run_, TestWorker(1).id, ""), base::StatusIs(kInvalid));
  EXPECT_THAT(store().RemoveWorker(run_, TestWorker(1).id, std::string(501, 'x')),
              base::StatusIs(kInvalid));
  EXPECT_THAT(store().RemoveWorker(run_, base::WorkerId("me"), "x"), base::StatusIs(kInvalid));
  EXPECT_THAT(store().RestoreWorker(run_, base::WorkerId("me")), base::StatusIs(kInvalid));
  ClaimUnit(TestWorker(1));
}

TEST_P(ExchangeContractTest, ARemovedWorkerStaysRemovedInTheRunThatGoesOn) {
  StartRun();
  Join(TestWorker(1));
  ASSERT_OK(store().RemoveWorker(run_, TestWorker(1).id, "x"));
  NewRun archived = TestNewRun(TinyRunConfig("restored"));
  archived.workers = Must(store().ListWorkerRecords(run_));

  const base::RunId restored = Must(store().CreateRun(archived));

  for (const Answer& answer : CallEverything(TestWorker(1), restored)) {
    EXPECT_THAT(answer.status, base::StatusIs(kFailedPrecondition, HasSubstr("removed")))
        << answer.call;
  }
}

TEST_P(ExchangeContractTest, OnlyGradientsOfTheOpenRoundAreRejected) {
  StartRun(2);
  Join(TestWorker(1));
  const WorkUnit done = ClaimUnit(TestWorker(1));
  const WorkUnit leased = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(1), done));

  EXPECT_THAT(store().RejectGradient(run_, leadership_, leased.unit, ""),
              base::StatusIs(kNotFound));
  EXPECT_THAT(store().RejectGradient(run_, leadership_, kNoSuchUnit, ""),
              base::StatusIs(kNotFound));
  Publish();
  EXPECT_THAT(store().RejectGradient(run_, leadership_, done.unit, ""), base::StatusIs(kNotFound));

  EXPECT_EQ(Summary(TestWorker(1)).accepted_unit_count, 1);
}

}  // namespace gannet::exchange
