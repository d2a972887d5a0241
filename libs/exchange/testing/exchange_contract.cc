#include "libs/exchange/testing/exchange_contract.h"

#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/clock.h"
#include "libs/base/sha256.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/domain/gradient_limits.h"
#include "libs/domain/round_plan.h"
#include "libs/exchange/validation.h"

namespace gannet {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kAborted = absl::StatusCode::kAborted;
constexpr auto kNotFound = absl::StatusCode::kNotFound;
constexpr auto kUnauthenticated = absl::StatusCode::kUnauthenticated;
constexpr auto kFailedPrecondition = absl::StatusCode::kFailedPrecondition;

const UnitId kNoSuchUnit(int64_t{1} << 60);
const RunId kNoSuchRun(int64_t{1} << 60);

// The value, or the end of the test: GoogleTest reports the exception as its failure.
template <typename T>
T Must(absl::StatusOr<T> value) {
  if (!value.ok()) throw std::runtime_error(value.status().ToString());
  return *std::move(value);
}

void Must(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

}  // namespace

ExchangeContractParam MakeExchangeContractParam(const std::string& name,
                                                BackendFixtureFactory make) {
  return {name, std::move(make)};
}

void ExchangeContractTest::SetUp() {
  backend_ = GetParam().make();
  ASSERT_NE(backend_, nullptr);
}

void ExchangeContractTest::ExpectWoken(const std::function<void()>& wait,
                                       const std::function<void()>& act) {
  RealClock clock;
  const absl::Duration start = clock.Steady();
  std::thread waiter(wait);
  // A claim that comes later and has waited in vain: by then the waiter waits, too.
  ClaimRequest bystander = NewClaim(TestWorker(99));
  bystander.wait = absl::Milliseconds(100);
  const absl::Status joined = exchange().Join(TestJoin(bystander.worker, config_)).status();
  const absl::StatusOr<ClaimResult> nothing = exchange().Claim(bystander);
  act();
  waiter.join();
  EXPECT_LT(clock.Steady() - start, absl::Seconds(20)) << "nothing woke the waiter";
  EXPECT_OK(joined);
  ASSERT_OK(nothing);
  EXPECT_FALSE(nothing->unit.has_value());
}

void ExchangeContractTest::StartRun(int unit_count) {
  NewRun run = TestNewRun(config_);
  run.units.resize(static_cast<size_t>(unit_count));
  run_ = Must(store().CreateRun(run));
  leadership_ = Must(store().AcquireLeadership(run_, TestLeader(1), kMaxLeadershipTtl));
}

void ExchangeContractTest::Join(const WorkerIdentity& worker) {
  Must(exchange().Join(TestJoin(worker, config_)).status());
}

ClaimRequest ExchangeContractTest::NewClaim(const WorkerIdentity& worker) {
  return {worker, run_, absl::StrFormat("%032x", ++request_count_), absl::ZeroDuration()};
}

WorkUnit ExchangeContractTest::ClaimUnit(const WorkerIdentity& worker) {
  ClaimResult result = Must(exchange().Claim(NewClaim(worker)));
  if (!result.unit.has_value()) throw std::runtime_error("there is no unit to claim");
  return *std::move(result.unit);
}

void ExchangeContractTest::ExpectNothingToClaim(const WorkerIdentity& worker) {
  EXPECT_FALSE(Must(exchange().Claim(NewClaim(worker))).unit.has_value());
}

absl::StatusOr<SubmitOutcome> ExchangeContractTest::Submit(const WorkerIdentity& worker,
                                                           const WorkUnit& unit, float value) {
  return exchange().Submit(TestSubmit(config_, worker, unit, value));
}

absl::StatusOr<HeartbeatResult> ExchangeContractTest::Heartbeat(const WorkerIdentity& worker,
                                                                const WorkUnit& unit,
                                                                int micro_batches_done) {
  return exchange().Heartbeat(worker, run_, {{unit.unit, unit.attempt, micro_batches_done}});
}

void ExchangeContractTest::Publish(int unit_count, bool keep) {
  PublishRequest request = TestPublish(config_, run_, leadership_, Status().weights_version);
  request.next_units.resize(static_cast<size_t>(unit_count));
  request.keep = keep;
  Must(store().Publish(request));
}

void ExchangeContractTest::Finish() {
  PublishRequest request = TestPublish(config_, run_, leadership_, Status().weights_version);
  request.next_units.clear();
  request.finished = true;
  Must(store().Publish(request));
}

void ExchangeContractTest::FailForGood(const WorkerIdentity& worker, const std::string& reason) {
  for (int failure = 0; failure < kMaxUnitFailures; ++failure) {
    const WorkUnit unit = ClaimUnit(worker);
    Must(exchange().Fail(worker, run_, unit.unit, unit.attempt, reason));
    backend().AdvanceTime(ReturnDelay(unit.attempt, ReturnCause::kFailed));
  }
}

RunStatus ExchangeContractTest::Status() { return Must(store().GetRunStatus(run_)); }

RoundProgress ExchangeContractTest::Progress(int64_t round) {
  return Must(store().GetRoundProgress(run_, Round(round)));
}

WorkerSummary ExchangeContractTest::Summary(const WorkerIdentity& worker) {
  for (const WorkerSummary& summary : Must(store().ListWorkers(run_, WorkerId(), kMaxPage))) {
    if (summary.worker == worker.id) return summary;
  }
  throw std::runtime_error("the worker is not listed");
}

std::vector<ExchangeContractTest::Answer> ExchangeContractTest::CallEverything(
    const WorkerIdentity& worker, RunId run) {
  WorkUnit unit;
  unit.run = run;
  unit.unit = UnitId(1);
  unit.attempt = Attempt(1);
  ClaimRequest claim = NewClaim(worker);
  claim.run = run;
  return {
      {"Claim", exchange().Claim(claim).status()},
      {"FetchWeights", exchange().FetchWeights({worker, run, WeightsVersion(0)}).status()},
      {"Submit", Submit(worker, unit).status()},
      {"Heartbeat", exchange().Heartbeat(worker, run, {}).status()},
      {"Release", exchange().Release(worker, run, unit.unit, unit.attempt)},
      {"Fail", exchange().Fail(worker, run, unit.unit, unit.attempt, "unreadable image")},
      {"Leave", exchange().Leave(worker, run)},
  };
}

// Some tests link this library for its other half.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ExchangeContractTest);

// ---- Join

TEST_P(ExchangeContractTest, JoinDescribesTheRun) {
  StartRun();

  const JoinResult result = Must(exchange().Join(TestJoin(TestWorker(1), config_)));

  EXPECT_EQ(result.run, run_);
  EXPECT_EQ(result.config, config_);
  EXPECT_EQ(result.config.data.description, config_.data.description);
  EXPECT_EQ(result.state, RunState::kRunning);
  EXPECT_EQ(result.heartbeat_interval, HeartbeatInterval(config_.lease));
}

TEST_P(ExchangeContractTest, AShortLeaseAsksForMoreHeartbeats) {
  RunConfig config = config_;
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

  EXPECT_THAT(Must(store().ListWorkers(run_, WorkerId(), 10)),
              ElementsAre(AllOf(Field(&WorkerSummary::worker, worker.id),
                                Field(&WorkerSummary::display_name, again.display_name),
                                Field(&WorkerSummary::hardware, again.hardware))));
  EXPECT_EQ(Progress(1).leased, 1);
  EXPECT_THAT(Submit(worker, unit), IsOkAndHolds(SubmitOutcome::kAccepted));
}

TEST_P(ExchangeContractTest, JoinWithAnotherSecretIsRefused) {
  StartRun();
  Join(TestWorker(1));
  JoinRequest thief = TestJoin(TestWorker(1, 2), config_);
  thief.worker.secret = TestWorker(2).secret;

  EXPECT_THAT(exchange().Join(thief), StatusIs(kUnauthenticated));
  thief.data.reset();
  EXPECT_THAT(exchange().Join(thief), StatusIs(kUnauthenticated));

  EXPECT_OK(exchange().Heartbeat(TestWorker(1), run_, {}));
}

RoundSummary TestSummary(Round round) {
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
  run.version = WeightsVersion(41);
  run.history = {TestSummary(Round(7)), TestSummary(Round(41))};
  run.history[0].generator_loss = 0.1 + 0.2;
  run_ = Must(store().CreateRun(run));
  leadership_ = Must(store().AcquireLeadership(run_, TestLeader(1), kMaxLeadershipTtl));
  const WorkerIdentity worker = TestWorker(1);
  Join(worker);

  const WorkUnit unit = ClaimUnit(worker);

  EXPECT_EQ(unit.round, Round(42));
  EXPECT_EQ(unit.weights_version, WeightsVersion(41));
  EXPECT_EQ(Must(exchange().FetchWeights({worker, run_, unit.weights_version})).sha256,
            run.weights.sha256);
  const Store::Snapshot snapshot = Must(store().LoadSnapshot(run_));
  EXPECT_EQ(snapshot.version, WeightsVersion(41));
  EXPECT_EQ(snapshot.adam_state.sha256, run.adam_state.sha256);
  EXPECT_EQ(Must(store().ListRounds(run_, Round(0), 10)), run.history);
  EXPECT_EQ(Must(store().GetRunStatus(run_)).last_round, run.history[1]);
}

TEST_P(ExchangeContractTest, ACheckpointThatCannotBeIsRefused) {
  NewRun run = TestNewRun(config_);
  run.version = WeightsVersion(config_.round_count);
  EXPECT_THAT(store().CreateRun(run), StatusIs(kInvalid));
  run.version = WeightsVersion(-1);
  EXPECT_THAT(store().CreateRun(run), StatusIs(kInvalid));
  run.version = WeightsVersion(5);
  run.history = {TestSummary(Round(6))};
  EXPECT_THAT(store().CreateRun(run), StatusIs(kInvalid));
  run.history = {TestSummary(Round(3)), TestSummary(Round(3))};
  EXPECT_THAT(store().CreateRun(run), StatusIs(kInvalid));
}

TEST_P(ExchangeContractTest, JoinOfNoNameFindsTheNewestRunThatHasNotEnded) {
  const RunConfig names[] = {TinyRunConfig("first"), TinyRunConfig("second"),
                             TinyRunConfig("third")};
  std::vector<RunId> runs;
  for (const RunConfig& config : names) {
    runs.push_back(Must(store().CreateRun(TestNewRun(config))));
  }
  ASSERT_OK(store().SetRunState(runs[2], RunState::kStopped, "over"));
  ASSERT_OK(store().SetRunState(runs[1], RunState::kPaused, "break"));
  JoinRequest request = TestJoin(TestWorker(1), names[1]);
  request.run_name = "";

  const JoinResult result = Must(exchange().Join(request));

  EXPECT_EQ(result.run, runs[1]);
  EXPECT_EQ(result.config.name, "second");
  EXPECT_EQ(result.state, RunState::kPaused);
}

TEST_P(ExchangeContractTest, JoinWithoutARunIsNotFound) {
  JoinRequest request = TestJoin(TestWorker(1), config_);
  EXPECT_THAT(exchange().Join(request), StatusIs(kNotFound));
  request.run_name = "";
  EXPECT_THAT(exchange().Join(request), StatusIs(kNotFound));

  StartRun();
  ASSERT_OK(store().SetRunState(run_, RunState::kStopped, "over"));

  EXPECT_THAT(exchange().Join(request), StatusIs(kNotFound));
  request.run_name = "another";
  EXPECT_THAT(exchange().Join(request), StatusIs(kNotFound));
}

TEST_P(ExchangeContractTest, ARunThatHasEndedIsJoinedByName) {
  StartRun();
  Finish();

  const JoinResult result = Must(exchange().Join(TestJoin(TestWorker(1), config_)));

  EXPECT_EQ(result.state, RunState::kFinished);
  EXPECT_EQ(Must(exchange().Claim(NewClaim(TestWorker(1)))).state, RunState::kFinished);
}

TEST_P(ExchangeContractTest, JoinWithoutDataRegistersNothing) {
  StartRun();
  JoinRequest request = TestJoin(TestWorker(1), config_);
  request.data.reset();

  const JoinResult result = Must(exchange().Join(request));

  EXPECT_EQ(result.config, config_);
  EXPECT_THAT(Must(store().ListWorkers(run_, WorkerId(), 10)), IsEmpty());
  EXPECT_THAT(exchange().Claim(NewClaim(TestWorker(1))), StatusIs(kUnauthenticated));
}

TEST_P(ExchangeContractTest, JoinWithOtherDataSaysHowItDiffers) {
  StartRun();
  JoinRequest request = TestJoin(TestWorker(1), config_);
  request.data->image_count = 63;

  EXPECT_THAT(exchange().Join(request), StatusIs(kFailedPrecondition, HasSubstr("63")));
  request = TestJoin(TestWorker(1), config_);
  request.data->digest = std::string(64, 'e');
  EXPECT_THAT(exchange().Join(request), StatusIs(kFailedPrecondition));

  EXPECT_THAT(Must(store().ListWorkers(run_, WorkerId(), 10)), IsEmpty());
  request = TestJoin(TestWorker(1), config_);
  request.data->description = "the same images, told otherwise";
  EXPECT_OK(exchange().Join(request));
}

TEST_P(ExchangeContractTest, JoinOfAnOldProtocolIsRefused) {
  StartRun();
  JoinRequest request = TestJoin(TestWorker(1), config_);
  request.protocol_version = kMinProtocolVersion - 1;

  EXPECT_THAT(exchange().Join(request), StatusIs(kFailedPrecondition, HasSubstr("protocol")));
  request.protocol_version = kProtocolVersion + 1;
  EXPECT_OK(exchange().Join(request));
}

TEST_P(ExchangeContractTest, MalformedJoinsAreRefused) {
  StartRun();
  const std::vector<std::function<void(JoinRequest&)>> flaws = {
      [](JoinRequest& r) { r.worker.id = WorkerId(""); },
      [](JoinRequest& r) { r.worker.id = WorkerId(std::string(32, 'F')); },
      [](JoinRequest& r) { r.worker.id = WorkerId(std::string(33, 'f')); },
      [](JoinRequest& r) { r.worker.secret = std::string(32, 'f'); },
      [](JoinRequest& r) { r.worker.incarnation = Incarnation(0); },
      [](JoinRequest& r) { r.worker.incarnation = Incarnation(-7); },
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
    EXPECT_THAT(exchange().Join(request), StatusIs(kInvalid)) << "flaw " << i;
  }
  EXPECT_THAT(Must(store().ListWorkers(run_, WorkerId(), 10)), IsEmpty());
}

// ---- Identity

TEST_P(ExchangeContractTest, CallsOfAnUnknownWorkerAreRefused) {
  StartRun();
  for (const Answer& answer : CallEverything(TestWorker(1), run_)) {
    EXPECT_THAT(answer.status, StatusIs(kUnauthenticated)) << answer.call;
  }
}

TEST_P(ExchangeContractTest, CallsWithAnotherSecretAreRefused) {
  StartRun();
  Join(TestWorker(1));
  WorkerIdentity thief = TestWorker(1);
  thief.secret = TestWorker(2).secret;
  thief.incarnation = Incarnation(9);
  for (const Answer& answer : CallEverything(thief, run_)) {
    EXPECT_THAT(answer.status, StatusIs(kUnauthenticated)) << answer.call;
  }
}

TEST_P(ExchangeContractTest, CallsOfAStaleIncarnationAreRefused) {
  StartRun();
  Join(TestWorker(1, 10));
  Join(TestWorker(1, 20));
  for (const Answer& answer : CallEverything(TestWorker(1, 10), run_)) {
    EXPECT_THAT(answer.status, StatusIs(kFailedPrecondition)) << answer.call;
  }
  EXPECT_OK(exchange().Heartbeat(TestWorker(1, 20), run_, {}));
}

// A database that has gone back knows only the start before: that is no reason to end.
TEST_P(ExchangeContractTest, CallsOfAnIncarnationThatHasNotJoinedAreRefusedUntilItJoins) {
  StartRun();
  Join(TestWorker(1, 10));
  for (const Answer& answer : CallEverything(TestWorker(1, 20), run_)) {
    EXPECT_THAT(answer.status, StatusIs(kUnauthenticated, HasSubstr("join"))) << answer.call;
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
    EXPECT_THAT(answer.status, StatusIs(kNotFound)) << answer.call;
  }
  for (const Answer& answer : CallEverything(TestWorker(1), RunId(0))) {
    EXPECT_THAT(answer.status, StatusIs(kInvalid)) << answer.call;
  }
}

TEST_P(ExchangeContractTest, CallsWithAMalformedIdentityAreRefused) {
  StartRun();
  WorkerIdentity malformed = TestWorker(1);
  malformed.id = WorkerId("'; DROP TABLE worker; --");
  for (const Answer& answer : CallEverything(malformed, run_)) {
    EXPECT_THAT(answer.status, StatusIs(kInvalid)) << answer.call;
  }
}

TEST_P(ExchangeContractTest, AWorkerIsRegisteredPerRun) {
  StartRun();
  Join(TestWorker(1));
  const RunId other = Must(store().CreateRun(TestNewRun(TinyRunConfig("other"))));
  for (const Answer& answer : CallEverything(TestWorker(1), other)) {
    EXPECT_THAT(answer.status, StatusIs(kUnauthenticated)) << answer.call;
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
  EXPECT_EQ(again.attempt, Attempt(2));
}

TEST_P(ExchangeContractTest, TheNewIncarnationMayHandInWhatTheOldOneComputed) {
  StartRun(1);
  Join(TestWorker(1, 1));
  const WorkUnit unit = ClaimUnit(TestWorker(1, 1));
  Join(TestWorker(1, 2));

  EXPECT_THAT(Submit(TestWorker(1, 2), unit), IsOkAndHolds(SubmitOutcome::kLate));
}

// ---- Claim

TEST_P(ExchangeContractTest, ClaimDescribesTheUnit) {
  StartRun();
  Join(TestWorker(1));

  const ClaimResult result = Must(exchange().Claim(NewClaim(TestWorker(1))));

  EXPECT_EQ(result.state, RunState::kRunning);
  ASSERT_TRUE(result.unit.has_value());
  const WorkUnit& unit = *result.unit;
  EXPECT_EQ(unit.run, run_);
  EXPECT_EQ(unit.attempt, Attempt(1));
  EXPECT_EQ(unit.round, Round(1));
  EXPECT_EQ(unit.slot, Slot(0));
  EXPECT_EQ(unit.weights_version, WeightsVersion(0));
  EXPECT_EQ(unit.image_indices, TestUnits(config_, Round(1))[0].image_indices);
  EXPECT_EQ(unit.micro_batch, config_.micro_batch);
  EXPECT_EQ(unit.seed, config_.seed);
  EXPECT_EQ(unit.lease, config_.lease);
}

TEST_P(ExchangeContractTest, LargeSeedsAndIndicesSurvive) {
  RunConfig config = config_;
  config.seed = std::numeric_limits<uint64_t>::max();
  NewRun request = TestNewRun(config);
  request.units.resize(1);
  request.units[0].image_indices = {63, 0, 63, int64_t{1} << 40};
  run_ = Must(store().CreateRun(request));
  Join(TestWorker(1));

  const WorkUnit unit = ClaimUnit(TestWorker(1));

  EXPECT_EQ(unit.seed, config.seed);
  EXPECT_THAT(unit.image_indices, ElementsAre(63, 0, 63, int64_t{1} << 40));
}

TEST_P(ExchangeContractTest, TheLowestSlotGoesFirst) {
  NewRun request = TestNewRun(config_);
  std::swap(request.units[0], request.units[2]);
  run_ = Must(store().CreateRun(request));
  Join(TestWorker(1));
  Join(TestWorker(2));

  const WorkUnit first = ClaimUnit(TestWorker(1));
  const WorkUnit second = ClaimUnit(TestWorker(1));
  ASSERT_OK(exchange().Release(TestWorker(1), run_, first.unit, first.attempt));
  const WorkUnit again = ClaimUnit(TestWorker(2));
  const WorkUnit third = ClaimUnit(TestWorker(2));

  EXPECT_EQ(first.slot, Slot(0));
  EXPECT_EQ(second.slot, Slot(1));
  EXPECT_EQ(again.slot, Slot(0));
  EXPECT_EQ(third.slot, Slot(2));
}

TEST_P(ExchangeContractTest, ARepeatedClaimGetsTheSameUnitWithWhatIsLeftOfItsLease) {
  StartRun();
  Join(TestWorker(1));
  const ClaimRequest request = NewClaim(TestWorker(1));
  const WorkUnit first = *Must(exchange().Claim(request)).unit;
  backend().AdvanceTime(absl::Milliseconds(20'500));

  WorkUnit expected = first;
  expected.lease = config_.lease - absl::Milliseconds(20'500);
  EXPECT_EQ(Must(exchange().Claim(request)).unit, expected);
  EXPECT_EQ(Progress(1).leased, 1);

  backend().AdvanceTime(config_.lease);
  expected.lease = absl::ZeroDuration();
  EXPECT_EQ(Must(exchange().Claim(request)).unit, expected);
}

TEST_P(ExchangeContractTest, ARepeatedClaimOfALostUnitIsANewClaim) {
  StartRun();
  Join(TestWorker(1));
  Join(TestWorker(2));
  const ClaimRequest request = NewClaim(TestWorker(1));
  const WorkUnit first = *Must(exchange().Claim(request)).unit;
  ASSERT_OK(exchange().Release(TestWorker(1), run_, first.unit, first.attempt));
  const WorkUnit taken = ClaimUnit(TestWorker(2));

  const WorkUnit second = *Must(exchange().Claim(request)).unit;
  const WorkUnit repeated = *Must(exchange().Claim(request)).unit;

  EXPECT_EQ(taken.unit, first.unit);
  EXPECT_EQ(second.slot, Slot(1));
  EXPECT_EQ(second.attempt, Attempt(1));
  EXPECT_EQ(repeated, second);
}

TEST_P(ExchangeContractTest, ARequestIdBelongsToItsWorker) {
  StartRun();
  Join(TestWorker(1));
  Join(TestWorker(2));
  ClaimRequest request = NewClaim(TestWorker(1));
  const WorkUnit first = *Must(exchange().Claim(request)).unit;

  request.worker = TestWorker(2);
  const WorkUnit second = *Must(exchange().Claim(request)).unit;

  EXPECT_NE(first.unit, second.unit);
}

TEST_P(ExchangeContractTest, AWorkerHoldsTwoLeasesAtMost) {
  StartRun();
  Join(TestWorker(1));
  const ClaimRequest request = NewClaim(TestWorker(1));
  const WorkUnit first = *Must(exchange().Claim(request)).unit;
  ClaimUnit(TestWorker(1));

  EXPECT_THAT(exchange().Claim(NewClaim(TestWorker(1))),
              StatusIs(absl::StatusCode::kResourceExhausted));
  backend().AdvanceTime(config_.lease);  // an expired lease counts until it is reaped
  EXPECT_THAT(exchange().Claim(NewClaim(TestWorker(1))),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_OK(exchange().Claim(request)) << "a repeat is not a third lease";

  ASSERT_THAT(Submit(TestWorker(1), first), IsOk());
  EXPECT_EQ(ClaimUnit(TestWorker(1)).slot, Slot(2));
}

TEST_P(ExchangeContractTest, MalformedClaimsAreRefused) {
  StartRun();
  Join(TestWorker(1));
  ClaimRequest request = NewClaim(TestWorker(1));
  request.request_id = "once more";
  EXPECT_THAT(exchange().Claim(request), StatusIs(kInvalid));
  for (const absl::Duration wait :
       {absl::Milliseconds(-1), kMaxClaimWait + absl::Milliseconds(1)}) {
    request = NewClaim(TestWorker(1));
    request.wait = wait;
    EXPECT_THAT(exchange().Claim(request), StatusIs(kInvalid));
  }
  EXPECT_EQ(Progress(1).ready, 3);
}

TEST_P(ExchangeContractTest, ClaimWithoutWorkAnswersAfterItsWait) {
  StartRun(1);
  Join(TestWorker(1));
  ClaimUnit(TestWorker(1));
  ClaimRequest request = NewClaim(TestWorker(1));
  request.wait = absl::Milliseconds(50);
  RealClock clock;
  const absl::Duration start = clock.Steady();

  EXPECT_FALSE(Must(exchange().Claim(request)).unit.has_value());

  EXPECT_GE(clock.Steady() - start, request.wait);
}

TEST_P(ExchangeContractTest, AWaitingClaimIsWokenByARelease) {
  StartRun(1);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  ClaimRequest request = NewClaim(TestWorker(2));
  request.wait = kMaxClaimWait;
  absl::StatusOr<ClaimResult> result;

  ExpectWoken([&] { result = exchange().Claim(request); },
              [&] { Must(exchange().Release(TestWorker(1), run_, unit.unit, unit.attempt)); });

  ASSERT_OK(result);
  ASSERT_TRUE(result->unit.has_value());
  EXPECT_EQ(result->unit->attempt, Attempt(2));
}

TEST_P(ExchangeContractTest, AWaitingClaimIsWokenByAPublication) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(1), unit));
  ClaimRequest request = NewClaim(TestWorker(1));
  request.wait = kMaxClaimWait;
  absl::StatusOr<ClaimResult> result;

  ExpectWoken([&] { result = exchange().Claim(request); }, [&] { Publish(); });

  ASSERT_OK(result);
  ASSERT_TRUE(result->unit.has_value());
  EXPECT_EQ(result->unit->round, Round(2));
  EXPECT_EQ(result->unit->weights_version, WeightsVersion(1));
}

TEST_P(ExchangeContractTest, AWaitingClaimIsAnsweredWhenTheRunEnds) {
  StartRun(1);
  Join(TestWorker(1));
  ClaimUnit(TestWorker(1));
  ClaimRequest request = NewClaim(TestWorker(1));
  request.wait = kMaxClaimWait;
  absl::StatusOr<ClaimResult> result;

  ExpectWoken([&] { result = exchange().Claim(request); }, [&] { Finish(); });

  ASSERT_OK(result);
  EXPECT_FALSE(result->unit.has_value());
  EXPECT_EQ(result->state, RunState::kFinished);
}

TEST_P(ExchangeContractTest, AWaitingClaimIsWokenWhenTheRunResumes) {
  StartRun(1);
  Join(TestWorker(1));
  ASSERT_OK(store().SetRunState(run_, RunState::kPaused, "break"));
  ClaimRequest request = NewClaim(TestWorker(1));
  request.wait = kMaxClaimWait;
  absl::StatusOr<ClaimResult> result;

  ExpectWoken([&] { result = exchange().Claim(request); },
              [&] { Must(store().SetRunState(run_, RunState::kRunning, "")); });

  ASSERT_OK(result);
  EXPECT_TRUE(result->unit.has_value());
}

// ---- FetchWeights

TEST_P(ExchangeContractTest, FetchedWeightsAreThePublishedOnes) {
  StartRun();
  Join(TestWorker(1));
  Publish();
  for (const int version : {0, 1}) {
    const Payload expected = TestWeights(config_, static_cast<float>(version));

    const Payload got =
        Must(exchange().FetchWeights({TestWorker(1), run_, WeightsVersion(version)}));

    EXPECT_EQ(got.codec, Codec::kFp32);
    EXPECT_EQ(got.sha256, expected.sha256);
    EXPECT_EQ(*got.bytes, *expected.bytes);
    EXPECT_TRUE(got.IsIntact());
  }
}

TEST_P(ExchangeContractTest, WeightsThatAreNotKeptAreNotFound) {
  StartRun();
  Join(TestWorker(1));

  EXPECT_THAT(exchange().FetchWeights({TestWorker(1), run_, WeightsVersion(1)}),
              StatusIs(kNotFound));
  EXPECT_THAT(exchange().FetchWeights({TestWorker(1), run_, WeightsVersion(-1)}),
              StatusIs(kInvalid));
}

// The number of a version comes again when a database has gone back.
TEST_P(ExchangeContractTest, AUnitNamesItsWeightsAndNoOthersAreFetchedForThem) {
  StartRun();
  Join(TestWorker(1));
  Publish();
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  EXPECT_EQ(unit.weights_sha256, TestWeights(config_, 1.0f).sha256);
  FetchWeightsRequest request{TestWorker(1), run_, unit.weights_version, unit.weights_sha256};

  EXPECT_EQ(Must(exchange().FetchWeights(request)).sha256, unit.weights_sha256);
  request.sha256 = TestWeights(config_, 5.0f).sha256;
  EXPECT_THAT(exchange().FetchWeights(request), StatusIs(kNotFound, HasSubstr("other weights")));
  request.sha256 = "short";
  EXPECT_THAT(exchange().FetchWeights(request), StatusIs(kInvalid, HasSubstr("weights_sha256")));
}

// ---- Submit

TEST_P(ExchangeContractTest, ASubmittedGradientIsKeptAndCredited) {
  StartRun();
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  const SubmitRequest request = TestSubmit(config_, TestWorker(1), unit, 3.0f);

  EXPECT_THAT(exchange().Submit(request), IsOkAndHolds(SubmitOutcome::kAccepted));

  const RoundProgress progress = Progress(1);
  EXPECT_EQ(progress.ready, 2);
  EXPECT_EQ(progress.leased, 0);
  ASSERT_THAT(progress.gradients, SizeIs(1));
  const GradientInfo& info = progress.gradients[0];
  EXPECT_EQ(info.unit, unit.unit);
  EXPECT_EQ(info.attempt, unit.attempt);
  EXPECT_EQ(info.slot, unit.slot);
  EXPECT_EQ(info.worker, TestWorker(1).id);
  EXPECT_EQ(info.stats, request.stats);
  EXPECT_EQ(info.codec, Codec::kFp32);
  EXPECT_EQ(info.sha256, request.payload.sha256);
  const Payload kept = Must(store().FetchGradient(run_, unit.unit));
  EXPECT_EQ(*kept.bytes, *request.payload.bytes);
  EXPECT_EQ(kept.sha256, request.payload.sha256);
  EXPECT_EQ(Summary(TestWorker(1)).accepted_unit_count, 1);
  EXPECT_EQ(Summary(TestWorker(1)).accepted_image_count, config_.images_per_unit);
  EXPECT_EQ(Status().accepted_image_count, config_.images_per_unit);
}

TEST_P(ExchangeContractTest, StatisticsOnTheirLimitsAreKept) {
  StartRun();
  Join(TestWorker(1));
  SubmitRequest request = TestSubmit(config_, TestWorker(1), ClaimUnit(TestWorker(1)));
  request.stats.discriminator_loss = kDivergedLoss;
  request.stats.generator_loss = -kDivergedLoss;
  request.stats.real_accuracy = 1;
  request.stats.fake_accuracy = 0;
  request.stats.compute_seconds = kMaxComputeSeconds;

  ASSERT_OK(exchange().Submit(request));

  EXPECT_EQ(Progress(1).gradients.at(0).stats, request.stats);
}

TEST_P(ExchangeContractTest, AGradientHasTheCodecOfItsRun) {
  for (const int codec : {1, 2}) {
    config_.name = absl::StrCat("codec", codec);
    config_.gradient_codec = codec;
    StartRun();
    Join(TestWorker(1));
    SubmitRequest request = TestSubmit(config_, TestWorker(1), ClaimUnit(TestWorker(1)));
    const TensorBundle gradient = Must(DecodeBundle(*request.payload.bytes, Codec::kFp32));

    request.payload = Must(Payload::FromBundle(gradient, codec == 1 ? Codec::kFp16 : Codec::kFp32));
    EXPECT_THAT(
        exchange().Submit(request),
        StatusIs(kInvalid, AllOf(HasSubstr("codec"), HasSubstr("fp16"), HasSubstr("fp32"))));
    EXPECT_EQ(Progress(1).leased, 1);

    request.payload = Must(Payload::FromBundle(gradient, codec == 1 ? Codec::kFp32 : Codec::kFp16));
    EXPECT_THAT(exchange().Submit(request), IsOkAndHolds(SubmitOutcome::kAccepted));
  }
}

TEST_P(ExchangeContractTest, StatisticsAreKeptToTheLastBit) {
  StartRun();
  Join(TestWorker(1));
  SubmitRequest request = TestSubmit(config_, TestWorker(1), ClaimUnit(TestWorker(1)));
  request.stats.discriminator_loss = 0.1 + 0.2;
  request.stats.generator_loss = -kDivergedLoss;
  request.stats.real_accuracy = std::numeric_limits<double>::denorm_min();
  request.stats.fake_accuracy = 1.0 / 3.0;

  ASSERT_OK(exchange().Submit(request));

  EXPECT_EQ(Progress(1).gradients.at(0).stats, request.stats);
}

TEST_P(ExchangeContractTest, GradientsAreListedInSlotOrder) {
  StartRun();
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit first = ClaimUnit(TestWorker(1));
  const WorkUnit second = ClaimUnit(TestWorker(1));
  const WorkUnit third = ClaimUnit(TestWorker(2));
  for (const WorkUnit& unit : {third, first}) {
    ASSERT_OK(Submit(unit.unit == third.unit ? TestWorker(2) : TestWorker(1), unit));
  }
  ASSERT_OK(Submit(TestWorker(1), second));

  EXPECT_THAT(Progress(1).gradients,
              ElementsAre(Field(&GradientInfo::slot, Slot(0)), Field(&GradientInfo::slot, Slot(1)),
                          Field(&GradientInfo::slot, Slot(2))));
}

TEST_P(ExchangeContractTest, ARepeatedSubmissionCountsOnce) {
  StartRun();
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  ASSERT_THAT(Submit(TestWorker(1), unit), IsOkAndHolds(SubmitOutcome::kAccepted));

  EXPECT_THAT(Submit(TestWorker(1), unit), IsOkAndHolds(SubmitOutcome::kAlreadyAccepted));
  backend().AdvanceTime(config_.lease * 2);
  EXPECT_THAT(Submit(TestWorker(1), unit), IsOkAndHolds(SubmitOutcome::kAlreadyAccepted));
  Publish();
  EXPECT_THAT(Submit(TestWorker(1), unit), IsOkAndHolds(SubmitOutcome::kAlreadyAccepted));

  EXPECT_EQ(Summary(TestWorker(1)).accepted_unit_count, 1);
  EXPECT_EQ(Status().accepted_image_count, config_.images_per_unit);
}

TEST_P(ExchangeContractTest, TheSameAttemptWithOtherBytesIsAnError) {
  StartRun();
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  ASSERT_THAT(Submit(TestWorker(1), unit, 1.0f), IsOkAndHolds(SubmitOutcome::kAccepted));

  EXPECT_THAT(Submit(TestWorker(1), unit, 2.0f), StatusIs(absl::StatusCode::kAlreadyExists));

  EXPECT_EQ(Must(store().FetchGradient(run_, unit.unit)).sha256,
            TestGradient(config_, 1.0f).sha256);
}

TEST_P(ExchangeContractTest, ASubmissionIsLateFromTheMomentTheLeaseEnds) {
  StartRun(2);
  Join(TestWorker(1));
  const WorkUnit first = ClaimUnit(TestWorker(1));
  const WorkUnit second = ClaimUnit(TestWorker(1));

  backend().AdvanceTime(config_.lease - absl::Milliseconds(1));
  EXPECT_THAT(Submit(TestWorker(1), first), IsOkAndHolds(SubmitOutcome::kAccepted));
  backend().AdvanceTime(absl::Milliseconds(1));
  EXPECT_THAT(Submit(TestWorker(1), second), IsOkAndHolds(SubmitOutcome::kLate));

  EXPECT_THAT(Progress(1).gradients, SizeIs(2));
  EXPECT_EQ(Summary(TestWorker(1)).accepted_unit_count, 2);
}

TEST_P(ExchangeContractTest, ALateResultIsKeptWhileNobodyClaimedTheUnit) {
  StartRun(1);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  backend().AdvanceTime(config_.lease);
  ASSERT_THAT(store().ReapExpiredLeases(run_, leadership_), IsOkAndHolds(1));
  ASSERT_EQ(Progress(1).ready, 1);

  EXPECT_THAT(Submit(TestWorker(2), unit), IsOkAndHolds(SubmitOutcome::kSuperseded))
      << "the attempt belongs to another worker";
  EXPECT_THAT(Submit(TestWorker(1), unit), IsOkAndHolds(SubmitOutcome::kLate));

  EXPECT_THAT(Progress(1).gradients, SizeIs(1));
  ExpectNothingToClaim(TestWorker(2));
}

// ---- Spares: a second unit in the slot of a slow one

// A run whose usual unit takes ten seconds, in its second round of two units; spares after twenty.
void ExchangeContractTest::StartRunWithSpares() {
  config_.policy.spare_after = 2;
  StartRun(1);
  for (int worker = 1; worker <= 3; ++worker) Join(TestWorker(worker));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  backend().AdvanceTime(absl::Seconds(10));
  Must(Submit(TestWorker(1), unit).status());
  Publish(2);
}

TEST_P(ExchangeContractTest, TheUsualTimeIsTheMedianOfTheLastRoundFromClaimToAccept) {
  StartRun(3);
  EXPECT_EQ(Status().usual_unit_time, absl::ZeroDuration()) << "not known yet";
  for (int worker = 1; worker <= 3; ++worker) {
    Join(TestWorker(worker));
    const WorkUnit unit = ClaimUnit(TestWorker(worker));
    backend().AdvanceTime(worker * absl::Milliseconds(500));
    ASSERT_OK(Submit(TestWorker(worker), unit));
  }
  Publish();

  EXPECT_EQ(Status().usual_unit_time, absl::Seconds(1));
  Publish();
  EXPECT_EQ(Status().usual_unit_time, absl::Seconds(1))
      << "a round without gradients tells nothing";
}

TEST_P(ExchangeContractTest, ALeaseIsAsLongAsTheUsualTimeSuggests) {
  config_.lease = absl::Seconds(300);
  StartRunWithSpares();

  const WorkUnit unit = ClaimUnit(TestWorker(1));
  EXPECT_EQ(unit.lease, UnitLease(config_.lease, absl::Seconds(10)));
  EXPECT_EQ(unit.lease, absl::Seconds(40));
  backend().AdvanceTime(absl::Seconds(39));
  ASSERT_OK(Heartbeat(TestWorker(1), unit, 1));
  backend().AdvanceTime(absl::Seconds(39));
  EXPECT_THAT(store().ReapExpiredLeases(run_, leadership_), IsOkAndHolds(0)) << "renewed by 40 s";
  backend().AdvanceTime(absl::Seconds(1));
  EXPECT_THAT(store().ReapExpiredLeases(run_, leadership_), IsOkAndHolds(1));
}

TEST_P(ExchangeContractTest, ASlowUnitGetsASpareWhenNothingElseIsToDo) {
  StartRunWithSpares();
  const WorkUnit slow = ClaimUnit(TestWorker(1));
  backend().AdvanceTime(absl::Seconds(20));
  const WorkUnit other = ClaimUnit(TestWorker(2));
  EXPECT_NE(other.slot, slow.slot) << "what is free goes first";
  ExpectNothingToClaim(TestWorker(3));
  backend().AdvanceTime(absl::Milliseconds(1));
  ExpectNothingToClaim(TestWorker(1));

  const WorkUnit spare = ClaimUnit(TestWorker(3));

  EXPECT_NE(spare.unit, slow.unit);
  EXPECT_EQ(spare.attempt, Attempt(1));
  EXPECT_EQ(spare.round, slow.round);
  EXPECT_EQ(spare.slot, slow.slot);
  EXPECT_EQ(spare.image_indices, slow.image_indices);
  EXPECT_EQ(spare.seed, slow.seed);
  ExpectNothingToClaim(TestWorker(2));
  EXPECT_EQ(Progress(2).leased, 3);
}

TEST_P(ExchangeContractTest, TheFasterOfTwoInASlotCountsAndTheOtherIsADuplicate) {
  for (const bool spare_wins : {true, false}) {
    SetUp();
    StartRunWithSpares();
    const WorkUnit slow = ClaimUnit(TestWorker(1));
    ASSERT_OK(Submit(TestWorker(2), ClaimUnit(TestWorker(2))));
    backend().AdvanceTime(absl::Seconds(21));
    const WorkUnit spare = ClaimUnit(TestWorker(3));
    const WorkerIdentity winner = TestWorker(spare_wins ? 3 : 1);
    const WorkerIdentity loser = TestWorker(spare_wins ? 1 : 3);
    const WorkUnit& won = spare_wins ? spare : slow;
    const WorkUnit& lost = spare_wins ? slow : spare;
    const int64_t before = Summary(winner).accepted_unit_count;
    const int64_t loser_before = Summary(loser).accepted_unit_count;
    const int64_t wasted_before = Summary(loser).wasted_image_count;
    const int64_t all_wasted_before = Status().wasted_image_count;

    EXPECT_THAT(Submit(winner, won), IsOkAndHolds(SubmitOutcome::kAccepted));
    EXPECT_THAT(Must(Heartbeat(loser, lost, 1)).dropped, ElementsAre(lost.unit));
    EXPECT_THAT(Submit(loser, lost), IsOkAndHolds(SubmitOutcome::kDuplicate));
    EXPECT_THAT(Submit(loser, lost), IsOkAndHolds(SubmitOutcome::kDuplicate));
    EXPECT_THAT(Submit(winner, won), IsOkAndHolds(SubmitOutcome::kAlreadyAccepted));

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
  StartRunWithSpares();
  const WorkUnit slow = ClaimUnit(TestWorker(1));
  ClaimUnit(TestWorker(1));
  backend().AdvanceTime(absl::Seconds(21));
  const WorkUnit first = ClaimUnit(TestWorker(2));
  ASSERT_OK(exchange().Release(TestWorker(2), run_, first.unit, first.attempt));
  EXPECT_EQ(Progress(2).ready, 0) << "it is closed, not free";

  const WorkUnit second = ClaimUnit(TestWorker(2));

  EXPECT_EQ(second.slot, slow.slot);
  EXPECT_NE(second.unit, first.unit);
  EXPECT_THAT(Submit(TestWorker(2), first), IsOkAndHolds(SubmitOutcome::kClosed));
  EXPECT_THAT(Submit(TestWorker(2), second), IsOkAndHolds(SubmitOutcome::kAccepted));
}

TEST_P(ExchangeContractTest, ASpareThatIsAsSlowGetsHelpOnce) {
  StartRunWithSpares();
  Join(TestWorker(4));
  const WorkUnit slow = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(2), ClaimUnit(TestWorker(2))));
  backend().AdvanceTime(absl::Seconds(21));
  const WorkUnit spare = ClaimUnit(TestWorker(3));
  for (const auto& [worker, unit] : {std::pair{1, slow}, std::pair{3, spare}}) {
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
  EXPECT_THAT(Submit(TestWorker(2), help), IsOkAndHolds(SubmitOutcome::kAccepted));
  EXPECT_THAT(Submit(TestWorker(1), slow), IsOkAndHolds(SubmitOutcome::kDuplicate));
  EXPECT_THAT(Submit(TestWorker(3), spare), IsOkAndHolds(SubmitOutcome::kDuplicate));
  EXPECT_EQ(Progress(2).leased, 0);
}

TEST_P(ExchangeContractTest, ARejectedSpareIsHandedOutAgain) {
  StartRunWithSpares();
  ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(2), ClaimUnit(TestWorker(2))));
  backend().AdvanceTime(absl::Seconds(21));
  const WorkUnit spare = ClaimUnit(TestWorker(3));
  ASSERT_OK(Submit(TestWorker(3), spare));
  ASSERT_OK(store().RejectGradient(run_, leadership_, spare.unit, "a NaN"));

  // The slow one was closed: this is the only unit left in its slot, and behaves like any.
  WorkUnit again = ClaimUnit(TestWorker(2));
  EXPECT_EQ(again.unit, spare.unit);
  ASSERT_OK(exchange().Release(TestWorker(2), run_, again.unit, again.attempt));
  again = ClaimUnit(TestWorker(2));
  EXPECT_EQ(again.unit, spare.unit);
  EXPECT_THAT(Submit(TestWorker(2), again), IsOkAndHolds(SubmitOutcome::kAccepted));
}

TEST_P(ExchangeContractTest, WhatIsRefusedCountsAsWasted) {
  StartRun(2);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit zombie = ClaimUnit(TestWorker(1));
  ASSERT_OK(exchange().Release(TestWorker(1), run_, zombie.unit, zombie.attempt));
  ClaimUnit(TestWorker(2));
  const auto images = static_cast<int64_t>(zombie.image_indices.size());

  ASSERT_THAT(Submit(TestWorker(1), zombie), IsOkAndHolds(SubmitOutcome::kSuperseded));
  ASSERT_THAT(Submit(TestWorker(1), zombie), IsOkAndHolds(SubmitOutcome::kSuperseded));
  EXPECT_EQ(Summary(TestWorker(1)).wasted_image_count, images);
  EXPECT_EQ(Summary(TestWorker(1)).duplicate_unit_count, 0);

  const WorkUnit closed = ClaimUnit(TestWorker(1));
  Publish();
  ASSERT_THAT(Submit(TestWorker(1), closed), IsOkAndHolds(SubmitOutcome::kClosed));
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
    ASSERT_THAT(Submit(TestWorker(2), asked), IsOkAndHolds(SubmitOutcome::kSuperseded));
  }
  ASSERT_OK(Submit(TestWorker(1), second));
  ASSERT_OK(store().RejectGradient(run_, leadership_, second.unit, "a NaN"));
  ASSERT_THAT(Submit(TestWorker(2), second), IsOkAndHolds(SubmitOutcome::kSuperseded));
  EXPECT_EQ(Summary(TestWorker(2)).wasted_image_count, 0);

