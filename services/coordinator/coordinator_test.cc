#include "services/coordinator/coordinator.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/base/testing/fake_clock.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/checkpoint/checkpoint.h"
#include "libs/domain/model_layout.h"
#include "libs/exchange/memory_backend.h"
#include "libs/exchange/testing/memory_inspector.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/tensor/safetensors.h"
#include "services/coordinator/testing/fake_workers.h"
#include "services/coordinator/testing/faulty_store.h"

namespace gannet::coordinator {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;

constexpr int kRounds = 4;
const std::vector<int> kInOrder = {0, 1, 2};

domain::RunConfig SmallRun() {
  domain::RunConfig config = exchange::TinyRunConfig();
  config.round_count = kRounds;
  return config;
}

CoordinatorOptions QuickOptions(int leader) {
  CoordinatorOptions options;
  options.run = SmallRun();
  options.leader = exchange::TestLeader(leader);
  options.standby_interval = absl::Milliseconds(2);
  options.term.change_wait_max = absl::Milliseconds(20);
  options.term.reap_interval = absl::Milliseconds(5);
  options.term.status_interval = absl::Milliseconds(5);
  options.term.progress_interval = absl::Milliseconds(50);
  options.term.backoff = {absl::Milliseconds(1), absl::Milliseconds(5), 2.0};
  return options;
}

// A coordinator in a thread of its own.
class RunningCoordinator {
 public:
  RunningCoordinator(const CoordinatorOptions& options, exchange::Store& store) {
    coordinator_ = *Coordinator::Create(options, store, clock_, telemetry::NullLogger(), metrics_);
    thread_ = std::thread([this] { report_ = coordinator_->Run(); });
  }
  ~RunningCoordinator() {
    if (!thread_.joinable()) return;
    coordinator_->RequestStop();
    thread_.join();
  }

  // Waits for its own end.
  absl::StatusOr<CoordinatorReport> Join() {
    thread_.join();
    return report_;
  }
  absl::StatusOr<CoordinatorReport> Stop() {
    coordinator_->RequestStop();
    return Join();
  }

  CoordinatorView view() { return coordinator_->view(); }
  std::string Metric(const std::string& name) {
    for (absl::string_view line : absl::StrSplit(metrics_.Render(), '\n')) {
      const std::vector<std::string> words = absl::StrSplit(line, ' ');
      if (words[0] == name) return words[1];
    }
    return "";
  }

 private:
  base::RealClock clock_;
  telemetry::Metrics metrics_;
  std::unique_ptr<Coordinator> coordinator_;
  absl::StatusOr<CoordinatorReport> report_ = absl::UnknownError("not run");
  std::thread thread_;
};

class CoordinatorTest : public ::testing::Test {
 protected:
  // Starts one and waits until its run exists.
  std::unique_ptr<RunningCoordinator> Start(int leader = 1) { return Start(QuickOptions(leader)); }
  std::unique_ptr<RunningCoordinator> Start(const CoordinatorOptions& options) {
    auto coordinator = std::make_unique<RunningCoordinator>(options, store_);
    EXPECT_TRUE(store_.AwaitUntil([&] { return coordinator->view().run.has_value(); }));
    return coordinator;
  }

  void AwaitVersion(int64_t version) {
    EXPECT_TRUE(store_.AwaitUntil([&] { return Dump().weights_version.value() >= version; }));
  }

  exchange::RunDump Dump() {
    const absl::StatusOr<exchange::RunStatus> status = backend_.store().FindRun(SmallRun().name);
    EXPECT_OK(status);
    return *exchange::MemoryBackendInspector::Dump(backend_, status->run);
  }

  // The checksums of what was published last.
  std::pair<std::string, std::string> Checksums() {
    const exchange::RunDump dump = Dump();
    return {dump.weights.back().sha256, dump.adam_sha256};
  }

  base::FakeClock clock_;  // the database's
  exchange::MemoryBackend backend_{clock_};
  FaultyStore store_{backend_.store()};
};

// What a run without any incident ends with.
std::pair<std::string, std::string> BaselineChecksums() {
  base::RealClock clock;
  exchange::MemoryBackend backend(clock);
  FaultyStore store(backend.store());
  RunningCoordinator coordinator(QuickOptions(1), store);
  EXPECT_TRUE(store.AwaitUntil([&] { return coordinator.view().run.has_value(); }));
  FakeWorkers workers(backend.exchange(), SmallRun());
  EXPECT_OK(workers.PlayRounds(kRounds, kInOrder));
  EXPECT_OK(coordinator.Join());
  const exchange::RunDump dump = *exchange::MemoryBackendInspector::Dump(backend, workers.run());
  return {dump.weights.back().sha256, dump.adam_sha256};
}

TEST_F(CoordinatorTest, RoundsArePublishedUntilTheRunIsFinished) {
  const auto coordinator = Start();
  FakeWorkers workers(backend_.exchange(), SmallRun());
  ASSERT_OK(workers.PlayRounds(kRounds, kInOrder));

  ASSERT_OK_AND_ASSIGN(const CoordinatorReport report, coordinator->Join());

  EXPECT_EQ(report.end, CoordinatorReport::End::kRunFinished);
  EXPECT_EQ(report.rounds_published, kRounds);
  EXPECT_EQ(report.weights_version, base::WeightsVersion(kRounds));
  const exchange::RunDump dump = Dump();
  EXPECT_EQ(dump.state, domain::RunState::kFinished);
  EXPECT_EQ(dump.leader, base::LeaderId());  // resigned
  ASSERT_EQ(dump.rounds.size(), static_cast<size_t>(kRounds));
  for (int i = 0; i < kRounds; ++i) {
    const exchange::RoundSummary& round = dump.rounds[static_cast<size_t>(i)];
    EXPECT_EQ(round.round, base::Round(i + 1));
    EXPECT_EQ(round.gradient_count, 3);
    EXPECT_EQ(round.image_count, 12);
    EXPECT_DOUBLE_EQ(round.discriminator_loss, 1.25);
    EXPECT_DOUBLE_EQ(round.generator_loss, i + 1);
  }
  EXPECT_EQ(coordinator->Metric("gannet_coordinator_rounds_total"), "4");
  EXPECT_EQ(coordinator->Metric("gannet_coordinator_images_total"), "48");
  EXPECT_EQ(coordinator->Metric("gannet_coordinator_weights_version"), "4");
  EXPECT_EQ(coordinator->Metric("gannet_coordinator_leader"), "0");
}

TEST_F(CoordinatorTest, UnitsOfEachRoundAreThoseOfThePlan) {
  const auto coordinator = Start();
  FakeWorkers workers(backend_.exchange(), SmallRun());
  domain::RoundPlanner planner(SmallRun());

  for (int round = 1; round <= kRounds; ++round) {
    ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers.ClaimRound());
    const std::vector<domain::PlannedUnit> plan = planner.Plan(base::Round(round));
    for (size_t i = 0; i < units.size(); ++i) {
      EXPECT_EQ(units[i].round, base::Round(round));
      EXPECT_EQ(units[i].weights_version, base::WeightsVersion(round - 1));
      EXPECT_EQ(units[i].image_indices, plan[i].image_indices);
      ASSERT_OK(workers.Submit(units[i]));
    }
  }
  EXPECT_OK(coordinator->Join());
}