  // Nor does a stranger's question use up what is counted once.
  ASSERT_THAT(Submit(TestWorker(1), first), IsOkAndHolds(SubmitOutcome::kSuperseded));
  EXPECT_EQ(Summary(TestWorker(1)).wasted_image_count, images);
  ASSERT_THAT(Submit(TestWorker(1), second), IsOkAndHolds(SubmitOutcome::kSuperseded));
  EXPECT_EQ(Summary(TestWorker(1)).wasted_image_count, 2 * images);
}

// ---- Stale work: what a publication takes along

void ExchangeContractTest::PublishTakingAlong(int max_stale_rounds, int unit_count) {
  const WeightsVersion version = Status().weights_version;
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

  EXPECT_THAT(Submit(TestWorker(1), stale), IsOkAndHolds(SubmitOutcome::kAccepted));
  EXPECT_THAT(Submit(TestWorker(1), stale), IsOkAndHolds(SubmitOutcome::kAlreadyAccepted));
  const RoundProgress progress = Progress(2);
  EXPECT_THAT(progress.gradients, IsEmpty());
  ASSERT_THAT(progress.stale, SizeIs(1));
  EXPECT_EQ(progress.stale[0].unit, stale.unit);
  EXPECT_EQ(progress.stale[0].stale_rounds, 1);
  EXPECT_EQ(progress.stale[0].slot, Slot(2)) << "behind those of the round";
  EXPECT_EQ(progress.stale_leased, 0);
  EXPECT_EQ(Must(store().FetchGradient(run_, stale.unit)).sha256, progress.stale[0].sha256);
  EXPECT_EQ(Summary(TestWorker(1)).accepted_unit_count, 1);

  PublishTakingAlong(1);
  EXPECT_EQ(Status().wasted_image_count, 0);
  EXPECT_EQ(Progress(3).stale_leased, 0);
  EXPECT_THAT(Submit(TestWorker(1), stale), IsOkAndHolds(SubmitOutcome::kAlreadyAccepted));
}

TEST_P(ExchangeContractTest, WhatIsTakenAlongButNotConsumedIsWasted) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit stale = ClaimUnit(TestWorker(1));
  PublishTakingAlong(1);
  ASSERT_OK(Submit(TestWorker(1), stale));
  Publish();
  EXPECT_EQ(Status().wasted_image_count, static_cast<int64_t>(stale.image_indices.size()));
}

TEST_P(ExchangeContractTest, BothUnitsOfAWorkerAreTakenAlong) {
  StartRun(3);
  Join(TestWorker(1));
  const WorkUnit uploading = ClaimUnit(TestWorker(1));
  const WorkUnit computing = ClaimUnit(TestWorker(1));
  PublishTakingAlong(kMaxStaleRounds);

  EXPECT_EQ(Progress(2).stale_leased, 2);
  EXPECT_THAT(Submit(TestWorker(1), computing), IsOkAndHolds(SubmitOutcome::kAccepted));
  EXPECT_THAT(Submit(TestWorker(1), uploading), IsOkAndHolds(SubmitOutcome::kAccepted));
}

TEST_P(ExchangeContractTest, OfASlotOnlyTheUnitThatMadeProgressLastIsTakenAlong) {
  for (const bool spare_is_livelier : {true, false}) {
    SetUp();
    StartRunWithSpares();
    const WorkUnit slow = ClaimUnit(TestWorker(1));
    ASSERT_OK(Submit(TestWorker(2), ClaimUnit(TestWorker(2))));
    backend().AdvanceTime(absl::Seconds(21));
    const WorkUnit spare = ClaimUnit(TestWorker(3));
    ASSERT_EQ(spare.slot, slow.slot);
    backend().AdvanceTime(absl::Seconds(1));
    if (!spare_is_livelier) {
      ASSERT_OK(Heartbeat(TestWorker(1), slow, 1));
    }
    PublishTakingAlong(1);

    EXPECT_EQ(Progress(3).stale_leased, 1) << "their images would count twice";
    const WorkerIdentity livelier = TestWorker(spare_is_livelier ? 3 : 1);
    const WorkerIdentity other = TestWorker(spare_is_livelier ? 1 : 3);
    EXPECT_THAT(Submit(other, spare_is_livelier ? slow : spare),
                IsOkAndHolds(SubmitOutcome::kClosed));
    EXPECT_THAT(Submit(livelier, spare_is_livelier ? spare : slow),
                IsOkAndHolds(SubmitOutcome::kAccepted));
    EXPECT_EQ(Status().usual_unit_time, absl::Seconds(0)) << "of the unit that was in time";
    PublishTakingAlong(1);
    EXPECT_EQ(Status().usual_unit_time, absl::Seconds(0)) << "stale ones say nothing of it";
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
    PublishTakingAlong(kMaxStaleRounds, 1);
    ASSERT_EQ(Progress(2).stale_leased, 1);
    const std::string what = how;
    if (what == "released") {
      ASSERT_OK(exchange().Release(TestWorker(1), run_, stale.unit, stale.attempt));
    } else if (what == "failed") {
      ASSERT_OK(exchange().Fail(TestWorker(1), run_, stale.unit, stale.attempt, "no such file"));
    } else if (what == "expired") {
      backend().AdvanceTime(config_.lease);
      ASSERT_THAT(store().ReapExpiredLeases(run_, leadership_), IsOkAndHolds(1));
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
    EXPECT_EQ(Status().state, RunState::kRunning);
    EXPECT_EQ(ClaimUnit(TestWorker(2)).round, Round(2));
    ExpectNothingToClaim(TestWorker(2));
    if (what != "restarted") {
      EXPECT_THAT(Submit(TestWorker(1), stale), IsOkAndHolds(SubmitOutcome::kClosed));
    }
  }
}

TEST_P(ExchangeContractTest, StaleWorkIsTakenAlongSoOftenAndNoMore) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit stale = ClaimUnit(TestWorker(1));
  PublishTakingAlong(2);
  PublishTakingAlong(2);
  EXPECT_EQ(Progress(3).stale_leased, 1);
  PublishTakingAlong(2);
  EXPECT_EQ(Progress(4).stale_leased, 0);
  EXPECT_THAT(Submit(TestWorker(1), stale), IsOkAndHolds(SubmitOutcome::kClosed));
}

TEST_P(ExchangeContractTest, StaleWorkOfTwoRoundsAndOfTheOpenOneIsToldApart) {
  StartRun(2);
  Join(TestWorker(1));
  Join(TestWorker(2));
  Join(TestWorker(3));
  const WorkUnit oldest = ClaimUnit(TestWorker(1));
  PublishTakingAlong(kMaxStaleRounds);
  backend().AdvanceTime(absl::Seconds(1));
  const WorkUnit old = ClaimUnit(TestWorker(2));
  PublishTakingAlong(kMaxStaleRounds);
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

TEST_P(ExchangeContractTest, WithoutStaleWorkOrWithoutANextRoundNothingIsTakenAlong) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  PublishRequest request = TestPublish(config_, run_, leadership_, Status().weights_version);
  for (const int wrong : {-1, kMaxStaleRounds + 1}) {
    request.max_stale_rounds = wrong;
    EXPECT_THAT(store().Publish(request), StatusIs(kInvalid, HasSubstr("max_stale_rounds")));
  }
  request.max_stale_rounds = 1;
  request.finished = true;
  request.next_units.clear();
  EXPECT_THAT(store().Publish(request), StatusIs(kInvalid, HasSubstr("max_stale_rounds")));
  Publish();
  EXPECT_THAT(Submit(TestWorker(1), unit), IsOkAndHolds(SubmitOutcome::kClosed));
}

TEST_P(ExchangeContractTest, AStoppedRunClosesStaleWorkToo) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit stale = ClaimUnit(TestWorker(1));
  PublishTakingAlong(1);
  ASSERT_OK(store().SetRunState(run_, RunState::kStopped, "enough"));
  EXPECT_EQ(Progress(2).stale_leased, 0);
  EXPECT_THAT(Submit(TestWorker(1), stale), IsOkAndHolds(SubmitOutcome::kClosed));
}

// ---- Settings that change in mid-run