TEST_F(CoordinatorTest, TheOrderOfArrivalChangesNoBit) {
  const auto coordinator = Start();
  FakeWorkers workers(backend_.exchange(), SmallRun());
  ASSERT_OK(workers.PlayRounds(1, {2, 1, 0}));
  ASSERT_OK(workers.PlayRounds(1, {1, 2, 0}));
  ASSERT_OK(workers.PlayRounds(2, {2, 0, 1}));
  ASSERT_OK(coordinator->Join());

  EXPECT_EQ(Checksums(), BaselineChecksums());
}

TEST_F(CoordinatorTest, AnotherGradientChangesTheWeights) {
  const auto coordinator = Start();
  FakeWorkers workers(backend_.exchange(), SmallRun());
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers.ClaimRound());
  ASSERT_OK(workers.Submit(units[0]));
  ASSERT_OK(workers.Submit(units[1]));
  ASSERT_OK(workers.Submit(units[2], FakeGradient(SmallRun(), base::Round(9), base::Slot(2))));
  ASSERT_OK(workers.PlayRounds(kRounds - 1, kInOrder));
  ASSERT_OK(coordinator->Join());

  EXPECT_NE(Checksums(), BaselineChecksums());
}

TEST_F(CoordinatorTest, AGradientWithANanIsRejectedAndItsUnitHandedOutAgain) {
  const auto coordinator = Start();
  FakeWorkers workers(backend_.exchange(), SmallRun());
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers.ClaimRound());
  tensor::TensorBundle gradient = FakeGradient(SmallRun(), base::Round(1), base::Slot(1));
  gradient.mutable_tensors()[0].mutable_f32()[5] = std::numeric_limits<float>::quiet_NaN();
  ASSERT_OK(workers.Submit(units[0]));
  ASSERT_OK(workers.Submit(units[1], gradient));
  ASSERT_OK(workers.Submit(units[2]));

  workers.SkipTurn();
  ASSERT_OK_AND_ASSIGN(const exchange::WorkUnit again, workers.ClaimOne());
  EXPECT_EQ(again.unit, units[1].unit);
  EXPECT_EQ(again.attempt, base::Attempt(2));
  ASSERT_OK(workers.Submit(again));
  ASSERT_OK(workers.PlayRounds(kRounds - 1, kInOrder));

  ASSERT_OK(coordinator->Join());
  EXPECT_EQ(coordinator->Metric("gannet_coordinator_rejected_gradients_total"), "1");
  EXPECT_EQ(Checksums(), BaselineChecksums());
}

TEST_F(CoordinatorTest, AnExpiredLeaseIsGivenToAnotherWorker) {
  const auto coordinator = Start();
  FakeWorkers workers(backend_.exchange(), SmallRun());
  ASSERT_OK_AND_ASSIGN(const exchange::WorkUnit lost, workers.ClaimOne());

  clock_.Advance(SmallRun().lease);
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers.ClaimRound());

  EXPECT_EQ(units[0].unit, lost.unit);
  EXPECT_EQ(units[0].attempt, base::Attempt(2));
  for (const exchange::WorkUnit& unit : units) ASSERT_OK(workers.Submit(unit));
  AwaitVersion(1);
  EXPECT_EQ(coordinator->Metric("gannet_coordinator_reaped_leases_total"), "1");
}

TEST_F(CoordinatorTest, ADeposedLeaderPublishesNothingUntilItLeadsAgain) {
  const auto coordinator = Start();
  FakeWorkers workers(backend_.exchange(), SmallRun());
  ASSERT_OK(workers.PlayRounds(1, kInOrder));
  AwaitVersion(1);
  // Its own renewal may come in between.
  absl::StatusOr<exchange::Leadership> other = absl::UnknownError("");
  while (!other.ok()) {
    clock_.Advance(absl::Seconds(15));
    other = backend_.store().AcquireLeadership(workers.run(), exchange::TestLeader(2),
                                               absl::Minutes(10));
  }

  ASSERT_OK(workers.PlayRounds(1, kInOrder));
  const int refused = store_.failures("AcquireLeadership");
  ASSERT_TRUE(
      store_.AwaitUntil([&] { return store_.failures("AcquireLeadership") > refused + 2; }));
  EXPECT_EQ(Dump().weights_version, base::WeightsVersion(1));
  EXPECT_EQ(Dump().leader, exchange::TestLeader(2));
  EXPECT_EQ(coordinator->Metric("gannet_coordinator_leader"), "0");

  ASSERT_OK(backend_.store().ResignLeadership(workers.run(), *other));
  ASSERT_OK(workers.PlayRounds(kRounds - 2, kInOrder));
  ASSERT_OK(coordinator->Join());
  EXPECT_EQ(Checksums(), BaselineChecksums());
}

TEST_F(CoordinatorTest, AStandbyTakesOverWhenTheLeaderStops) {
  const auto leader = Start(1);
  FakeWorkers workers(backend_.exchange(), SmallRun());
  ASSERT_OK(workers.PlayRounds(1, kInOrder));
  const auto standby = Start(2);
  ASSERT_TRUE(store_.AwaitUntil([&] { return store_.failures("AcquireLeadership") > 0; }));

  ASSERT_OK_AND_ASSIGN(const CoordinatorReport stopped, leader->Stop());
  EXPECT_EQ(stopped.end, CoordinatorReport::End::kAskedToStop);
  ASSERT_OK(workers.PlayRounds(kRounds - 1, kInOrder));

  ASSERT_OK_AND_ASSIGN(const CoordinatorReport report, standby->Join());
  EXPECT_EQ(report.end, CoordinatorReport::End::kRunFinished);
  EXPECT_EQ(stopped.rounds_published + report.rounds_published, kRounds);
  EXPECT_EQ(Checksums(), BaselineChecksums());
}

TEST_F(CoordinatorTest, AStandbyEndsWithTheRun) {
  const auto leader = Start(1);
  FakeWorkers workers(backend_.exchange(), SmallRun());
  const auto standby = Start(2);
  ASSERT_TRUE(store_.AwaitUntil([&] { return store_.failures("AcquireLeadership") > 0; }));

  ASSERT_OK(workers.PlayRounds(kRounds, kInOrder));

  ASSERT_OK_AND_ASSIGN(const CoordinatorReport report, standby->Join());
  EXPECT_EQ(report.end, CoordinatorReport::End::kRunFinished);
  EXPECT_EQ(report.rounds_published, 0);
  EXPECT_OK(leader->Join());
}

TEST_F(CoordinatorTest, AReaderThatHoldsUpTheLastCleaningEndsNobody) {
  store_.FailBefore("ReclaimBlobs", absl::UnavailableError("a backup is reading"));
  const auto coordinator = Start();
  FakeWorkers workers(backend_.exchange(), SmallRun());
  ASSERT_OK_AND_ASSIGN(std::vector<exchange::WorkUnit> units, workers.ClaimRound());
  const base::UnitId first = units.front().unit;
  for (const exchange::WorkUnit& unit : units) ASSERT_OK(workers.Submit(unit));
  ASSERT_OK(workers.PlayRounds(kRounds - 1, kInOrder));
  EXPECT_OK(coordinator->Join());
  EXPECT_OK(store_.FetchGradient(workers.run(), first));

  ASSERT_OK_AND_ASSIGN(const CoordinatorReport report, Start()->Join());

  EXPECT_EQ(report.end, CoordinatorReport::End::kRunFinished);
  EXPECT_THAT(store_.FetchGradient(workers.run(), first),
              base::StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(CoordinatorTest, ARestartGoesOnBitForBit) {
  auto coordinator = Start(1);
  FakeWorkers workers(backend_.exchange(), SmallRun());
  ASSERT_OK(workers.PlayRounds(2, kInOrder));
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers.ClaimRound());
  ASSERT_OK(workers.Submit(units[1]));
  ASSERT_OK_AND_ASSIGN(const CoordinatorReport stopped, coordinator->Stop());
  EXPECT_EQ(stopped.end, CoordinatorReport::End::kAskedToStop);
  EXPECT_EQ(Dump().leader, base::LeaderId());

  coordinator = Start(2);
  ASSERT_OK(workers.Submit(units[2]));
  ASSERT_OK(workers.Submit(units[0]));
  ASSERT_OK(workers.PlayRounds(1, kInOrder));

  ASSERT_OK_AND_ASSIGN(const CoordinatorReport report, coordinator->Join());
  EXPECT_EQ(report.rounds_published, 2);
  EXPECT_EQ(Checksums(), BaselineChecksums());
}

TEST_F(CoordinatorTest, AUnitThatFailsForGoodPausesTheRunUntilItIsResumed) {
  const auto coordinator = Start();
  FakeWorkers workers(backend_.exchange(), SmallRun());
  for (int i = 0; i < domain::kMaxUnitFailures; ++i) {
    ASSERT_OK_AND_ASSIGN(const exchange::WorkUnit unit, workers.ClaimOne());
    ASSERT_OK(workers.Fail(unit, "cannot read cat.jpg"));
    clock_.Advance(domain::RequeueBackoff(unit.attempt, domain::RequeueCause::kFailed));
  }
  ASSERT_TRUE(store_.AwaitUntil([&] { return Dump().state == domain::RunState::kPaused; }));
  EXPECT_THAT(Dump().state_reason, HasSubstr("cannot read cat.jpg"));
  EXPECT_EQ(Dump().weights_version, base::WeightsVersion(0));

  ASSERT_OK(store_.SetRunState(workers.run(), domain::RunState::kRunning, ""));
  ASSERT_OK(workers.PlayRounds(kRounds, kInOrder));

  EXPECT_OK(coordinator->Join());
  EXPECT_EQ(Checksums(), BaselineChecksums());
}

TEST_F(CoordinatorTest, AStoppedRunEnds) {
  const auto coordinator = Start();
  FakeWorkers workers(backend_.exchange(), SmallRun());
  ASSERT_OK(workers.PlayRounds(1, kInOrder));
  AwaitVersion(1);

  ASSERT_OK(store_.SetRunState(workers.run(), domain::RunState::kStopped, "enough"));

  ASSERT_OK_AND_ASSIGN(const CoordinatorReport report, coordinator->Join());
  EXPECT_EQ(report.end, CoordinatorReport::End::kRunStopped);
  EXPECT_EQ(report.weights_version, base::WeightsVersion(1));
}

TEST_F(CoordinatorTest, APausedRunStillPublishesWhatIsComplete) {
  const auto coordinator = Start();
  FakeWorkers workers(backend_.exchange(), SmallRun());
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers.ClaimRound());
  ASSERT_OK(store_.SetRunState(workers.run(), domain::RunState::kPaused, "lunch"));
  for (const exchange::WorkUnit& unit : units) ASSERT_OK(workers.Submit(unit));

  AwaitVersion(1);

  EXPECT_EQ(Dump().state, domain::RunState::kPaused);
  ASSERT_OK(store_.SetRunState(workers.run(), domain::RunState::kRunning, ""));
  ASSERT_OK(workers.PlayRounds(kRounds - 1, kInOrder));
  EXPECT_OK(coordinator->Join());
  EXPECT_EQ(Checksums(), BaselineChecksums());
}