TEST_P(ExchangeContractTest, ChangedSettingsHoldFromTheRoundAfterTheOpenOne) {
  StartRun();
  Publish();
  RunConfig changed = config_;
  changed.adam.learning_rate = 5e-5;
  changed.images_per_unit = 2;

  EXPECT_THAT(store().ChangeSettings(run_, changed, "it oscillates"), IsOkAndHolds(Round(3)));

  RunStatus status = Status();
  EXPECT_EQ(status.config, config_) << "the units of round 2 are out";
  EXPECT_EQ(status.next_config.adam.learning_rate, 5e-5);
  EXPECT_EQ(status.next_config.plan_origin,
            (PlanOrigin{3, 2 * int64_t{config_.images_per_unit} * config_.units_per_round}));
  EXPECT_EQ(status.created_config, config_);
  EXPECT_EQ(status.settings_round, Round(3));
  const std::vector<SettingsChange> changes = Must(store().ListChanges(run_));
  ASSERT_THAT(changes, SizeIs(1));
  EXPECT_EQ(changes[0].round, Round(3));
  EXPECT_EQ(changes[0].config, status.next_config);
  EXPECT_EQ(changes[0].reason, "it oscillates");

  PublishRequest request = TestPublish(config_, run_, leadership_, status.weights_version);
  EXPECT_THAT(store().Publish(request), StatusIs(absl::StatusCode::kAborted))
      << "its next units were planned with the old settings";
  request.consumed = {kNoSuchUnit};
  EXPECT_THAT(store().Publish(request), StatusIs(absl::StatusCode::kAborted))
      << "looked at before the units";
  request.consumed.clear();
  request.settings_version = status.settings_version;
  ASSERT_OK(store().Publish(request));
  status = Status();
  EXPECT_EQ(status.config.adam.learning_rate, 5e-5);
  EXPECT_EQ(status.config, status.next_config);
  EXPECT_EQ(Must(exchange().Join(TestJoin(TestWorker(1), config_))).config, status.config);
}

TEST_P(ExchangeContractTest, AChangeThatDoesNotHoldYetIsReplaced) {
  StartRun();
  RunConfig changed = config_;
  changed.adam.learning_rate = 5e-5;
  ASSERT_OK(store().ChangeSettings(run_, changed, "first"));
  changed.adam.learning_rate = 4e-5;
  ASSERT_OK(store().ChangeSettings(run_, changed, "second"));

  EXPECT_THAT(Must(store().ListChanges(run_)),
              ElementsAre(Field(&SettingsChange::reason, "first; second")));
  EXPECT_THAT(store().ChangeSettings(run_, changed, ""), StatusIs(kInvalid, HasSubstr("nothing")));
  EXPECT_OK(store().ChangeSettings(run_, config_, std::string(kMaxReasonChars, 'b')));
  EXPECT_THAT(Must(store().ListChanges(run_)),
              ElementsAre(Field(&SettingsChange::reason,
                                "first; second; " + std::string(kMaxReasonChars - 15, 'b'))));
  EXPECT_EQ(Must(store().GetRunStatus(run_)).next_config.adam, config_.adam);
}

TEST_P(ExchangeContractTest, APublicationPlannedBeforeAReplacedChangeIsRefused) {
  StartRun();
  PublishRequest request = TestPublish(config_, run_, leadership_, WeightsVersion(0));
  RunConfig changed = config_;
  changed.units_per_round = 2;
  const Round from = Must(store().ChangeSettings(run_, changed, "first"));
  request.settings_version = Status().settings_version;
  changed.units_per_round = 4;
  ASSERT_THAT(store().ChangeSettings(run_, changed, "second"), IsOkAndHolds(from));

  EXPECT_THAT(store().Publish(request), StatusIs(absl::StatusCode::kAborted));

  request.settings_version = Status().settings_version;
  EXPECT_OK(store().Publish(request));
}

TEST_P(ExchangeContractTest, GradientsThatARoundDidNotWaitForCountAsWasted) {
  StartRun(2);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit used = ClaimUnit(TestWorker(1));
  const WorkUnit left_out = ClaimUnit(TestWorker(2));
  ASSERT_OK(Submit(TestWorker(1), used));
  ASSERT_OK(Submit(TestWorker(2), left_out));
  PublishRequest request = TestPublish(config_, run_, leadership_, WeightsVersion(0));
  request.consumed = {used.unit};

  ASSERT_OK(store().Publish(request));

  const auto images = static_cast<int64_t>(left_out.image_indices.size());
  EXPECT_EQ(Summary(TestWorker(1)).wasted_image_count, 0);
  EXPECT_EQ(Summary(TestWorker(2)).wasted_image_count, images);
  EXPECT_EQ(Summary(TestWorker(2)).accepted_image_count, images) << "the credit stays";
  EXPECT_EQ(Status().wasted_image_count, images);
}

TEST_P(ExchangeContractTest, ARunGoesOnElsewhereWithChangesAndWorkers) {
  NewRun request = TestNewRun(config_);
  request.version = WeightsVersion(4);
  request.units = TestUnits(config_, Round(5));
  RunConfig changed = config_;
  changed.adam.learning_rate = 5e-5;
  request.changes.push_back({Round(3), changed, "it oscillates"});
  changed.lease = absl::Seconds(7);
  changed.policy.spare_after = 2;
  request.changes.push_back({Round(6), changed, "not yet"});
  WorkerRecord& record = request.workers.emplace_back();
  record.summary = {.worker = TestWorker(1).id,
                    .display_name = "Ada \u00e9",
                    .hardware = "2 cores",
                    .accepted_unit_count = 5,
                    .accepted_image_count = 15,
                    .duplicate_unit_count = 2,
                    .wasted_image_count = 6,
                    .last_seen = absl::FromUnixMicros(1'600'000'000'123'456)};
  record.secret_sha256 = Sha256(TestWorker(1).secret);
  record.incarnation = TestWorker(1).incarnation;

  run_ = Must(store().CreateRun(request));

  EXPECT_EQ(Must(store().ListChanges(run_)), request.changes);
  EXPECT_EQ(Must(store().ListWorkerRecords(run_)), request.workers);
  const RunStatus status = Must(store().GetRunStatus(run_));
  EXPECT_EQ(status.created_config, config_);
  EXPECT_EQ(status.config, request.changes[0].config);
  EXPECT_EQ(status.next_config, request.changes[1].config);
  EXPECT_EQ(status.settings_round, Round(6));
  EXPECT_EQ(status.accepted_image_count, 15);
  // A worker that has never stopped goes on, with its credit; nobody else has its name.
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  EXPECT_EQ(unit.round, Round(5));
  EXPECT_EQ(unit.lease, absl::Seconds(7));
  EXPECT_THAT(Submit(TestWorker(1), unit), IsOkAndHolds(SubmitOutcome::kAccepted));
  EXPECT_EQ(Summary(TestWorker(1)).accepted_unit_count, 6);
  WorkerIdentity thief = TestWorker(1);
  thief.secret = TestWorker(2).secret;
  EXPECT_THAT(exchange().Join(TestJoin(thief, config_)), StatusIs(kUnauthenticated));
}

TEST_P(ExchangeContractTest, ARunThatWasPausedIsPausedElsewhere) {
  NewRun request = TestNewRun(config_);
  request.version = WeightsVersion(4);
  request.units = TestUnits(config_, Round(5));
  request.pause_reason = "lunch";

  run_ = Must(store().CreateRun(request));

  EXPECT_EQ(Status().state, RunState::kPaused);
  EXPECT_EQ(Status().state_reason, "lunch");
  ASSERT_OK(store().SetRunState(run_, RunState::kRunning, ""));
  Join(TestWorker(1));
  EXPECT_EQ(ClaimUnit(TestWorker(1)).round, Round(5));
}

TEST_P(ExchangeContractTest, APastThatCannotBeIsRefused) {
  NewRun fresh = TestNewRun(config_);
  fresh.version = WeightsVersion(4);
  fresh.units = TestUnits(config_, Round(5));
  const auto refused = [&](const std::function<void(NewRun&)>& change) {
    NewRun request = fresh;
    change(request);
    EXPECT_THAT(store().CreateRun(request), StatusIs(kInvalid));
  };
  refused([&](NewRun& run) { run.changes = {{Round(7), config_, ""}}; });
  refused([&](NewRun& run) { run.changes = {{Round(1), config_, ""}}; });
  refused([&](NewRun& run) { run.changes = {{Round(3), config_, ""}, {Round(3), config_, ""}}; });
  refused([&](NewRun& run) {
    run.changes = {{Round(3), config_, ""}};
    run.changes[0].config.seed += 1;
  });
  WorkerRecord record;
  record.summary.worker = TestWorker(1).id;
  record.secret_sha256 = Sha256("secret");
  record.incarnation = Incarnation(1);
  refused([&](NewRun& run) { run.workers = {record, record}; });
  record.secret_sha256 = "short";
  refused([&](NewRun& run) { run.workers = {record}; });
  EXPECT_THAT(store().ListWorkerRecords(kNoSuchRun), StatusIs(kNotFound));
}

TEST_P(ExchangeContractTest, ALeaseChangesAtOnce) {
  StartRun();
  Join(TestWorker(1));
  RunConfig changed = config_;
  changed.lease = absl::Seconds(7);
  ASSERT_OK(store().ChangeSettings(run_, changed, ""));

  EXPECT_EQ(ClaimUnit(TestWorker(1)).lease, absl::Seconds(7));
}

TEST_P(ExchangeContractTest, WhatCannotChangeIsRefused) {
  StartRun();
  RunConfig changed = config_;
  EXPECT_THAT(store().ChangeSettings(run_, changed, ""), StatusIs(kInvalid, HasSubstr("nothing")));
  changed.seed += 1;
  EXPECT_THAT(store().ChangeSettings(run_, changed, ""), StatusIs(kInvalid, HasSubstr("seed")));
  changed = config_;
  changed.adam.learning_rate = -1;
  EXPECT_THAT(store().ChangeSettings(run_, changed, ""),
              StatusIs(kInvalid, HasSubstr("learning_rate")));
  changed.adam.learning_rate = 1e-4;
  EXPECT_THAT(store().ChangeSettings(run_, changed, "two\nlines"), StatusIs(kInvalid));
  EXPECT_THAT(store().ChangeSettings(kNoSuchRun, changed, ""), StatusIs(kNotFound));
  EXPECT_THAT(store().ListChanges(kNoSuchRun), StatusIs(kNotFound));
  Finish();
  EXPECT_THAT(store().ChangeSettings(run_, changed, ""), StatusIs(kFailedPrecondition));
  EXPECT_THAT(Must(store().ListChanges(run_)), IsEmpty());
}

TEST_P(ExchangeContractTest, WhatWouldBecomeOfASubmissionIsToldBeforeItsBytes) {
  StartRun(2);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  const auto check = [&](int worker, const WorkUnit& of, int surplus_images = 0) {
    const SubmitRequest request = TestSubmit(config_, TestWorker(worker), of);
    return exchange().CheckSubmission({.worker = request.worker,
                                       .run = run_,
                                       .unit = request.unit,
                                       .attempt = request.attempt,
                                       .image_count = request.stats.image_count + surplus_images,
                                       .micro_batch_count = request.stats.micro_batch_count,
                                       .sha256 = request.payload.sha256});
  };
  EXPECT_THAT(check(1, unit), IsOkAndHolds(std::nullopt));
  EXPECT_EQ(Progress(1).leased, 1) << "asking changes nothing";
  // A gateway asks by itself, and its client sends the bytes in any case.
  if (backend().DecodesGradients()) return;

  WorkUnit unknown = unit;
  unknown.unit = UnitId(unit.unit.value() + 1'000'000);
  EXPECT_THAT(check(1, unknown), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(check(1, unit, 1), StatusIs(kInvalid));
  EXPECT_THAT(check(3, unit), StatusIs(absl::StatusCode::kUnauthenticated));
  EXPECT_THAT(check(2, unit), IsOkAndHolds(SubmitOutcome::kSuperseded));
  ASSERT_OK(Submit(TestWorker(1), unit));
  EXPECT_THAT(check(1, unit), IsOkAndHolds(SubmitOutcome::kAlreadyAccepted));

  // What is said once is counted once, whoever says it.
  const WorkUnit lost = ClaimUnit(TestWorker(1));
  ASSERT_OK(exchange().Release(TestWorker(1), run_, lost.unit, lost.attempt));
  ClaimUnit(TestWorker(2));
  const int64_t before = Summary(TestWorker(1)).wasted_image_count;
  EXPECT_THAT(check(1, lost), IsOkAndHolds(SubmitOutcome::kSuperseded));
  EXPECT_THAT(Submit(TestWorker(1), lost), IsOkAndHolds(SubmitOutcome::kSuperseded));
  EXPECT_EQ(Summary(TestWorker(1)).wasted_image_count,
            before + static_cast<int64_t>(lost.image_indices.size()));
}

TEST_P(ExchangeContractTest, AZombieIsSuperseded) {
  StartRun(1);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit zombie = ClaimUnit(TestWorker(1));
  backend().AdvanceTime(config_.lease);
  ASSERT_OK(store().ReapExpiredLeases(run_, leadership_));
  const WorkUnit current = ClaimUnit(TestWorker(2));
  ASSERT_EQ(current.attempt, Attempt(2));

  EXPECT_THAT(Submit(TestWorker(1), zombie, 1.0f), IsOkAndHolds(SubmitOutcome::kSuperseded));
  EXPECT_THAT(Submit(TestWorker(2), current, 2.0f), IsOkAndHolds(SubmitOutcome::kAccepted));
  EXPECT_THAT(Submit(TestWorker(1), zombie, 1.0f), IsOkAndHolds(SubmitOutcome::kSuperseded));

  EXPECT_EQ(Must(store().FetchGradient(run_, zombie.unit)).sha256,
            TestGradient(config_, 2.0f).sha256);
  EXPECT_EQ(Summary(TestWorker(1)).accepted_unit_count, 0);
  EXPECT_EQ(Summary(TestWorker(2)).accepted_unit_count, 1);
}

TEST_P(ExchangeContractTest, TheSameWorkersEarlierAttemptIsSuperseded) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit first = ClaimUnit(TestWorker(1));
  ASSERT_OK(exchange().Release(TestWorker(1), run_, first.unit, first.attempt));
  ClaimUnit(TestWorker(1));

  EXPECT_THAT(Submit(TestWorker(1), first), IsOkAndHolds(SubmitOutcome::kSuperseded));
}

TEST_P(ExchangeContractTest, ASubmissionToADoneUnitIsSuperseded) {
  StartRun(1);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(1), unit));

  EXPECT_THAT(Submit(TestWorker(2), unit), IsOkAndHolds(SubmitOutcome::kSuperseded));
}

TEST_P(ExchangeContractTest, ASubmissionAfterItsRoundIsClosed) {
  StartRun(2);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  Publish();

  EXPECT_THAT(Submit(TestWorker(1), unit), IsOkAndHolds(SubmitOutcome::kClosed));

  EXPECT_EQ(Summary(TestWorker(1)).accepted_unit_count, 0);
  EXPECT_THAT(store().FetchGradient(run_, unit.unit), StatusIs(kNotFound));
}

TEST_P(ExchangeContractTest, AnotherWorkersAttemptCannotBeHandedIn) {
  StartRun();
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit unit = ClaimUnit(TestWorker(1));

  EXPECT_THAT(Submit(TestWorker(2), unit), IsOkAndHolds(SubmitOutcome::kSuperseded));
  EXPECT_EQ(Summary(TestWorker(2)).accepted_unit_count, 0);
  EXPECT_EQ(Summary(TestWorker(2)).wasted_image_count, 0);

  EXPECT_THAT(Submit(TestWorker(1), unit), IsOkAndHolds(SubmitOutcome::kAccepted));
}

TEST_P(ExchangeContractTest, AnAttemptThatWasNeverIssuedIsRefused) {
  StartRun();
  Join(TestWorker(1));
  WorkUnit unit = ClaimUnit(TestWorker(1));
  unit.attempt = Attempt(2);
  EXPECT_THAT(Submit(TestWorker(1), unit), IsOkAndHolds(SubmitOutcome::kSuperseded));
  EXPECT_EQ(Summary(TestWorker(1)).wasted_image_count, 0);  // nor does it hide what is wasted later
  unit.attempt = Attempt(0);
  EXPECT_THAT(Submit(TestWorker(1), unit), StatusIs(kInvalid));
  unit.attempt = Attempt(1);
  unit.unit = kNoSuchUnit;
  EXPECT_THAT(Submit(TestWorker(1), unit), StatusIs(kNotFound));
  unit.unit = UnitId(0);
  EXPECT_THAT(Submit(TestWorker(1), unit), StatusIs(kInvalid));
}

TEST_P(ExchangeContractTest, AUnitOfAnotherRunIsNotFound) {
  StartRun();
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  const RunConfig other = TinyRunConfig("other");
  const RunId other_run = Must(store().CreateRun(TestNewRun(other)));
  ASSERT_OK(exchange().Join(TestJoin(TestWorker(1), other)));
  WorkUnit stray = unit;
  stray.run = other_run;

  EXPECT_THAT(Submit(TestWorker(1), stray), StatusIs(kNotFound));
  EXPECT_THAT(store().FetchGradient(other_run, unit.unit), StatusIs(kNotFound));
  EXPECT_OK(exchange().Release(TestWorker(1), other_run, unit.unit, unit.attempt));

  EXPECT_EQ(Progress(1).leased, 1);
}

TEST_P(ExchangeContractTest, MalformedSubmissionsAreRefused) {
  StartRun();
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  const std::vector<std::function<void(SubmitRequest&)>> flaws = {
      [](SubmitRequest& r) { r.stats.image_count = 3; },
      [](SubmitRequest& r) { r.stats.image_count = -4; },
      [](SubmitRequest& r) { r.stats.micro_batch_count = 1; },
      [](SubmitRequest& r) { r.stats.micro_batch_count = 0; },
      [](SubmitRequest& r) { r.stats.discriminator_loss = std::nan(""); },
      [](SubmitRequest& r) { r.stats.generator_loss = HUGE_VAL; },
      [](SubmitRequest& r) { r.stats.real_accuracy = -HUGE_VAL; },
      [](SubmitRequest& r) { r.stats.fake_accuracy = std::nan(""); },
      [](SubmitRequest& r) { r.stats.compute_seconds = HUGE_VAL; },
      [](SubmitRequest& r) { r.stats.discriminator_loss = 1e308; },
      [](SubmitRequest& r) { r.stats.discriminator_loss = -1e308; },
      [](SubmitRequest& r) { r.stats.discriminator_loss = std::nextafter(kDivergedLoss, 1e5); },
      [](SubmitRequest& r) { r.stats.generator_loss = std::nextafter(-kDivergedLoss, -1e5); },
      [](SubmitRequest& r) { r.stats.real_accuracy = std::nextafter(1.0, 2.0); },
      [](SubmitRequest& r) { r.stats.real_accuracy = -std::numeric_limits<double>::denorm_min(); },
      [](SubmitRequest& r) { r.stats.fake_accuracy = 1e30; },
      [](SubmitRequest& r) { r.stats.fake_accuracy = -1; },
      [](SubmitRequest& r) { r.stats.compute_seconds = -0.001; },
      [](SubmitRequest& r) { r.stats.compute_seconds = std::nextafter(kMaxComputeSeconds, 1e9); },
      [](SubmitRequest& r) { r.payload.codec = static_cast<Codec>(77); },
      [](SubmitRequest& r) { r.payload.sha256 = "short"; },
      [](SubmitRequest& r) { r.payload = Payload::FromBytes(Codec::kFp32, ""); },
      [](SubmitRequest& r) { r.payload.bytes = nullptr; },
  };
  for (size_t i = 0; i < flaws.size(); ++i) {
    SubmitRequest request = TestSubmit(config_, TestWorker(1), unit);
    flaws[i](request);
    EXPECT_THAT(exchange().Submit(request), StatusIs(kInvalid)) << "flaw " << i;
  }
  EXPECT_EQ(Progress(1).leased, 1);
  EXPECT_THAT(Submit(TestWorker(1), unit), IsOkAndHolds(SubmitOutcome::kAccepted));
}

TEST_P(ExchangeContractTest, BytesThatDoNotMatchTheirChecksumAreRefused) {
  StartRun();
  Join(TestWorker(1));
  SubmitRequest request = TestSubmit(config_, TestWorker(1), ClaimUnit(TestWorker(1)));
  request.payload.sha256 = Sha256("something else");

  EXPECT_THAT(exchange().Submit(request), StatusIs(absl::StatusCode::kDataLoss));

  EXPECT_EQ(Progress(1).leased, 1);
}

TEST_P(ExchangeContractTest, AUnitWhoseImagesDoNotDivideEvenlyCountsFewerMicroBatches) {
  NewRun request = TestNewRun(config_);
  request.units.resize(1);
  request.units[0].image_indices = {1, 2, 3, 4, 5};  // micro-batches of 2: the last one takes 3
  run_ = Must(store().CreateRun(request));
  Join(TestWorker(1));
  SubmitRequest submit = TestSubmit(config_, TestWorker(1), ClaimUnit(TestWorker(1)));
  submit.stats.image_count = 5;

  submit.stats.micro_batch_count = 3;
  EXPECT_THAT(exchange().Submit(submit), StatusIs(kInvalid));
  submit.stats.micro_batch_count = 2;
  EXPECT_THAT(exchange().Submit(submit), IsOkAndHolds(SubmitOutcome::kAccepted));
  EXPECT_EQ(Summary(TestWorker(1)).accepted_image_count, 5);
}

// ---- Heartbeat

TEST_P(ExchangeContractTest, AHeartbeatRenewsTheLease) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  backend().AdvanceTime(config_.lease - absl::Milliseconds(1));

  const HeartbeatResult result = Must(Heartbeat(TestWorker(1), unit, 1));

  EXPECT_THAT(result.dropped, IsEmpty());
  EXPECT_EQ(result.state, RunState::kRunning);
  backend().AdvanceTime(config_.lease - absl::Milliseconds(1));
  EXPECT_THAT(store().ReapExpiredLeases(run_, leadership_), IsOkAndHolds(0));
  backend().AdvanceTime(absl::Milliseconds(1));
  EXPECT_THAT(store().ReapExpiredLeases(run_, leadership_), IsOkAndHolds(1));
}

TEST_P(ExchangeContractTest, AHeartbeatRevivesALeaseThatNobodyReaped) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  backend().AdvanceTime(config_.lease * 2);

  EXPECT_THAT(Must(Heartbeat(TestWorker(1), unit, 0)).dropped, IsEmpty());

  EXPECT_THAT(Submit(TestWorker(1), unit), IsOkAndHolds(SubmitOutcome::kAccepted));
}

TEST_P(ExchangeContractTest, AHeartbeatTakesUpALeaseThatRanOutUnlessSomebodyElseHasTheUnit) {
  StartRun(2);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit kept = ClaimUnit(TestWorker(1));
  const WorkUnit lost = ClaimUnit(TestWorker(1));
  backend().AdvanceTime(config_.lease);
  ASSERT_OK(store().AcquireLeadership(run_, leadership_.leader, absl::Hours(1)));
  ASSERT_THAT(store().ReapExpiredLeases(run_, leadership_), IsOkAndHolds(2));
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
  EXPECT_THAT(Submit(TestWorker(1), kept), IsOkAndHolds(SubmitOutcome::kAccepted));
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
  // The second time both rest for a moment (ReturnDelay), so that the next claims get others.
  std::vector<UnitProgress> ran_out;
  for (const int number : {2, 1}) {
    ran_out.clear();
    for (int i = 0; i < 2; ++i) {
      const WorkUnit unit = ClaimUnit(TestWorker(number));
      ran_out.push_back({unit.unit, unit.attempt, 0});
    }
    backend().AdvanceTime(config_.lease);
    ASSERT_OK(store().AcquireLeadership(run_, leadership_.leader, absl::Hours(1)));
    ASSERT_THAT(store().ReapExpiredLeases(run_, leadership_), IsOkAndHolds(2));
  }
  const WorkUnit third = ClaimUnit(TestWorker(1));
  ClaimUnit(TestWorker(1));

  EXPECT_THAT(Must(exchange().Heartbeat(TestWorker(1), run_, ran_out)).dropped, SizeIs(2));
  ASSERT_OK(exchange().Release(TestWorker(1), run_, third.unit, third.attempt));
  EXPECT_THAT(Must(exchange().Heartbeat(TestWorker(1), run_, ran_out)).dropped,
              ElementsAre(ran_out[1].unit));
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
                                                           {{kNoSuchUnit, Attempt(1), 0},
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
  EXPECT_EQ(result.state, RunState::kFinished);
}

TEST_P(ExchangeContractTest, ALeaseWithoutProgressIsNotRenewedForEver) {
  const absl::Duration limit = StallLimit(config_.lease);
  const absl::Duration tick = absl::Milliseconds(1);
  for (const absl::Duration since_progress : {limit - tick, limit, limit + tick}) {
    SCOPED_TRACE(absl::FormatDuration(since_progress));
    UnitView view;
    view.state = UnitState::kLeased;
    view.attempt = Attempt(1);
    view.holder = TestWorker(1).id;
    view.lease_expired = true;
    const bool renewed =
        DecideRenewal(view, view.holder, view.attempt, since_progress, limit).renew;
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
    EXPECT_THAT(store().ReapExpiredLeases(run_, leadership_), IsOkAndHolds(renewed ? 0 : 1));
  }
}

TEST_P(ExchangeContractTest, OnlyMoreMicroBatchesThanBeforeAreProgress) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  const absl::Duration step = StallLimit(config_.lease) - absl::Milliseconds(1);
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
  const auto all =
      static_cast<int>(MicroBatchSizes(config_.images_per_unit, config_.micro_batch).size());
  const absl::Duration step = StallLimit(config_.lease) - absl::Milliseconds(1);
  ASSERT_THAT(Must(Heartbeat(TestWorker(1), unit, all + 5)).dropped, IsEmpty());
  backend().AdvanceTime(step);
  ASSERT_THAT(Must(Heartbeat(TestWorker(1), unit, all + 6)).dropped, IsEmpty());

  backend().AdvanceTime(absl::Milliseconds(2));

  EXPECT_THAT(Must(Heartbeat(TestWorker(1), unit, std::numeric_limits<int>::max())).dropped,
              ElementsAre(unit.unit));
  backend().AdvanceTime(config_.lease);
  EXPECT_THAT(store().ReapExpiredLeases(run_, leadership_), IsOkAndHolds(1));
}

TEST_P(ExchangeContractTest, MadeUpProgressDoesNotHoldTheFirstRound) {
  config_.policy.spare_after = 3;
  StartRun(1);
  for (int worker = 1; worker <= 2; ++worker) Join(TestWorker(worker));
  const WorkUnit held = ClaimUnit(TestWorker(1));
  ASSERT_EQ(Status().usual_unit_time, absl::ZeroDuration()) << "the first round";
  backend().AdvanceTime(StallLimit(config_.lease) - absl::Milliseconds(1));
  ASSERT_THAT(Must(Heartbeat(TestWorker(1), held, 1)).dropped, IsEmpty());
  backend().AdvanceTime(absl::Milliseconds(1));
  ExpectNothingToClaim(TestWorker(2));
  backend().AdvanceTime(absl::Milliseconds(1));

  const WorkUnit spare = ClaimUnit(TestWorker(2));

  EXPECT_EQ(spare.slot, held.slot);
  EXPECT_THAT(Submit(TestWorker(2), spare), IsOkAndHolds(SubmitOutcome::kAccepted));
  EXPECT_THAT(Must(Heartbeat(TestWorker(1), held, 2)).dropped, ElementsAre(held.unit));
}

TEST_P(ExchangeContractTest, ANewClaimStartsItsProgressAnew) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit first = ClaimUnit(TestWorker(1));
  ASSERT_OK(Heartbeat(TestWorker(1), first, 2));
  ASSERT_OK(exchange().Release(TestWorker(1), run_, first.unit, first.attempt));
  backend().AdvanceTime(StallLimit(config_.lease));
  const WorkUnit second = ClaimUnit(TestWorker(1));
  backend().AdvanceTime(StallLimit(config_.lease) - absl::Milliseconds(1));

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
      {{UnitId(0), unit.attempt, 1}},
      {{unit.unit, Attempt(0), 1}},
      {{unit.unit, unit.attempt, -1}},
      {good, good},
      std::vector<UnitProgress>(kMaxHeldUnits + 1, good),
  };
  for (size_t i = 0; i < flaws.size(); ++i) {
    EXPECT_THAT(exchange().Heartbeat(TestWorker(1), run_, flaws[i]), StatusIs(kInvalid))
        << "flaw " << i;
  }
}

// ---- Release, Fail, Leave

TEST_P(ExchangeContractTest, AReleasedUnitIsReadyAtOnce) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));

  ASSERT_OK(exchange().Release(TestWorker(1), run_, unit.unit, unit.attempt));

  EXPECT_EQ(Progress(1).ready, 1);
  EXPECT_EQ(ClaimUnit(TestWorker(1)).attempt, Attempt(2));
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
  EXPECT_OK(exchange().Release(TestWorker(1), run_, kNoSuchUnit, Attempt(1)));
  EXPECT_OK(exchange().Fail(TestWorker(1), run_, first.unit, first.attempt, "no"));
  EXPECT_OK(exchange().Fail(TestWorker(2), run_, second.unit, second.attempt, "no"));
  EXPECT_OK(exchange().Fail(TestWorker(1), run_, kNoSuchUnit, Attempt(1), "no"));

  EXPECT_EQ(Progress(1).leased, 1);
  EXPECT_THAT(Submit(TestWorker(1), second), IsOkAndHolds(SubmitOutcome::kAccepted));
  EXPECT_OK(exchange().Release(TestWorker(1), run_, second.unit, second.attempt));
  EXPECT_THAT(Progress(1).gradients, SizeIs(1));
}

TEST_P(ExchangeContractTest, AReleasedUnitMayStillBeHandedIn) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  ASSERT_OK(exchange().Release(TestWorker(1), run_, unit.unit, unit.attempt));

  EXPECT_THAT(Submit(TestWorker(1), unit), IsOkAndHolds(SubmitOutcome::kLate));
}

TEST_P(ExchangeContractTest, AFailedUnitReturnsUntilItHasFailedForGood) {
  StartRun(1);
  Join(TestWorker(1));
  for (int failure = 1; failure < kMaxUnitFailures; ++failure) {
    const WorkUnit unit = ClaimUnit(TestWorker(1));
    EXPECT_EQ(unit.attempt, Attempt(failure));
    ASSERT_OK(exchange().Fail(TestWorker(1), run_, unit.unit, unit.attempt, "face 12.jpg"));
    ASSERT_OK(exchange().Fail(TestWorker(1), run_, unit.unit, unit.attempt, "face 12.jpg"));
    backend().AdvanceTime(ReturnDelay(unit.attempt, ReturnCause::kFailed));
    EXPECT_EQ(Progress(1).ready, 1);
    EXPECT_EQ(Status().state, RunState::kRunning);
  }
  const WorkUnit last = ClaimUnit(TestWorker(1));

  ASSERT_OK(exchange().Fail(TestWorker(1), run_, last.unit, last.attempt, "face 99.jpg"));

  EXPECT_EQ(Progress(1).failed, 1);
  EXPECT_EQ(Progress(1).ready, 0);
  EXPECT_EQ(Progress(1).failure_reason, "face 99.jpg");
  EXPECT_EQ(Status().state, RunState::kPaused);
  EXPECT_EQ(Status().state_reason,
            FailedUnitReason(Round(1), Slot(0), kMaxUnitFailures, TestWorker(1).id, "face 99.jpg"));
  EXPECT_THAT(Submit(TestWorker(1), last), IsOkAndHolds(SubmitOutcome::kClosed));
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
  backend().AdvanceTime(ReturnDelay(rejected.attempt, ReturnCause::kRejected));

  EXPECT_EQ(ClaimUnit(TestWorker(1)).unit, failed.unit) << "nobody is left who has not failed it";
}

TEST_P(ExchangeContractTest, OneWorkerThatFailsEverythingPausesNoClass) {
  StartRun(2);
  Join(TestWorker(1));
  Join(TestWorker(2));
  for (int slot = 0; slot < 2; ++slot) {
    const WorkUnit unit = ClaimUnit(TestWorker(1));
    ASSERT_OK(exchange().Fail(TestWorker(1), run_, unit.unit, unit.attempt, "no disk"));
    backend().AdvanceTime(ReturnDelay(unit.attempt, ReturnCause::kFailed));
  }

  ExpectNothingToClaim(TestWorker(1));
  for (int slot = 0; slot < 2; ++slot) {
    ASSERT_OK(Submit(TestWorker(2), ClaimUnit(TestWorker(2))));
  }
  EXPECT_EQ(Status().state, RunState::kRunning);
  EXPECT_EQ(Progress(1).failed, 0);
}

TEST_P(ExchangeContractTest, WhoFailedAUnitWaitsForNobodyWhoIsGone) {
  for (const char* how : {"left", "removed", "silent"}) {
    SCOPED_TRACE(how);
    SetUp();
    StartRun(1);
    Join(TestWorker(2));
    backend().AdvanceTime(kWorkerPresence - absl::Microseconds(1));
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

  backend().AdvanceTime(StallLimit(config_.lease) - absl::Microseconds(1));
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

  ASSERT_OK(store().SetRunState(run_, RunState::kRunning, "repaired"));

  ClaimUnit(TestWorker(1));
}

TEST_P(ExchangeContractTest, WhoFailedAUnitIsNotItsSpare) {
  StartRunWithSpares();
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
  EXPECT_EQ(other.slot, Slot(1));
  ExpectNothingToClaim(TestWorker(1));
  EXPECT_EQ(Progress(1).ready, 1);
  backend().AdvanceTime(absl::Seconds(1) - absl::Microseconds(1));
  ExpectNothingToClaim(TestWorker(1));
  backend().AdvanceTime(absl::Microseconds(1));

  const WorkUnit third = ClaimUnit(TestWorker(1));
  EXPECT_EQ(third.unit, first.unit);
  EXPECT_EQ(third.attempt, Attempt(3));
  ASSERT_OK(exchange().Release(TestWorker(1), run_, third.unit, third.attempt));
  const WorkUnit fourth = ClaimUnit(TestWorker(1));
  EXPECT_EQ(fourth.attempt, Attempt(4));  // given back: at once
  backend().AdvanceTime(config_.lease);
  EXPECT_THAT(store().ReapExpiredLeases(run_, leadership_), IsOkAndHolds(2));
  EXPECT_EQ(ClaimUnit(TestWorker(1)).unit, other.unit);
  ExpectNothingToClaim(TestWorker(1));
  backend().AdvanceTime(absl::Seconds(4));
  EXPECT_EQ(ClaimUnit(TestWorker(1)).attempt, Attempt(5));
}

TEST_P(ExchangeContractTest, AFailedUnitHasAllItsTriesAgainWhenTheRunResumes) {
  StartRun(1);
  Join(TestWorker(1));
  FailForGood(TestWorker(1), "broken image");

  ASSERT_OK(store().SetRunState(run_, RunState::kRunning, "repaired"));

  EXPECT_EQ(Status().state, RunState::kRunning);
  EXPECT_EQ(Status().state_reason, "");
  EXPECT_EQ(Progress(1).failed, 0);
  EXPECT_EQ(Progress(1).failure_reason, "");
  FailForGood(TestWorker(1), "broken still");
  EXPECT_EQ(Status().state, RunState::kPaused);
  EXPECT_EQ(Status().state_reason, FailedUnitReason(Round(1), Slot(0), kMaxUnitFailures,
                                                    TestWorker(1).id, "broken still"));

  ASSERT_OK(store().SetRunState(run_, RunState::kRunning, "repaired"));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  EXPECT_EQ(unit.attempt, Attempt(2 * kMaxUnitFailures + 1));
  EXPECT_THAT(Submit(TestWorker(1), unit), IsOkAndHolds(SubmitOutcome::kAccepted));
}

TEST_P(ExchangeContractTest, AUnitFailingForGoodKeepsTheReasonOfAPausedRun) {
  StartRun(1);
  Join(TestWorker(1));
  for (int failure = 1; failure < kMaxUnitFailures; ++failure) {
    const WorkUnit unit = ClaimUnit(TestWorker(1));
    ASSERT_OK(exchange().Fail(TestWorker(1), run_, unit.unit, unit.attempt, "no"));
    backend().AdvanceTime(ReturnDelay(unit.attempt, ReturnCause::kFailed));
  }
  const WorkUnit last = ClaimUnit(TestWorker(1));
  ASSERT_OK(store().SetRunState(run_, RunState::kPaused, "lunch"));

  ASSERT_OK(exchange().Fail(TestWorker(1), run_, last.unit, last.attempt, "no"));

  EXPECT_EQ(Status().state_reason, "lunch");
  EXPECT_EQ(Progress(1).failed, 1);
}

TEST_P(ExchangeContractTest, TheFailureReasonIsThatOfTheLowestSlot) {
  StartRun(2);
  Join(TestWorker(1));
  WorkUnit first = ClaimUnit(TestWorker(1));
  for (int failure = 1; failure < kMaxUnitFailures; ++failure) {
    ASSERT_OK(exchange().Fail(TestWorker(1), run_, first.unit, first.attempt, "the first image"));
    backend().AdvanceTime(ReturnDelay(first.attempt, ReturnCause::kFailed));
    first = ClaimUnit(TestWorker(1));
  }
  backend().AdvanceTime(kWorkerPresence);  // the other is as good as alone
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
                StatusIs(kInvalid));
    EXPECT_THAT(store().SetRunState(run_, RunState::kPaused, reason), StatusIs(kInvalid));
  }
  std::string longest;
  for (int i = 0; i < 500; ++i) longest += "\xC3\xA9";  // 500 characters, 1000 bytes
  EXPECT_OK(exchange().Fail(TestWorker(1), run_, unit.unit, unit.attempt, longest));
  EXPECT_OK(store().SetRunState(run_, RunState::kPaused, longest));
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
  EXPECT_EQ(Status().worker_count, 0) << "a claim is no sign of life";
  ASSERT_OK(exchange().Heartbeat(TestWorker(1), run_, {}));
  EXPECT_EQ(Status().worker_count, 1);
  ASSERT_OK(exchange().Leave(TestWorker(1), run_));
  Join(TestWorker(1, 2));
  EXPECT_EQ(Status().worker_count, 1);
}