TEST_F(CoordinatorTest, AnotherConfigOfTheSameNameIsRefused) {
  Start()->Stop().IgnoreError();
  CoordinatorOptions options = QuickOptions(2);
  options.run.seed = 8;
  options.run.micro_batch = 4;
  RunningCoordinator coordinator(options, store_);

  EXPECT_THAT(coordinator.Join(), base::StatusIs(absl::StatusCode::kInvalidArgument,
                                                 AllOf(HasSubstr("run.seed 7 -> 8"),
                                                       HasSubstr("training.micro_batch 2 -> 4"))));
}

// An older version knew the same images by another digest.
TEST_F(CoordinatorTest, ARunOfAFormerFingerprintGoesOn) {
  Start()->Stop().IgnoreError();
  CoordinatorOptions options = QuickOptions(2);
  const std::string former = options.run.data.digest;
  options.run.data.digest = std::string(64, 'b');
  RunningCoordinator other(options, store_);
  EXPECT_THAT(other.Join(),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("data.digest")));

  options.former_data_digest = former;
  RunningCoordinator coordinator(options, store_);
  FakeWorkers workers(backend_.exchange(), SmallRun());
  ASSERT_OK(workers.PlayRounds(kRounds, kInOrder));

  ASSERT_OK_AND_ASSIGN(const CoordinatorReport report, coordinator.Join());
  EXPECT_EQ(report.end, CoordinatorReport::End::kRunFinished);
}

TEST_F(CoordinatorTest, AConfigOutOfRangeIsRefused) {
  CoordinatorOptions options = QuickOptions(1);
  options.run.micro_batch = 0;
  base::RealClock clock;
  telemetry::Metrics metrics;

  EXPECT_THAT(Coordinator::Create(options, store_, clock, telemetry::NullLogger(), metrics),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("micro_batch")));
}

TEST_F(CoordinatorTest, ADatabaseThatIsAwayAtTheStartIsWaitedFor) {
  store_.FailBefore("FindRun", absl::UnavailableError("connection refused"), 3);
  const auto coordinator = Start();
  FakeWorkers workers(backend_.exchange(), SmallRun());

  ASSERT_OK(workers.PlayRounds(kRounds, kInOrder));

  EXPECT_OK(coordinator->Join());
  EXPECT_EQ(store_.failures("FindRun"), 4);  // and one that found nothing
}

TEST_F(CoordinatorTest, AStopEndsTheWaitForTheDatabase) {
  store_.FailBefore("FindRun", absl::UnavailableError("connection refused"), 1'000'000);
  RunningCoordinator coordinator(QuickOptions(1), store_);
  ASSERT_TRUE(store_.AwaitUntil([&] { return store_.failures("FindRun") > 2; }));

  ASSERT_OK_AND_ASSIGN(const CoordinatorReport report, coordinator.Stop());

  EXPECT_EQ(report.end, CoordinatorReport::End::kAskedToStop);
}

// A restored backup, or a standby that lacked the last round, under the leader's own row: he must
// not wait for gradients of a round that the database does not know.
TEST_F(CoordinatorTest, ADatabaseThatHasGoneBackIsLoadedAgain) {
  store_.RollBackFrom(base::WeightsVersion(2));
  const auto coordinator = Start();
  FakeWorkers workers(backend_.exchange(), SmallRun());

  ASSERT_OK(workers.PlayRounds(2, kInOrder));
  ASSERT_TRUE(store_.AwaitUntil([&] { return store_.calls("LoadSnapshot") == 2; }));
  ASSERT_OK(workers.PlayRounds(kRounds - 2, kInOrder));

  EXPECT_OK(coordinator->Join());
  EXPECT_EQ(Checksums(), BaselineChecksums());
}

// It may be noticed first when room is made for a round that is too far ahead now.
TEST_F(CoordinatorTest, ADatabaseThatHasGoneBackDoesNotEndTheCoordinator) {
  CoordinatorOptions options = QuickOptions(1);
  options.term.status_interval = absl::Hours(1);  // or that look would notice it first
  const auto coordinator = Start(options);
  FakeWorkers workers(backend_.exchange(), SmallRun());
  ASSERT_OK(workers.PlayRounds(1, kInOrder));
  // That of the next round has been made: the one after it is refused.
  ASSERT_TRUE(store_.AwaitUntil([&] { return store_.calls("ReclaimOldBlobs") == 2; }));
  store_.RollBackFrom(base::WeightsVersion(2));
  store_.FailBefore("ReclaimOldBlobs",
                    absl::InvalidArgumentError("round must be one or two above"));

  ASSERT_OK(workers.PlayRounds(kRounds - 1, kInOrder));

  EXPECT_OK(coordinator->Join());
  EXPECT_EQ(store_.failures("ReclaimOldBlobs"), 1);
  EXPECT_EQ(Checksums(), BaselineChecksums());
}

// A backup from before the run was made.
TEST_F(CoordinatorTest, ARunThatIsLostIsCreatedAnew) {
  store_.FailBefore("LoadSnapshot", absl::NotFoundError("no such run"));
  const auto coordinator = Start();
  FakeWorkers workers(backend_.exchange(), SmallRun());

  ASSERT_OK(workers.PlayRounds(kRounds, kInOrder));

  EXPECT_OK(coordinator->Join());
  EXPECT_EQ(store_.calls("FindRun"), 2);  // none, so one was created; and the same again
  EXPECT_EQ(Checksums(), BaselineChecksums());
}

TEST_F(CoordinatorTest, ACreationWhoseAnswerWasLostIsFound) {
  store_.LoseAnswer("CreateRun", absl::UnknownError("commit in doubt"));
  const auto coordinator = Start();
  FakeWorkers workers(backend_.exchange(), SmallRun());

  ASSERT_OK(workers.PlayRounds(kRounds, kInOrder));

  EXPECT_OK(coordinator->Join());
  EXPECT_EQ(store_.calls("CreateRun"), 1);
}

TEST_F(CoordinatorTest, APublicationWhoseAnswerWasLostIsNotRepeated) {
  store_.LoseAnswer("Publish", absl::UnknownError("commit in doubt"));
  const auto coordinator = Start();
  FakeWorkers workers(backend_.exchange(), SmallRun());

  ASSERT_OK(workers.PlayRounds(kRounds, kInOrder));

  ASSERT_OK_AND_ASSIGN(const CoordinatorReport report, coordinator->Join());
  EXPECT_EQ(report.rounds_published, kRounds);
  EXPECT_EQ(store_.calls("Publish"), kRounds);
  EXPECT_EQ(store_.calls("LoadSnapshot"), 1);
  EXPECT_EQ(Checksums(), BaselineChecksums());
}

TEST_F(CoordinatorTest, APublicationThatNeverArrivedIsRepeated) {
  store_.FailBefore("Publish", absl::UnavailableError("connection lost"), 2);
  const auto coordinator = Start();
  FakeWorkers workers(backend_.exchange(), SmallRun());

  ASSERT_OK(workers.PlayRounds(kRounds, kInOrder));

  ASSERT_OK(coordinator->Join());
  EXPECT_EQ(store_.calls("Publish"), kRounds + 2);
  EXPECT_EQ(store_.calls("LoadSnapshot"), 1);
  EXPECT_EQ(Checksums(), BaselineChecksums());
}

TEST_F(CoordinatorTest, AnAbortedPublicationLoadsAnew) {
  store_.FailBefore("Publish", absl::AbortedError("another version is published"), 1);
  const auto coordinator = Start();
  FakeWorkers workers(backend_.exchange(), SmallRun());

  ASSERT_OK(workers.PlayRounds(kRounds, kInOrder));

  ASSERT_OK(coordinator->Join());
  EXPECT_EQ(store_.calls("LoadSnapshot"), 2);
  EXPECT_EQ(Checksums(), BaselineChecksums());
}

TEST_F(CoordinatorTest, FailuresOfEveryCallChangeNoBit) {
  const auto coordinator = Start();
  FakeWorkers workers(backend_.exchange(), SmallRun());
  for (const char* method : {"GetRunStatus", "GetRoundProgress", "FetchGradient", "Publish",
                             "ReapExpiredLeases", "ReclaimOldBlobs", "AcquireLeadership"}) {
    store_.FailBefore(method, absl::UnavailableError("gone"), 3);
  }
  ASSERT_OK(workers.PlayRounds(2, {1, 2, 0}));
  for (const char* method : {"GetRunStatus", "GetRoundProgress", "FetchGradient", "Publish",
                             "ReapExpiredLeases", "ReclaimOldBlobs"}) {
    store_.LoseAnswer(method, absl::UnknownError("lost"));
  }
  ASSERT_OK(workers.PlayRounds(kRounds - 2, {2, 1, 0}));

  ASSERT_OK(coordinator->Join());
  EXPECT_EQ(Checksums(), BaselineChecksums());
}

// Moments below zero, whose root is no number: as if the training had diverged long ago.
exchange::NewRun RunThatDiverges(const domain::RunConfig& config) {
  exchange::NewRun run = exchange::TestNewRun(config);
  run.adam_state = exchange::TestAdamState(config, -1.0F);
  return run;
}

TEST_F(CoordinatorTest, ADivergedTrainingIsPausedAndNotPublished) {
  ASSERT_OK(store_.CreateRun(RunThatDiverges(SmallRun())));
  const auto coordinator = Start();
  FakeWorkers workers(backend_.exchange(), SmallRun());
  ASSERT_OK(workers.PlayRounds(1, kInOrder));

  ASSERT_TRUE(store_.AwaitUntil([&] { return Dump().state == domain::RunState::kPaused; }));

  EXPECT_THAT(Dump().state_reason, AllOf(HasSubstr("diverged"), HasSubstr("smaller learning rate"),
                                         HasSubstr("came from worker 0000")));
  EXPECT_THAT(Dump().state_reason, Not(HasSubstr("gannet workers remove")))
      << "no gradient stands out";
  EXPECT_EQ(Dump().weights_version, base::WeightsVersion(0));
  ASSERT_OK(store_.SetRunState(workers.run(), domain::RunState::kStopped, "diverged"));
  ASSERT_OK_AND_ASSIGN(const CoordinatorReport report, coordinator->Join());
  EXPECT_EQ(report.end, CoordinatorReport::End::kRunStopped);
}

TEST_F(CoordinatorTest, WhoseGradientStandsOutInADivergedRoundIsNamedAndCanBeSentAway) {
  ASSERT_OK(store_.CreateRun(RunThatDiverges(SmallRun())));
  const auto coordinator = Start();
  FakeWorkers workers(backend_.exchange(), SmallRun());
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers.ClaimRound());
  for (const exchange::WorkUnit& unit : units) {
    tensor::TensorBundle gradient = FakeGradient(SmallRun(), unit.round, unit.slot);
    if (unit.slot == base::Slot(2)) gradient.mutable_tensors()[0].mutable_f32()[0] = 1000.0F;
    ASSERT_OK(workers.Submit(unit, gradient));
  }
  ASSERT_TRUE(store_.AwaitUntil([&] { return Dump().state == domain::RunState::kPaused; }));
  const base::WorkerId suspect = workers.HolderOf(units[2]).id;
  EXPECT_THAT(
      Dump().state_reason,
      AllOf(HasSubstr("gannet workers remove"), HasSubstr(suspect.value()), HasSubstr("1000"),
            HasSubstr("slot 2"), HasSubstr(absl::StrCat(units[2].unit.value()))));

  ASSERT_OK(store_.RemoveWorker(workers.run(), suspect, "its gradients are absurd"));
  ASSERT_OK(store_.SetRunState(workers.run(), domain::RunState::kRunning, ""));

  const exchange::RunDump dump = Dump();
  for (const exchange::UnitDump& unit : dump.units) {
    const bool was_its =
        workers.HolderOf(units[static_cast<size_t>(unit.slot.value())]).id == suspect;
    EXPECT_EQ(unit.state, was_its ? domain::UnitState::kReady : domain::UnitState::kDone)
        << unit.slot;
  }
  ASSERT_OK(coordinator->Stop());
}