// ---- Runs

TEST_P(ExchangeContractTest, ANewRunStandsAtVersionZero) {
  StartRun();

  const RunStatus status = Must(store().FindRun(config_.name));

  EXPECT_EQ(status.run, run_);
  EXPECT_EQ(status.config, config_);
  EXPECT_EQ(status.config.data.description, config_.data.description);
  EXPECT_EQ(status.state, RunState::kRunning);
  EXPECT_EQ(status.state_reason, "");
  EXPECT_EQ(status.weights_version, WeightsVersion(0));
  EXPECT_FALSE(status.last_round.has_value());
  EXPECT_EQ(status.worker_count, 0);
  EXPECT_EQ(status.accepted_image_count, 0);
  EXPECT_EQ(Progress(1).ready, 3);
  const Store::Snapshot snapshot = Must(store().LoadSnapshot(run_));
  EXPECT_EQ(snapshot.version, WeightsVersion(0));
  EXPECT_EQ(*snapshot.weights.bytes, *TestWeights(config_, 0.0f).bytes);
  EXPECT_EQ(*snapshot.adam_state.bytes, *TestAdamState(config_, 0.0f).bytes);
  EXPECT_TRUE(snapshot.weights.IsIntact());
  EXPECT_TRUE(snapshot.adam_state.IsIntact());
}

TEST_P(ExchangeContractTest, ARunsNameIsUnique) {
  StartRun();
  EXPECT_THAT(store().CreateRun(TestNewRun(config_)), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_OK(store().CreateRun(TestNewRun(TinyRunConfig("other"))));
}

TEST_P(ExchangeContractTest, CallsOfTheStoreToNoRunAreNotFound) {
  StartRun();
  const RunId none = kNoSuchRun;
  EXPECT_THAT(store().FindRun("another"), StatusIs(kNotFound));
  EXPECT_THAT(store().GetRunStatus(none), StatusIs(kNotFound));
  EXPECT_THAT(store().GetRunStatus(RunId(0)), StatusIs(kNotFound));
  EXPECT_THAT(store().AcquireLeadership(none, TestLeader(1), absl::Seconds(1)),
              StatusIs(kNotFound));
  EXPECT_THAT(store().ResignLeadership(none, leadership_), StatusIs(kNotFound));
  EXPECT_THAT(store().LoadSnapshot(none), StatusIs(kNotFound));
  EXPECT_THAT(store().GetRoundProgress(none, Round(1)), StatusIs(kNotFound));
  EXPECT_THAT(store().FetchGradient(none, UnitId(1)), StatusIs(kNotFound));
  EXPECT_THAT(store().RejectGradient(none, leadership_, UnitId(1), ""), StatusIs(kNotFound));
  EXPECT_THAT(store().Publish(TestPublish(config_, none, leadership_, WeightsVersion(0))),
              StatusIs(kNotFound));
  EXPECT_THAT(store().ReapExpiredLeases(none, leadership_), StatusIs(kNotFound));
  EXPECT_THAT(store().PrepareRound(none, leadership_, Round(1)), StatusIs(kNotFound));
  EXPECT_THAT(store().SetRunState(none, RunState::kPaused, ""), StatusIs(kNotFound));
  EXPECT_THAT(store().ListRounds(none, Round(0), 1), StatusIs(kNotFound));
  EXPECT_THAT(store().ListWorkers(none, WorkerId(), 1), StatusIs(kNotFound));
}

TEST_P(ExchangeContractTest, MalformedRunsAreRefused) {
  const std::vector<std::function<void(NewRun&)>> flaws = {
      [](NewRun& r) { r.config.name = std::string(65, 'x'); },
      [](NewRun& r) { r.config.name = "two\nlines"; },
      [](NewRun& r) { r.config.micro_batch = 0; },
      [](NewRun& r) { r.config.data.digest = ""; },
      [](NewRun& r) { r.units.clear(); },
      [](NewRun& r) { r.units[1].slot = Slot(0); },
      [](NewRun& r) { r.units[1].slot = Slot(-1); },
      [](NewRun& r) { r.units[1].image_indices.clear(); },
      [](NewRun& r) { r.units[1].image_indices = {-1}; },
      [](NewRun& r) { r.weights = Payload(); },
      [](NewRun& r) { r.adam_state = Payload::FromBytes(Codec::kFp32, ""); },
  };
  for (size_t i = 0; i < flaws.size(); ++i) {
    NewRun run = TestNewRun(config_);
    flaws[i](run);
    EXPECT_THAT(store().CreateRun(run), StatusIs(kInvalid)) << "flaw " << i;
  }
  NewRun damaged = TestNewRun(config_);
  damaged.weights.sha256 = Sha256("something else");
  EXPECT_THAT(store().CreateRun(damaged), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(store().FindRun(config_.name), StatusIs(kNotFound));
}

TEST_P(ExchangeContractTest, AWorkerIsPresentUntilItsTimeIsOver) {
  StartRun();
  Join(TestWorker(1));
  backend().AdvanceTime(kWorkerPresence - absl::Milliseconds(1));
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
  ASSERT_THAT(Submit(TestWorker(1), unit), IsOkAndHolds(SubmitOutcome::kAlreadyAccepted));
  EXPECT_EQ(Summary(TestWorker(1)).last_seen, joined + absl::Seconds(7));
}

TEST_P(ExchangeContractTest, APausedRunHandsOutNothingAndStillAccepts) {
  StartRun(2);
  Join(TestWorker(1));
  const ClaimRequest request = NewClaim(TestWorker(1));
  const WorkUnit unit = *Must(exchange().Claim(request)).unit;

  ASSERT_OK(store().SetRunState(run_, RunState::kPaused, "lunch"));

  const ClaimResult none = Must(exchange().Claim(NewClaim(TestWorker(1))));
  EXPECT_FALSE(none.unit.has_value());
  EXPECT_EQ(none.state, RunState::kPaused);
  EXPECT_EQ(Must(exchange().Claim(request)).unit, unit) << "a repeat gets what it holds";
  EXPECT_EQ(Must(Heartbeat(TestWorker(1), unit, 1)).state, RunState::kPaused);
  EXPECT_THAT(Submit(TestWorker(1), unit), IsOkAndHolds(SubmitOutcome::kAccepted));
  EXPECT_EQ(Status().state_reason, "lunch");
  ASSERT_OK(store().SetRunState(run_, RunState::kPaused, "still lunch"));
  EXPECT_EQ(Status().state_reason, "lunch");

  ASSERT_OK(store().SetRunState(run_, RunState::kRunning, "back"));

  EXPECT_EQ(Status().state_reason, "");
  EXPECT_EQ(ClaimUnit(TestWorker(1)).slot, Slot(1));
}

TEST_P(ExchangeContractTest, AStoppedRunIsOver) {
  StartRun(3);
  Join(TestWorker(1));
  const WorkUnit done = ClaimUnit(TestWorker(1));
  const WorkUnit open = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(1), done));

  ASSERT_OK(store().SetRunState(run_, RunState::kStopped, "enough"));
  ASSERT_OK(store().SetRunState(run_, RunState::kStopped, "enough, again"));

  EXPECT_EQ(Status().state, RunState::kStopped);
  EXPECT_EQ(Status().state_reason, "enough");
  EXPECT_EQ(Progress(1).ready + Progress(1).leased, 0);
  EXPECT_THAT(Progress(1).gradients, SizeIs(1));
  EXPECT_THAT(Submit(TestWorker(1), open), IsOkAndHolds(SubmitOutcome::kClosed));
  const ClaimResult claim = Must(exchange().Claim(NewClaim(TestWorker(1))));
  EXPECT_FALSE(claim.unit.has_value());
  EXPECT_EQ(claim.state, RunState::kStopped);
  EXPECT_THAT(store().SetRunState(run_, RunState::kRunning, ""), StatusIs(kFailedPrecondition));
  EXPECT_THAT(store().SetRunState(run_, RunState::kPaused, ""), StatusIs(kFailedPrecondition));
  EXPECT_THAT(store().Publish(TestPublish(config_, run_, leadership_, WeightsVersion(0))),
              StatusIs(kFailedPrecondition));
  EXPECT_THAT(store().RejectGradient(run_, leadership_, done.unit, "bad"), StatusIs(kNotFound));
}

TEST_P(ExchangeContractTest, NobodyMayAskForTheEnd) {
  StartRun();
  EXPECT_THAT(store().SetRunState(run_, RunState::kFinished, ""), StatusIs(kInvalid));
  EXPECT_EQ(Status().state, RunState::kRunning);
}

// ---- Leadership

TEST_P(ExchangeContractTest, OneCoordinatorLeadsAtATime) {
  run_ = Must(store().CreateRun(TestNewRun(config_)));

  const Leadership first = Must(store().AcquireLeadership(run_, TestLeader(1), absl::Seconds(10)));
  EXPECT_EQ(first.leader, TestLeader(1));
  EXPECT_EQ(first.epoch, 1);
  EXPECT_THAT(store().AcquireLeadership(run_, TestLeader(2), absl::Seconds(10)),
              StatusIs(kFailedPrecondition));
  backend().AdvanceTime(absl::Milliseconds(9'999));
  EXPECT_THAT(store().AcquireLeadership(run_, TestLeader(2), absl::Seconds(10)),
              StatusIs(kFailedPrecondition));
  EXPECT_THAT(store().AcquireLeadership(run_, TestLeader(1), absl::Seconds(10)),
              IsOkAndHolds(first));
  backend().AdvanceTime(absl::Milliseconds(9'999));
  EXPECT_THAT(store().AcquireLeadership(run_, TestLeader(2), absl::Seconds(10)),
              StatusIs(kFailedPrecondition));
  backend().AdvanceTime(absl::Milliseconds(1));

  EXPECT_THAT(store().AcquireLeadership(run_, TestLeader(2), absl::Seconds(10)),
              IsOkAndHolds(Leadership{TestLeader(2), 2}));
  EXPECT_THAT(store().ReapExpiredLeases(run_, first), StatusIs(kFailedPrecondition));
}

TEST_P(ExchangeContractTest, TheLeaderOfRecordKeepsItsEpoch) {
  run_ = Must(store().CreateRun(TestNewRun(config_)));
  const Leadership first = Must(store().AcquireLeadership(run_, TestLeader(1), absl::Seconds(1)));
  backend().AdvanceTime(absl::Seconds(1));
  ASSERT_THAT(store().ReapExpiredLeases(run_, first), StatusIs(kFailedPrecondition));

  EXPECT_THAT(store().AcquireLeadership(run_, TestLeader(1), absl::Seconds(1)),
              IsOkAndHolds(first));

  EXPECT_OK(store().ReapExpiredLeases(run_, first));
}

TEST_P(ExchangeContractTest, ResigningLetsASuccessorInAtOnce) {
  StartRun();
  ASSERT_OK(store().ResignLeadership(run_, Leadership{TestLeader(2), leadership_.epoch}));
  ASSERT_OK(store().ResignLeadership(run_, Leadership{TestLeader(1), leadership_.epoch + 1}));
  ASSERT_OK(store().ReapExpiredLeases(run_, leadership_)) << "neither of these was the leader";

  ASSERT_OK(store().ResignLeadership(run_, leadership_));
  ASSERT_OK(store().ResignLeadership(run_, leadership_));

  EXPECT_THAT(store().ReapExpiredLeases(run_, leadership_), StatusIs(kFailedPrecondition));
  EXPECT_THAT(store().AcquireLeadership(run_, TestLeader(2), absl::Seconds(1)),
              IsOkAndHolds(Leadership{TestLeader(2), leadership_.epoch + 1}));
}

TEST_P(ExchangeContractTest, WhoResignedComesBackUnderANewEpoch) {
  StartRun();
  ASSERT_OK(store().ResignLeadership(run_, leadership_));

  EXPECT_THAT(store().AcquireLeadership(run_, TestLeader(1), absl::Seconds(1)),
              IsOkAndHolds(Leadership{TestLeader(1), leadership_.epoch + 1}));
}

TEST_P(ExchangeContractTest, MalformedLeadershipsAreRefused) {
  StartRun();
  EXPECT_THAT(store().AcquireLeadership(run_, LeaderId("me"), absl::Seconds(1)),
              StatusIs(kInvalid));
  EXPECT_THAT(store().AcquireLeadership(run_, TestLeader(1), absl::ZeroDuration()),
              StatusIs(kInvalid));
  EXPECT_THAT(store().AcquireLeadership(run_, TestLeader(1), absl::InfiniteDuration()),
              StatusIs(kInvalid));
}

TEST_P(ExchangeContractTest, EveryFencedCallRefusesADeposedLeader) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(1), unit));
  backend().AdvanceTime(kMaxLeadershipTtl);
  const Leadership expired = leadership_;
  const Leadership forged{TestLeader(1), leadership_.epoch + 1};
  const auto expect_refused = [&](const Leadership& who) {
    EXPECT_THAT(store().RejectGradient(run_, who, unit.unit, "bad"), StatusIs(kFailedPrecondition));
    EXPECT_THAT(store().Publish(TestPublish(config_, run_, who, WeightsVersion(0))),
                StatusIs(kFailedPrecondition));
    EXPECT_THAT(store().ReapExpiredLeases(run_, who), StatusIs(kFailedPrecondition));
    EXPECT_THAT(store().PrepareRound(run_, who, Round(2)), StatusIs(kFailedPrecondition));
  };

  expect_refused(expired);
  const Leadership second = Must(store().AcquireLeadership(run_, TestLeader(2), kMaxLeadershipTtl));
  expect_refused(expired);
  expect_refused(forged);
  expect_refused(Leadership{TestLeader(1), second.epoch});
  expect_refused(Leadership{TestLeader(2), second.epoch - 1});
  expect_refused(Leadership{TestLeader(2), second.epoch + 1});
  expect_refused(Leadership());

  EXPECT_EQ(Status().weights_version, WeightsVersion(0));
  EXPECT_THAT(Progress(1).gradients, SizeIs(1));
  EXPECT_OK(store().Publish(TestPublish(config_, run_, second, WeightsVersion(0))));
}

// ---- Publish

TEST_P(ExchangeContractTest, APublicationIsTheNewStateOfTheRun) {
  StartRun(2);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(1), unit));
  PublishRequest request = TestPublish(config_, run_, leadership_, WeightsVersion(0));
  request.consumed = {unit.unit};
  request.summary.epoch = 3;
  request.summary.gradient_count = 1;
  request.summary.image_count = 4;
  request.summary.discriminator_loss = 0.1 + 0.2;

  ASSERT_OK(store().Publish(request));

  const RunStatus status = Status();
  EXPECT_EQ(status.weights_version, WeightsVersion(1));
  EXPECT_EQ(status.last_round, request.summary);
  EXPECT_EQ(status.accepted_image_count, 4);
  EXPECT_THAT(store().ListRounds(run_, Round(0), 10), IsOkAndHolds(ElementsAre(request.summary)));
  const Store::Snapshot snapshot = Must(store().LoadSnapshot(run_));
  EXPECT_EQ(snapshot.version, WeightsVersion(1));
  EXPECT_EQ(snapshot.weights.sha256, request.weights.sha256);
  EXPECT_EQ(*snapshot.adam_state.bytes, *request.adam_state.bytes);
  EXPECT_THAT(Progress(1).gradients, SizeIs(1));
  EXPECT_EQ(Progress(1).ready, 0) << "what was left of the round is closed";
  EXPECT_EQ(Progress(2).ready, 3);
  const WorkUnit next = ClaimUnit(TestWorker(1));
  EXPECT_EQ(next.round, Round(2));
  EXPECT_EQ(next.slot, Slot(0));
  EXPECT_EQ(next.weights_version, WeightsVersion(1));
  EXPECT_EQ(next.attempt, Attempt(1));
}