TEST_F(CoordinatorTest, ALossThatAnOlderVersionStoredEndsNoCoordinator) {
  const auto coordinator = Start();
  FakeWorkers workers(backend_.exchange(), SmallRun());
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers.ClaimRound());
  store_.ChangeProgress([](exchange::RoundProgress& progress) {
    for (exchange::GradientInfo& info : progress.gradients) {
      if (info.attempt == base::Attempt(1) && info.slot == base::Slot(1)) {
        info.stats.discriminator_loss = 1e308;
      }
    }
  });
  for (const exchange::WorkUnit& unit : units) ASSERT_OK(workers.Submit(unit));

  workers.SkipTurn();
  ASSERT_OK_AND_ASSIGN(const exchange::WorkUnit again, workers.ClaimOne());
  EXPECT_EQ(again.unit, units[1].unit);
  ASSERT_OK(workers.Submit(again));
  store_.ChangeProgress(nullptr);
  ASSERT_OK(workers.PlayRounds(kRounds - 1, kInOrder));

  ASSERT_OK(coordinator->Join());
  EXPECT_EQ(Checksums(), BaselineChecksums());
}

TEST_F(CoordinatorTest, EveryNthVersionAndTheLastAreKept) {
  store_.FailBefore("ReclaimBlobs", absl::UnavailableError("to see what is there before the end"));
  CoordinatorOptions options = QuickOptions(1);
  options.term.keep_every = 3;
  const auto coordinator = Start(options);
  FakeWorkers workers(backend_.exchange(), SmallRun());
  ASSERT_OK(workers.PlayRounds(kRounds, kInOrder));
  ASSERT_OK(coordinator->Join());

  std::vector<std::pair<int64_t, bool>> kept;
  for (const exchange::WeightsDump& weights : Dump().weights) {
    kept.emplace_back(weights.version.value(), weights.keep);
  }
  EXPECT_THAT(kept, ElementsAre(Pair(0, false), Pair(1, false), Pair(2, false), Pair(3, true),
                                Pair(4, true)));
}

TEST_F(CoordinatorTest, GradientsOfRoundsLongGoneMakeRoom) {
  store_.FailBefore("ReclaimBlobs", absl::UnavailableError("to see what is there before the end"));
  CoordinatorOptions options = QuickOptions(1);
  options.run.round_count = int64_t{2} * exchange::kBlobRing;
  const auto coordinator = Start(options);
  FakeWorkers workers(backend_.exchange(), options.run);
  ASSERT_OK(workers.PlayRounds(2 * exchange::kBlobRing, kInOrder));
  ASSERT_OK(coordinator->Join());

  for (const exchange::UnitDump& unit : Dump().units) {
    ASSERT_TRUE(unit.gradient.has_value());
    EXPECT_EQ(unit.gradient->has_bytes, unit.round.value() > exchange::kBlobRing) << unit.round;
    EXPECT_TRUE(unit.consumed);
  }
}

class CoordinatorOutputTest : public CoordinatorTest {
 protected:
  CoordinatorOutputTest()
      : folder_(::testing::TempDir() + "/coordinator_output_" +
                ::testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::remove_all(folder_);
  }
  ~CoordinatorOutputTest() override { std::filesystem::remove_all(folder_); }

  CoordinatorOptions OptionsWithOutput(int leader) {
    CoordinatorOptions options = QuickOptions(leader);
    options.output = RunOutputOptions{
        .directory = folder_, .sample_every = 2, .sample_count = 4, .checkpoint_every = 3};
    return options;
  }

  std::string Contents(const std::string& name) {
    std::ifstream file(folder_ + "/" + name, std::ios::binary);
    std::stringstream bytes;
    bytes << file.rdbuf();
    return bytes.str();
  }

  const std::string folder_;
};

TEST_F(CoordinatorOutputTest, AFinishedRunLeavesWeightsHistoryAndSamples) {
  const auto coordinator = Start(OptionsWithOutput(1));
  FakeWorkers workers(backend_.exchange(), SmallRun());
  ASSERT_OK(workers.PlayRounds(kRounds, kInOrder));
  ASSERT_OK(coordinator->Join());

  ASSERT_OK_AND_ASSIGN(const tensor::TensorBundle weights,
                       tensor::DecodeSafetensors(Contents("weights.safetensors")));
  EXPECT_OK(weights.CheckSpec(domain::WeightsSpec(SmallRun().model)));
  ASSERT_OK_AND_ASSIGN(const tensor::TensorBundle generator,
                       tensor::DecodeSafetensors(Contents("generator.safetensors")));
  EXPECT_NE(generator.Find("main.0.weight"), nullptr);
  EXPECT_NE(generator.Find("main.1.running_mean"), nullptr);
  EXPECT_EQ(generator.Find("main.0.weight")->bytes, weights.Find("generator.main.0.weight")->bytes);
  for (const tensor::Tensor& tensor : generator.tensors()) {
    EXPECT_THAT(tensor.spec.name, ::testing::StartsWith("main."));
  }
  const std::vector<std::string> lines = absl::StrSplit(Contents("metrics.csv"), '\n');
  ASSERT_EQ(lines.size(), static_cast<size_t>(kRounds) + 2);
  EXPECT_THAT(lines[1], ::testing::StartsWith("1,0,3,12,1.25,1,"));
  EXPECT_THAT(lines[4], ::testing::StartsWith("4,0,3,12,1.25,4,"));
  EXPECT_THAT(Contents("samples/round_000000.png"), ::testing::StartsWith("\x89PNG"));
  EXPECT_THAT(Contents("samples/round_000004.png"), ::testing::StartsWith("\x89PNG"));
  EXPECT_EQ(Contents("samples/latest.png"), Contents("samples/round_000004.png"));
  EXPECT_NE(Contents("samples/round_000000.png"), Contents("samples/round_000004.png"));
  EXPECT_THAT(coordinator->view().latest_sample_path, ::testing::EndsWith("round_000004.png"));
}