TEST_P(ExchangeContractTest, LeftoversOfAPublishedRoundAreClosed) {
  StartRun(3);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit leased = ClaimUnit(TestWorker(1));
  const WorkUnit released = ClaimUnit(TestWorker(2));
  ASSERT_OK(exchange().Release(TestWorker(2), run_, released.unit, released.attempt));

  Publish();

  EXPECT_THAT(Submit(TestWorker(1), leased), IsOkAndHolds(SubmitOutcome::kClosed));
  EXPECT_THAT(Submit(TestWorker(2), released), IsOkAndHolds(SubmitOutcome::kClosed));
  EXPECT_THAT(Must(Heartbeat(TestWorker(1), leased, 1)).dropped, ElementsAre(leased.unit));
  ClaimUnit(TestWorker(1));
  ClaimUnit(TestWorker(1));  // the closed lease does not count
  EXPECT_EQ(Progress(2).leased, 2);
}

TEST_P(ExchangeContractTest, AnotherVersionThanTheExpectedOneAborts) {
  StartRun();
  const PublishRequest request = TestPublish(config_, run_, leadership_, WeightsVersion(0));
  ASSERT_OK(store().Publish(request));

  EXPECT_THAT(store().Publish(request), StatusIs(absl::StatusCode::kAborted))
      << "a repeat is answered by the version it meets";
  EXPECT_THAT(store().Publish(TestPublish(config_, run_, leadership_, WeightsVersion(2))),
              StatusIs(absl::StatusCode::kAborted));

  EXPECT_EQ(Status().weights_version, WeightsVersion(1));
  EXPECT_THAT(Must(store().ListRounds(run_, Round(0), 10)), SizeIs(1));
}

TEST_P(ExchangeContractTest, OnlyGradientsOfTheRoundAreConsumed) {
  StartRun(2);
  Join(TestWorker(1));
  const WorkUnit done = ClaimUnit(TestWorker(1));
  const WorkUnit leased = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(1), done));
  const std::vector<std::vector<UnitId>> flaws = {
      {leased.unit}, {kNoSuchUnit}, {done.unit, leased.unit}, {done.unit, done.unit}};
  for (size_t i = 0; i < flaws.size(); ++i) {
    PublishRequest request = TestPublish(config_, run_, leadership_, WeightsVersion(0));
    request.consumed = flaws[i];
    // Twice the same is malformed; the others may be a database that has gone back.
    const bool twice = i + 1 == flaws.size();
    EXPECT_THAT(store().Publish(request), StatusIs(twice ? kInvalid : kAborted)) << "flaw " << i;
  }
  EXPECT_EQ(Status().weights_version, WeightsVersion(0));
  EXPECT_EQ(Progress(1).leased, 1);
  Publish();
  PublishRequest request = TestPublish(config_, run_, leadership_, WeightsVersion(1));
  request.consumed = {done.unit};
  EXPECT_THAT(store().Publish(request), StatusIs(kAborted)) << "a gradient of the round before";
}

// When a database has gone back, the same numbers may mean other weights and other gradients.
TEST_P(ExchangeContractTest, APublicationThatStandsOnOthersIsRefused) {
  StartRun(2);
  Join(TestWorker(1));
  std::vector<std::string> checksums;
  PublishRequest request = TestPublish(config_, run_, leadership_, WeightsVersion(0));
  for (int i = 0; i < 2; ++i) {
    const SubmitRequest gradient = TestSubmit(config_, TestWorker(1), ClaimUnit(TestWorker(1)));
    ASSERT_OK(exchange().Submit(gradient));
    request.consumed.push_back(gradient.unit);
    checksums.push_back(gradient.payload.sha256);
  }
  request.expected_sha256 = TestWeights(config_, 0.0f).sha256;
  request.consumed_sha256 = ConsumedSha256(checksums);

  PublishRequest other_weights = request;
  other_weights.expected_sha256 = TestWeights(config_, 9.0f).sha256;
  EXPECT_THAT(store().Publish(other_weights), StatusIs(kAborted, HasSubstr("other weights")));
  PublishRequest other_gradients = request;
  other_gradients.consumed_sha256 = ConsumedSha256({checksums[0], Sha256("another")});
  EXPECT_THAT(store().Publish(other_gradients), StatusIs(kAborted, HasSubstr("other gradients")));
  PublishRequest short_sum = request;
  short_sum.consumed_sha256 = "short";
  EXPECT_THAT(store().Publish(short_sum), StatusIs(kInvalid));
  EXPECT_EQ(Status().weights_version, WeightsVersion(0));

  EXPECT_OK(store().Publish(request));
}

TEST_P(ExchangeContractTest, MalformedPublicationsAreRefused) {
  StartRun();
  const std::vector<std::function<void(PublishRequest&)>> flaws = {
      [](PublishRequest& r) { r.expected_version = WeightsVersion(-1); },
      [](PublishRequest& r) { r.summary.round = Round(2); },
      [](PublishRequest& r) { r.summary.epoch = -1; },
      [](PublishRequest& r) { r.summary.gradient_count = -1; },
      [](PublishRequest& r) { r.summary.image_count = -1; },
      [](PublishRequest& r) { r.summary.generator_loss = std::nan(""); },
      [](PublishRequest& r) { r.summary.seconds = HUGE_VAL; },
      [](PublishRequest& r) { r.finished = true; },
      [](PublishRequest& r) { r.next_units.clear(); },
      [](PublishRequest& r) { r.next_units[0].slot = r.next_units[1].slot; },
      [](PublishRequest& r) { r.next_units[0].image_indices.clear(); },
      [](PublishRequest& r) { r.weights = Payload(); },
      [](PublishRequest& r) { r.adam_state.codec = static_cast<Codec>(0); },
  };
  for (size_t i = 0; i < flaws.size(); ++i) {
    PublishRequest request = TestPublish(config_, run_, leadership_, WeightsVersion(0));
    flaws[i](request);
    EXPECT_THAT(store().Publish(request), StatusIs(kInvalid)) << "flaw " << i;
  }
  PublishRequest damaged = TestPublish(config_, run_, leadership_, WeightsVersion(0));
  damaged.adam_state.sha256 = Sha256("something else");
  EXPECT_THAT(store().Publish(damaged), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_EQ(Status().weights_version, WeightsVersion(0));
}

TEST_P(ExchangeContractTest, TheLastPublicationFinishesTheRun) {
  StartRun(2);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));

  Finish();

  EXPECT_EQ(Status().state, RunState::kFinished);
  EXPECT_EQ(Status().state_reason, "");
  EXPECT_EQ(Status().weights_version, WeightsVersion(1));
  const ClaimResult claim = Must(exchange().Claim(NewClaim(TestWorker(1))));
  EXPECT_FALSE(claim.unit.has_value());
  EXPECT_EQ(claim.state, RunState::kFinished);
  EXPECT_THAT(Submit(TestWorker(1), unit), IsOkAndHolds(SubmitOutcome::kClosed));
  EXPECT_OK(exchange().Release(TestWorker(1), run_, unit.unit, unit.attempt));
  EXPECT_OK(exchange().FetchWeights({TestWorker(1), run_, WeightsVersion(1)}));
  EXPECT_OK(exchange().Leave(TestWorker(1), run_));
  EXPECT_THAT(store().Publish(TestPublish(config_, run_, leadership_, WeightsVersion(1))),
              StatusIs(kFailedPrecondition));
  EXPECT_THAT(store().SetRunState(run_, RunState::kStopped, ""), StatusIs(kFailedPrecondition));
}

TEST_P(ExchangeContractTest, APausedRunMayPublishAndFinish) {
  StartRun();
  ASSERT_OK(store().SetRunState(run_, RunState::kPaused, "lunch"));

  Publish();
  EXPECT_EQ(Status().state, RunState::kPaused);
  EXPECT_EQ(Status().state_reason, "lunch");
  Finish();

  EXPECT_EQ(Status().state, RunState::kFinished);
  EXPECT_EQ(Status().state_reason, "");
}

// ---- Reaping and rejecting

TEST_P(ExchangeContractTest, OnlyExpiredLeasesAreReaped) {
  StartRun(2);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit early = ClaimUnit(TestWorker(1));
  backend().AdvanceTime(absl::Seconds(1));
  ClaimUnit(TestWorker(1));
  backend().AdvanceTime(config_.lease - absl::Milliseconds(1'001));
  EXPECT_THAT(store().ReapExpiredLeases(run_, leadership_), IsOkAndHolds(0));

  backend().AdvanceTime(absl::Milliseconds(1));

  EXPECT_THAT(store().ReapExpiredLeases(run_, leadership_), IsOkAndHolds(1));
  EXPECT_THAT(store().ReapExpiredLeases(run_, leadership_), IsOkAndHolds(0));
  EXPECT_EQ(Progress(1).ready, 1);
  EXPECT_EQ(Progress(1).leased, 1);
  const WorkUnit again = ClaimUnit(TestWorker(2));
  EXPECT_EQ(again.unit, early.unit);
  EXPECT_EQ(again.attempt, Attempt(2));
  EXPECT_EQ(again.image_indices, early.image_indices);
}

TEST_P(ExchangeContractTest, ExpiryNeverFailsAUnit) {
  StartRun(1);
  Join(TestWorker(1));
  for (int expiry = 1; expiry <= 2 * kMaxUnitFailures; ++expiry) {
    EXPECT_EQ(ClaimUnit(TestWorker(1)).attempt, Attempt(expiry));
    backend().AdvanceTime(config_.lease);
    ASSERT_THAT(store().ReapExpiredLeases(run_, leadership_), IsOkAndHolds(1));
    backend().AdvanceTime(ReturnDelay(Attempt(expiry), ReturnCause::kExpired));
  }
  EXPECT_EQ(Status().state, RunState::kRunning);
}

TEST_P(ExchangeContractTest, ARejectedGradientReturnsItsUnit) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(1), unit));

  ASSERT_OK(store().RejectGradient(run_, leadership_, unit.unit, "NaN in main.0.weight"));

  EXPECT_EQ(Progress(1).ready, 1);
  EXPECT_THAT(Progress(1).gradients, IsEmpty());
  EXPECT_THAT(store().FetchGradient(run_, unit.unit), StatusIs(kNotFound));
  EXPECT_EQ(Summary(TestWorker(1)).accepted_unit_count, 0);
  EXPECT_EQ(Summary(TestWorker(1)).accepted_image_count, 0);
  EXPECT_EQ(Status().accepted_image_count, 0);
  EXPECT_THAT(store().RejectGradient(run_, leadership_, unit.unit, "again"), StatusIs(kNotFound));
  EXPECT_THAT(Submit(TestWorker(1), unit), IsOkAndHolds(SubmitOutcome::kSuperseded))
      << "the bytes that were rejected do not come back";
  const WorkUnit again = ClaimUnit(TestWorker(1));
  EXPECT_EQ(again.attempt, Attempt(2));
  EXPECT_THAT(Submit(TestWorker(1), again), IsOkAndHolds(SubmitOutcome::kAccepted));
}

TEST_P(ExchangeContractTest, RejectionsFailAUnitForGood) {
  StartRun(1);
  for (int rejection = 1; rejection <= kMaxUnitFailures; ++rejection) {
    const WorkerIdentity worker = TestWorker(rejection);  // one alone would be sent away before
    Join(worker);
    const WorkUnit unit = ClaimUnit(worker);
    ASSERT_OK(Submit(worker, unit));
    ASSERT_OK(store().RejectGradient(run_, leadership_, unit.unit, "NaN"));
    backend().AdvanceTime(ReturnDelay(unit.attempt, ReturnCause::kRejected));
  }

  EXPECT_EQ(Progress(1).failed, 1);
  EXPECT_EQ(Progress(1).failure_reason, "NaN");
  EXPECT_EQ(Status().state, RunState::kPaused);
  EXPECT_EQ(Status().state_reason,
            FailedUnitReason(Round(1), Slot(0), kMaxUnitFailures, WorkerId(), "NaN"));
  EXPECT_EQ(Status().accepted_image_count, 0);
}

TEST_P(ExchangeContractTest, RejectionsInARowSendAWorkerAway) {
  StartRun(2);
  Join(TestWorker(1));
  const WorkUnit other = ClaimUnit(TestWorker(1));
  for (int rejection = 1; rejection <= kMaxRejectionsInARow; ++rejection) {
    EXPECT_EQ(Summary(TestWorker(1)).removed_reason, "");
    const WorkUnit unit = ClaimUnit(TestWorker(1));
    ASSERT_OK(Submit(TestWorker(1), unit));
    ASSERT_OK(store().RejectGradient(run_, leadership_, unit.unit, "NaN in main.0.weight"));
    backend().AdvanceTime(ReturnDelay(unit.attempt, ReturnCause::kRejected));
  }

  const std::string reason = RejectionsReason(kMaxRejectionsInARow, "NaN in main.0.weight");
  EXPECT_EQ(Summary(TestWorker(1)).removed_reason, reason);
  EXPECT_THAT(exchange().Claim(NewClaim(TestWorker(1))),
              StatusIs(kFailedPrecondition, HasSubstr(reason)));
  EXPECT_EQ(Status().state, RunState::kRunning);
  Join(TestWorker(2));
  EXPECT_EQ(ClaimUnit(TestWorker(2)).unit, other.unit) << "what it held is given to others";
}

TEST_P(ExchangeContractTest, APublishedGradientForgivesOneRejection) {
  StartRun(1);
  Join(TestWorker(1));
  const auto be_rejected = [&] {
    const WorkUnit unit = ClaimUnit(TestWorker(1));
    ASSERT_OK(Submit(TestWorker(1), unit));
    ASSERT_OK(store().RejectGradient(run_, leadership_, unit.unit, "NaN"));
    backend().AdvanceTime(ReturnDelay(unit.attempt, ReturnCause::kRejected));
  };
  be_rejected();
  for (int round = 1; round <= 3; ++round) {
    be_rejected();
    const WorkUnit good = ClaimUnit(TestWorker(1));
    ASSERT_OK(Submit(TestWorker(1), good));
    PublishRequest request = TestPublish(config_, run_, leadership_, WeightsVersion(round - 1));
    request.consumed = {good.unit};
    request.next_units.resize(1);
    ASSERT_OK(store().Publish(request));
  }
  EXPECT_EQ(Summary(TestWorker(1)).removed_reason, "");

  be_rejected();
  be_rejected();

  EXPECT_EQ(Summary(TestWorker(1)).removed_reason, RejectionsReason(kMaxRejectionsInARow, "NaN"));
}

TEST_P(ExchangeContractTest, EachOfSeveralPublishedGradientsForgivesOneRejection) {
  StartRun(2);
  Join(TestWorker(1));
  for (int round = 1; round <= 2; ++round) {
    PublishRequest request = TestPublish(config_, run_, leadership_, WeightsVersion(round - 1));
    for (int slot = 0; slot < 2; ++slot) {
      const WorkUnit bad = ClaimUnit(TestWorker(1));
      ASSERT_OK(Submit(TestWorker(1), bad));
      ASSERT_OK(store().RejectGradient(run_, leadership_, bad.unit, "NaN"));
      const WorkUnit good = ClaimUnit(TestWorker(1));
      ASSERT_OK(Submit(TestWorker(1), good));
      request.consumed.push_back(good.unit);
    }
    ASSERT_OK(store().Publish(request));
  }

  EXPECT_EQ(Summary(TestWorker(1)).removed_reason, "");
}

// ---- Removing

TEST_P(ExchangeContractTest, EveryCallOfARemovedWorkerIsRefusedUntilItIsRestored) {
  StartRun();
  Join(TestWorker(1));

  ASSERT_OK(store().RemoveWorker(run_, TestWorker(1).id, "plays with the loss"));

  const std::string told =
      "this worker was removed from the run: plays with the loss; ask the instructor";
  for (const Answer& answer : CallEverything(TestWorker(1), run_)) {
    EXPECT_THAT(answer.status, StatusIs(kFailedPrecondition, HasSubstr(told))) << answer.call;
  }
  JoinRequest again = TestJoin(TestWorker(1, 7), config_);
  EXPECT_THAT(exchange().Join(again), StatusIs(kFailedPrecondition, HasSubstr(told)));
  again.data.reset();
  EXPECT_THAT(exchange().Join(again), StatusIs(kFailedPrecondition, HasSubstr(told)));
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
  EXPECT_THAT(store().FetchGradient(run_, done.unit), StatusIs(kNotFound));
  EXPECT_EQ(ClaimUnit(TestWorker(2)).unit, done.unit);
  const WorkUnit second = ClaimUnit(TestWorker(2));
  EXPECT_EQ(second.unit, leased.unit);
  EXPECT_EQ(second.attempt, Attempt(2));
  ASSERT_OK(store().RestoreWorker(run_, TestWorker(1).id));
  EXPECT_THAT(Submit(TestWorker(1), leased), IsOkAndHolds(SubmitOutcome::kSuperseded));
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

  EXPECT_THAT(store().RemoveWorker(run_, TestWorker(2).id, "x"), StatusIs(kNotFound));
  EXPECT_THAT(store().RestoreWorker(run_, TestWorker(2).id), StatusIs(kNotFound));
  EXPECT_THAT(store().RemoveWorker(kNoSuchRun, TestWorker(1).id, "x"), StatusIs(kNotFound));
  EXPECT_THAT(store().RestoreWorker(kNoSuchRun, TestWorker(1).id), StatusIs(kNotFound));
  EXPECT_THAT(store().RemoveWorker(run_, TestWorker(1).id, ""), StatusIs(kInvalid));
  EXPECT_THAT(store().RemoveWorker(run_, TestWorker(1).id, std::string(501, 'x')),
              StatusIs(kInvalid));
  EXPECT_THAT(store().RemoveWorker(run_, WorkerId("me"), "x"), StatusIs(kInvalid));
  EXPECT_THAT(store().RestoreWorker(run_, WorkerId("me")), StatusIs(kInvalid));
  ClaimUnit(TestWorker(1));
}