TEST_F(CoordinatorOutputTest, QualityIsMeasuredFromTheFirstWeightsToTheLast) {
  CoordinatorOptions options = OptionsWithOutput(1);
  options.output->evaluate_every = 2;
  ASSERT_OK_AND_ASSIGN(
      quality::ReferenceImages reference,
      quality::ReadReferenceImages({.kind = "procedural", .path = "", .image_size = 32}, 8, 0));
  options.output->reference = std::make_shared<quality::ReferenceImages>(std::move(reference));
  const auto coordinator = Start(options);
  FakeWorkers workers(backend_.exchange(), SmallRun());
  ASSERT_OK(workers.PlayRounds(kRounds, kInOrder));
  ASSERT_OK(coordinator->Join());

  const std::vector<std::string> lines =
      absl::StrSplit(Contents("quality.csv"), '\n', absl::SkipEmpty());
  ASSERT_GE(lines.size(), 3u);
  EXPECT_EQ(lines[0], "round,distance");
  EXPECT_THAT(lines[1], ::testing::StartsWith("0,"));
  EXPECT_THAT(lines.back(), ::testing::StartsWith(absl::StrCat(kRounds, ",")));
  ASSERT_OK_AND_ASSIGN(const checkpoint::Checkpoint best,
                       checkpoint::ReadCheckpointFile(folder_ + "/checkpoints/best.safetensors"));
  ASSERT_OK_AND_ASSIGN(const exchange::RunStatus status, backend_.store().FindRun(SmallRun().name));
  ASSERT_TRUE(status.best.has_value());
  EXPECT_EQ(status.best->version, best.version);
  ASSERT_OK_AND_ASSIGN(const exchange::Store::BestSnapshot stored,
                       backend_.store().LoadBest(status.run));
  EXPECT_EQ(*stored.weights.bytes, *EncodeBundle(best.weights, tensor::Codec::kFp32));
}

TEST_F(CoordinatorOutputTest, ARestartAfterTheEndWritesTheResultsAgain) {
  auto coordinator = Start(1);  // without output, as if it had died before writing
  FakeWorkers workers(backend_.exchange(), SmallRun());
  ASSERT_OK(workers.PlayRounds(kRounds, kInOrder));
  ASSERT_OK(coordinator->Join());

  RunningCoordinator again(OptionsWithOutput(2), store_);
  ASSERT_OK_AND_ASSIGN(const CoordinatorReport report, again.Join());

  EXPECT_EQ(report.end, CoordinatorReport::End::kRunFinished);
  EXPECT_EQ(report.rounds_published, 0);
  EXPECT_OK(tensor::DecodeSafetensors(Contents("weights.safetensors")));
  const std::vector<std::string> lines = absl::StrSplit(Contents("metrics.csv"), '\n');
  EXPECT_EQ(lines.size(), static_cast<size_t>(kRounds) + 2);
  EXPECT_THAT(Contents("samples/latest.png"), ::testing::StartsWith("\x89PNG"));
}

TEST_F(CoordinatorOutputTest, AHistoryIsCompleteAfterARestart) {
  auto coordinator = Start(OptionsWithOutput(1));
  FakeWorkers workers(backend_.exchange(), SmallRun());
  ASSERT_OK(workers.PlayRounds(2, kInOrder));
  AwaitVersion(2);
  ASSERT_OK(coordinator->Stop());
  coordinator = Start(OptionsWithOutput(2));
  ASSERT_OK(workers.PlayRounds(2, kInOrder));
  ASSERT_OK(coordinator->Join());

  std::vector<std::string> rounds;
  for (const auto line : absl::StrSplit(Contents("metrics.csv"), '\n')) {
    rounds.push_back(std::vector<std::string>(absl::StrSplit(line, ','))[0]);
  }
  EXPECT_THAT(rounds, ElementsAre("round", "1", "2", "3", "4", ""));
}

TEST_F(CoordinatorOutputTest, AFolderThatCannotBeMadeIsRefused) {
  CoordinatorOptions options = OptionsWithOutput(1);
  options.output->directory = "/proc/nothing/here";
  base::RealClock clock;
  telemetry::Metrics metrics;

  EXPECT_THAT(Coordinator::Create(options, store_, clock, telemetry::NullLogger(), metrics),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("output_dir")));
}

TEST_F(CoordinatorTest, AQuorumEndsARoundAndWhoComesLateIsRefused) {
  CoordinatorOptions options = QuickOptions(1);
  options.run.policy.quorum = 2;
  const auto coordinator = Start(options);
  FakeWorkers workers(backend_.exchange(), options.run);
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers.ClaimRound());
  ASSERT_OK(workers.Submit(units[2]));
  ASSERT_OK(workers.Submit(units[0]));

  AwaitVersion(1);

  EXPECT_THAT(workers.Submit(units[1]), base::IsOkAndHolds(domain::SubmitOutcome::kClosed));
  const exchange::RunDump dump = Dump();
  EXPECT_EQ(dump.rounds[0].gradient_count, 2);
  EXPECT_EQ(coordinator->Metric("gannet_coordinator_early_rounds_total"), "1");
}