TEST_P(ExchangeContractTest, ARemovedWorkerStaysRemovedInTheRunThatGoesOn) {
  StartRun();
  Join(TestWorker(1));
  ASSERT_OK(store().RemoveWorker(run_, TestWorker(1).id, "x"));
  NewRun archived = TestNewRun(TinyRunConfig("restored"));
  archived.workers = Must(store().ListWorkerRecords(run_));

  const RunId restored = Must(store().CreateRun(archived));

  for (const Answer& answer : CallEverything(TestWorker(1), restored)) {
    EXPECT_THAT(answer.status, StatusIs(kFailedPrecondition, HasSubstr("removed"))) << answer.call;
  }
}

TEST_P(ExchangeContractTest, OnlyGradientsOfTheOpenRoundAreRejected) {
  StartRun(2);
  Join(TestWorker(1));
  const WorkUnit done = ClaimUnit(TestWorker(1));
  const WorkUnit leased = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(1), done));

  EXPECT_THAT(store().RejectGradient(run_, leadership_, leased.unit, ""), StatusIs(kNotFound));
  EXPECT_THAT(store().RejectGradient(run_, leadership_, kNoSuchUnit, ""), StatusIs(kNotFound));
  Publish();
  EXPECT_THAT(store().RejectGradient(run_, leadership_, done.unit, ""), StatusIs(kNotFound));

  EXPECT_EQ(Summary(TestWorker(1)).accepted_unit_count, 1);
}

// ---- Room for blobs

TEST_P(ExchangeContractTest, PreparingARoundFreesWhatIsEightRoundsOld) {
  StartRun(1);
  Join(TestWorker(1));
  std::vector<WorkUnit> units;
  for (int round = 1; round <= kBlobRing + 1; ++round) {
    if (round > 1) Publish(1, /*keep=*/round == 3);  // publishes version round - 1
    units.push_back(ClaimUnit(TestWorker(1)));
    ASSERT_EQ(units.back().round, Round(round));
    ASSERT_OK(Submit(TestWorker(1), units.back(), static_cast<float>(round)));
  }
  ASSERT_EQ(Status().weights_version, WeightsVersion(kBlobRing));
  const auto weights_of = [&](int64_t version) {
    return exchange().FetchWeights({TestWorker(1), run_, WeightsVersion(version)});
  };

  ASSERT_OK(store().PrepareRound(run_, leadership_, Round(kBlobRing + 1)));

  EXPECT_THAT(store().FetchGradient(run_, units[0].unit), StatusIs(kNotFound));
  for (size_t round = 2; round <= kBlobRing + 1; ++round) {
    EXPECT_OK(store().FetchGradient(run_, units[round - 1].unit)) << "round " << round;
  }
  EXPECT_OK(weights_of(0)) << "version 0 shares the place of version 8";
  EXPECT_THAT(weights_of(1), StatusIs(kNotFound));
  EXPECT_OK(weights_of(2));
  EXPECT_OK(weights_of(kBlobRing));

  ASSERT_OK(store().PrepareRound(run_, leadership_, Round(kBlobRing + 2)));
  ASSERT_OK(store().PrepareRound(run_, leadership_, Round(kBlobRing + 2)));

  EXPECT_THAT(store().FetchGradient(run_, units[1].unit), StatusIs(kNotFound));
  EXPECT_OK(store().FetchGradient(run_, units[2].unit));
  EXPECT_OK(weights_of(2)) << "kept for good";
  EXPECT_OK(weights_of(3));
  EXPECT_THAT(Must(store().GetRoundProgress(run_, Round(1))).gradients, SizeIs(1))
      << "what is known about a gradient stays";
  EXPECT_THAT(Submit(TestWorker(1), units[0], 1.0f), IsOkAndHolds(SubmitOutcome::kAlreadyAccepted));
  const Store::Snapshot snapshot = Must(store().LoadSnapshot(run_));
  EXPECT_EQ(snapshot.weights.sha256, TestWeights(config_, kBlobRing).sha256);
  EXPECT_TRUE(snapshot.adam_state.IsIntact());
}

TEST_P(ExchangeContractTest, KeptWeightsStayWhenTheirPlaceIsUsedAgain) {
  StartRun(1);
  Join(TestWorker(1));
  for (int version = 1; version <= 2 * kBlobRing + 1; ++version) {
    ASSERT_OK(store().PrepareRound(run_, leadership_, Round(version + 1)));
    Publish(1, /*keep=*/version == 1 || version == kBlobRing);
  }
  for (const int version : {1, kBlobRing}) {
    const Payload weights =
        Must(exchange().FetchWeights({TestWorker(1), run_, WeightsVersion(version)}));
    EXPECT_EQ(*weights.bytes, *TestWeights(config_, static_cast<float>(version)).bytes);
  }
  for (const int version : {0, 2, kBlobRing + 1, kBlobRing + 2}) {
    EXPECT_THAT(exchange().FetchWeights({TestWorker(1), run_, WeightsVersion(version)}),
                StatusIs(kNotFound))
        << "version " << version;
  }
  EXPECT_OK(exchange().FetchWeights({TestWorker(1), run_, WeightsVersion(kBlobRing + 3)}));
}

TEST_P(ExchangeContractTest, TheBestWeightsStayUntilBetterOnesAreKept) {
  StartRun(1);
  EXPECT_EQ(Status().best, std::nullopt);
  EXPECT_THAT(store().LoadBest(run_), StatusIs(kNotFound));
  EXPECT_THAT(store().LoadBest(kNoSuchRun), StatusIs(kNotFound));
  const auto keep = [&](int64_t version, double distance) {
    return store().KeepBest(run_, leadership_, {WeightsVersion(version), distance},
                            TestWeights(config_, static_cast<float>(version)));
  };
  const auto expect_best = [&](int64_t version, double distance) {
    EXPECT_EQ(Status().best, (BestWeights{WeightsVersion(version), distance}));
    const Store::BestSnapshot best = Must(store().LoadBest(run_));
    EXPECT_EQ(best.best, (BestWeights{WeightsVersion(version), distance}));
    EXPECT_EQ(*best.weights.bytes, *TestWeights(config_, static_cast<float>(version)).bytes);
    EXPECT_TRUE(best.weights.IsIntact());
  };
  Publish(1);
  ASSERT_OK(keep(1, 0.5));
  expect_best(1, 0.5);

  for (int version = 2; version <= 2 * kBlobRing; ++version) {
    ASSERT_OK(store().PrepareRound(run_, leadership_, Round(version + 1)));
    Publish(1);
  }
  expect_best(1, 0.5);

  ASSERT_OK(keep(3, 0.25)) << "measured when its place was used already";
  ASSERT_OK(keep(3, 0.25)) << "its answer was lost";
  expect_best(3, 0.25);

  EXPECT_THAT(keep(2 * kBlobRing + 1, 0.1), StatusIs(kInvalid)) << "not published";
  EXPECT_THAT(keep(-1, 0.1), StatusIs(kInvalid));
  EXPECT_THAT(keep(3, -0.1), StatusIs(kInvalid));
  EXPECT_THAT(keep(3, std::nan("")), StatusIs(kInvalid));
  Leadership deposed = leadership_;
  deposed.epoch -= 1;
  EXPECT_THAT(store().KeepBest(run_, deposed, {WeightsVersion(3), 0.1}, TestWeights(config_, 3)),
              StatusIs(kFailedPrecondition));
  Payload damaged = TestWeights(config_, 3);
  damaged.sha256[0] ^= 1;
  EXPECT_THAT(store().KeepBest(run_, leadership_, {WeightsVersion(3), 0.1}, damaged),
              StatusIs(absl::StatusCode::kDataLoss));
  expect_best(3, 0.25);
}

TEST_P(ExchangeContractTest, APlaceThatWasNotPreparedLosesNothingNew) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit old = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(1), old, 1.0f));
  for (int version = 1; version <= kBlobRing; ++version) Publish(1);
  const WorkUnit current = ClaimUnit(TestWorker(1));
  ASSERT_EQ(current.round, Round(kBlobRing + 1));
  ASSERT_OK(Submit(TestWorker(1), current, 9.0f));
  ASSERT_OK(store().FetchGradient(run_, old.unit));

  ASSERT_OK(store().PrepareRound(run_, leadership_, Round(kBlobRing + 1)));

  EXPECT_THAT(store().FetchGradient(run_, old.unit), StatusIs(kNotFound));
  const Payload kept = Must(store().FetchGradient(run_, current.unit));
  EXPECT_EQ(*kept.bytes, *TestGradient(config_, 9.0f).bytes);
}

TEST_P(ExchangeContractTest, OneRunsRoomIsNotAnothers) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(1), unit));
  const RunConfig other = TinyRunConfig("other");
  const RunId other_run = Must(store().CreateRun(TestNewRun(other)));
  const Leadership lead =
      Must(store().AcquireLeadership(other_run, TestLeader(2), kMaxLeadershipTtl));
  for (int version = 1; version <= kBlobRing; ++version) {
    ASSERT_OK(store().PrepareRound(other_run, lead, Round(version + 1)));
    ASSERT_OK(store().Publish(TestPublish(other, other_run, lead, WeightsVersion(version - 1))));
  }

  EXPECT_OK(store().FetchGradient(run_, unit.unit));
  EXPECT_OK(exchange().FetchWeights({TestWorker(1), run_, WeightsVersion(0)}));
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
  EXPECT_THAT(store().ReclaimBlobs(run_, leadership_), StatusIs(kFailedPrecondition))
      << "a round is open";
  EXPECT_OK(store().FetchGradient(run_, units.back().unit));
  ASSERT_OK(store().SetRunState(run_, RunState::kStopped, "the lesson ends"));
  Leadership deposed = leadership_;
  deposed.epoch -= 1;
  EXPECT_THAT(store().ReclaimBlobs(run_, deposed), StatusIs(kFailedPrecondition));

  ASSERT_OK(store().ReclaimBlobs(run_, leadership_));
  ASSERT_OK(store().ReclaimBlobs(run_, leadership_)) << "its answer was lost";

  for (const WorkUnit& unit : units) {
    EXPECT_THAT(store().FetchGradient(run_, unit.unit), StatusIs(kNotFound));
  }
  EXPECT_THAT(Submit(TestWorker(1), units[0], 1.0f), IsOkAndHolds(SubmitOutcome::kAlreadyAccepted));
  const auto weights_of = [&](int64_t version) {
    return exchange().FetchWeights({TestWorker(1), run_, WeightsVersion(version)});
  };
  EXPECT_THAT(weights_of(0), StatusIs(kNotFound));
  EXPECT_EQ(*Must(weights_of(1)).bytes, *TestWeights(config_, 1).bytes) << "kept for good";
  EXPECT_THAT(weights_of(2), StatusIs(kNotFound));
  EXPECT_EQ(*Must(weights_of(3)).bytes, *TestWeights(config_, 3).bytes) << "the current ones";
  const Store::Snapshot snapshot = Must(store().LoadSnapshot(run_));
  EXPECT_EQ(snapshot.version, WeightsVersion(3));
  EXPECT_TRUE(snapshot.weights.IsIntact());
  EXPECT_TRUE(snapshot.adam_state.IsIntact());
  EXPECT_THAT(Must(store().ListRounds(run_, Round(0), kMaxPage)), SizeIs(3));
}

TEST_P(ExchangeContractTest, ADeletedRunLeavesNothingAndDisturbsNobody) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(1), unit));
  const RunConfig other = TinyRunConfig("other");
  const RunId other_run = Must(store().CreateRun(TestNewRun(other)));
  const Leadership lead =
      Must(store().AcquireLeadership(other_run, TestLeader(2), kMaxLeadershipTtl));
  ASSERT_OK(store().Publish(TestPublish(other, other_run, lead, WeightsVersion(0))));
  ASSERT_OK(store().KeepBest(other_run, lead, {WeightsVersion(1), 0.5}, TestWeights(other, 1.0f)));

  EXPECT_THAT(store().DeleteRun(kNoSuchRun), StatusIs(kNotFound));
  EXPECT_THAT(store().DeleteRun(other_run), StatusIs(kFailedPrecondition)) << "it has a leader";
  ASSERT_OK(store().ResignLeadership(other_run, lead));
  ASSERT_OK(store().DeleteRun(other_run));

  EXPECT_THAT(store().DeleteRun(other_run), StatusIs(kNotFound));
  EXPECT_THAT(store().FindRun("other"), StatusIs(kNotFound));
  EXPECT_THAT(store().GetRunStatus(other_run), StatusIs(kNotFound));
  EXPECT_OK(store().FetchGradient(run_, unit.unit));
  EXPECT_OK(exchange().FetchWeights({TestWorker(1), run_, WeightsVersion(0)}));
  const RunId again = Must(store().CreateRun(TestNewRun(other)));
  EXPECT_NE(again, other_run) << "the name is free, the id is not";
}

TEST_P(ExchangeContractTest, OnlyTheRoundsToComeArePrepared) {
  StartRun();
  for (const int64_t round : {-1, 0, 3, 8}) {
    EXPECT_THAT(store().PrepareRound(run_, leadership_, Round(round)), StatusIs(kInvalid));
  }
  EXPECT_OK(store().PrepareRound(run_, leadership_, Round(1)));
  EXPECT_OK(store().PrepareRound(run_, leadership_, Round(2)));
}

// ---- Waiting for changes

TEST_P(ExchangeContractTest, TheAcceptThatCompletesARoundIsAChange) {
  StartRun(2);
  Join(TestWorker(1));
  const WorkUnit first = ClaimUnit(TestWorker(1));
  const WorkUnit second = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(1), first));
  const auto wait = [&] {
    RealClock clock;
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
    RealClock clock;
    const absl::Duration end = clock.Steady() + absl::Seconds(40);
    while (Status().state != RunState::kPaused && clock.Steady() < end) {
      store().AwaitChange(run_, absl::Seconds(40));
    }
  };

  ExpectWoken(wait, [&] { Must(store().SetRunState(run_, RunState::kPaused, "lunch")); });
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
    for (const RoundSummary& summary : Must(store().ListRounds(run_, Round(after), limit))) {
      numbers.push_back(summary.round.value());
    }
    return numbers;
  };
  EXPECT_THAT(rounds(0, 2), ElementsAre(1, 2));
  EXPECT_THAT(rounds(2, 2), ElementsAre(3, 4));
  EXPECT_THAT(rounds(4, 2), ElementsAre(5));
  EXPECT_THAT(rounds(5, 2), IsEmpty());
  EXPECT_THAT(rounds(0, kMaxPage), SizeIs(5));
  EXPECT_THAT(store().ListRounds(run_, Round(0), 0), StatusIs(kInvalid));
  EXPECT_THAT(store().ListRounds(run_, Round(0), kMaxPage + 1), StatusIs(kInvalid));
  EXPECT_THAT(store().ListRounds(run_, Round(-1), 1), StatusIs(kInvalid));
}

TEST_P(ExchangeContractTest, WorkersAreListedAPageAtATime) {
  StartRun();
  for (const int number : {30, 10, 20}) Join(TestWorker(number));
  const auto workers = [&](const WorkerId& after, int limit) {
    std::vector<WorkerId> ids;
    for (const WorkerSummary& summary : Must(store().ListWorkers(run_, after, limit))) {
      ids.push_back(summary.worker);
    }
    return ids;
  };
  EXPECT_THAT(workers(WorkerId(), 2), ElementsAre(TestWorker(10).id, TestWorker(20).id));
  EXPECT_THAT(workers(TestWorker(20).id, 2), ElementsAre(TestWorker(30).id));
  EXPECT_THAT(workers(TestWorker(11).id, 1), ElementsAre(TestWorker(20).id));
  EXPECT_THAT(workers(TestWorker(30).id, 2), IsEmpty());
  EXPECT_THAT(store().ListWorkers(run_, WorkerId("x"), 1), StatusIs(kInvalid));
  EXPECT_THAT(store().ListWorkers(run_, WorkerId(), 0), StatusIs(kInvalid));
  EXPECT_THAT(store().ListWorkers(run_, WorkerId(), kMaxPage + 1), StatusIs(kInvalid));
}

// ---- Concurrency

TEST_P(ExchangeContractTest, ManyWorkersAtOnceNeverShareAUnit) {
  constexpr int kWorkers = 4;
  constexpr int kUnits = 24;
  NewRun request = TestNewRun(config_);
  request.units.clear();
  for (int slot = 0; slot < kUnits; ++slot) {
    request.units.push_back({Slot(slot), {0, 1, 2, 3}});
  }
  run_ = Must(store().CreateRun(request));
  for (int number = 1; number <= kWorkers; ++number) Join(TestWorker(number));
  std::vector<int> accepted(kWorkers, 0);
  std::vector<std::thread> threads;
  for (int number = 1; number <= kWorkers; ++number) {
    threads.emplace_back([&, number] {
      const WorkerIdentity worker = TestWorker(number);
      for (int i = 0;; ++i) {
        ClaimRequest claim{worker, run_, absl::StrFormat("%016x%016x", number, i),
                           absl::ZeroDuration()};
        const absl::StatusOr<ClaimResult> result = exchange().Claim(claim);
        if (!result.ok()) {
          ADD_FAILURE() << result.status();
          return;
        }
        if (!result->unit.has_value()) return;
        const absl::StatusOr<SubmitOutcome> outcome = exchange().Submit(
            TestSubmit(config_, worker, *result->unit, static_cast<float>(number)));
        EXPECT_THAT(outcome, IsOkAndHolds(SubmitOutcome::kAccepted));
        ++accepted[static_cast<size_t>(number - 1)];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  int total = 0;
  for (const int count : accepted) total += count;
  EXPECT_EQ(total, kUnits);
  const RoundProgress progress = Progress(1);
  ASSERT_THAT(progress.gradients, SizeIs(kUnits));
  for (const GradientInfo& info : progress.gradients) EXPECT_EQ(info.attempt, Attempt(1));
  EXPECT_EQ(Status().accepted_image_count, int64_t{kUnits} * config_.images_per_unit);
}

}  // namespace gannet