TEST_F(CoordinatorTest, WhereStaleWorkCountsItIsTakenInTheNextRound) {
  CoordinatorOptions options = QuickOptions(2);
  options.run.policy = {.quorum = 2, .stale_weight = 0.5};
  options.run.round_count = 2;
  const auto coordinator = Start(options);
  FakeWorkers workers(backend_.exchange(), options.run);
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, workers.ClaimRound());
  for (const size_t slot : {2u, 0u}) ASSERT_OK(workers.Submit(units[slot]));
  AwaitVersion(1);
  EXPECT_THAT(workers.Submit(units[1]), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> next, workers.ClaimRound());
  for (const size_t slot : {1u, 2u}) ASSERT_OK(workers.Submit(next[slot]));
  ASSERT_OK(coordinator->Join());

  const exchange::RunDump dump = Dump();
  EXPECT_EQ(dump.rounds[0].gradient_count, 2);
  EXPECT_EQ(dump.rounds[1].gradient_count, 3);
  EXPECT_EQ(coordinator->Metric("gannet_coordinator_stale_gradients_total"), "1");
  for (const exchange::WorkerDump& worker : dump.workers) EXPECT_EQ(worker.wasted_image_count, 0);
  EXPECT_THAT(workers.Submit(next[0]), base::IsOkAndHolds(domain::SubmitOutcome::kClosed))
      << "the last round takes nothing along";
}

TEST_F(CoordinatorTest, UntilTheDeadlineARoundWaitsForAllAndThenNothingIsDifferent) {
  CoordinatorOptions options = QuickOptions(1);
  options.run.policy = {.quorum = 1, .round_deadline = absl::Hours(1)};
  const auto coordinator = Start(options);
  FakeWorkers workers(backend_.exchange(), options.run);
  ASSERT_OK(workers.PlayRounds(kRounds, {1, 0, 2}));
  ASSERT_OK(coordinator->Join());

  EXPECT_EQ(Checksums(), BaselineChecksums());
}

TEST_F(CoordinatorTest, ChangedSettingsAreTakenUpFromTheirRoundOn) {
  const auto coordinator = Start();
  FakeWorkers workers(backend_.exchange(), SmallRun());
  ASSERT_OK(workers.PlayRounds(1, kInOrder));
  AwaitVersion(1);
  domain::RunConfig changed = SmallRun();
  changed.images_per_unit = 2;
  changed.round_count = 3;
  ASSERT_OK_AND_ASSIGN(const base::Round from,
                       backend_.store().ChangeSettings(workers.run(), changed, "less"));
  EXPECT_EQ(from, base::Round(3));

  ASSERT_OK(workers.PlayRounds(1, kInOrder));
  ASSERT_OK_AND_ASSIGN(const domain::RunConfig expected,
                       domain::ChangeConfig(SmallRun(), SmallRun(), changed, 3));
  FakeWorkers later(backend_.exchange(), expected, 2);
  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::WorkUnit> units, later.ClaimRound());
  const std::vector<domain::PlannedUnit> plan = domain::RoundPlanner(expected).Plan(base::Round(3));
  for (size_t i = 0; i < units.size(); ++i) {
    EXPECT_EQ(units[i].image_indices, plan[i].image_indices);
    ASSERT_OK(later.Submit(units[i]));
  }
  ASSERT_OK_AND_ASSIGN(const CoordinatorReport report, coordinator->Join());
  EXPECT_EQ(report.end, CoordinatorReport::End::kRunFinished);
  EXPECT_EQ(report.weights_version, base::WeightsVersion(3)) << "the new last round";
  EXPECT_EQ(Dump().rounds.back().image_count, 6);
}

TEST_F(CoordinatorTest, ARestartFindsARunWhoseSettingsWereChanged) {
  {
    const auto coordinator = Start();
    domain::RunConfig changed = SmallRun();
    changed.adam.learning_rate = 1e-5;
    const absl::StatusOr<exchange::RunStatus> status = backend_.store().FindRun(SmallRun().name);
    ASSERT_OK(backend_.store().ChangeSettings(status->run, changed, ""));
    ASSERT_OK(coordinator->Stop());
  }
  {
    const auto with_the_old_file = Start();
    ASSERT_OK(with_the_old_file->Stop());
  }
  CoordinatorOptions options = QuickOptions(2);
  options.run.adam.learning_rate = 1e-5;
  const auto with_the_new_file = Start(options);
  ASSERT_OK(with_the_new_file->Stop());
}

TEST_F(CoordinatorTest, ARestartWithOtherSettingsGoesOnWithThoseOfTheRunWhereTheyMayChange) {
  ASSERT_OK(Start()->Stop());
  CoordinatorOptions options = QuickOptions(2);
  options.run.units_per_round += 1;
  options.run.adam.learning_rate = 1e-5;
  ASSERT_OK(Start(options)->Stop());
  const absl::StatusOr<exchange::RunStatus> status = backend_.store().FindRun(SmallRun().name);
  EXPECT_EQ(status->next_config, SmallRun());

  options.run.seed += 1;
  RunningCoordinator coordinator(options, store_);
  EXPECT_THAT(coordinator.Join(),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("seed")));
}

TEST_F(CoordinatorTest, ARunThatHasEndedTellsThatOtherSettingsNeedAnotherName) {
  {
    const auto coordinator = Start();
    FakeWorkers workers(backend_.exchange(), SmallRun());
    ASSERT_OK(workers.PlayRounds(kRounds, kInOrder));
    ASSERT_OK(coordinator->Join());
  }
  CoordinatorOptions options = QuickOptions(2);
  options.run.round_count = kRounds + 6;
  base::RealClock clock;
  telemetry::Metrics metrics;
  ::testing::internal::CaptureStderr();
  {
    telemetry::Logger log("coordinator", telemetry::LogOptions());
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Coordinator> again,
                         Coordinator::Create(options, store_, clock, log, metrics));
    ASSERT_OK(again->Run());
    log.Flush();
  }
  const std::string text = ::testing::internal::GetCapturedStderr();

  EXPECT_THAT(text, AllOf(HasSubstr("has ended: other settings need another run.name"),
                          HasSubstr("run.rounds 4 -> 10")));
}

}  // namespace
}  // namespace gannet::coordinator
