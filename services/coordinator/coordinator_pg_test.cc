// The coordinator over a real PostgreSQL: ends where it ends over memory, bit for bit, whatever
// happens to the server meanwhile.
#include <memory>
#include <thread>

#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/memory_backend.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/store/pg_backend.h"
#include "libs/store/testing/test_postgres.h"
#include "services/coordinator/coordinator.h"
#include "services/coordinator/testing/fake_workers.h"

namespace gannet::coordinator {
namespace {

constexpr int kRounds = 12;  // more than the ring of blobs has places
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
  options.standby_interval = absl::Milliseconds(20);
  options.term.change_wait_max = absl::Milliseconds(50);
  options.term.backoff = {absl::Milliseconds(5), absl::Milliseconds(50), 2.0};
  return options;
}

// A coordinator in a thread of its own, until its run ends.
class RunningCoordinator {
 public:
  RunningCoordinator(int leader, exchange::Store& store)
      : coordinator_(*Coordinator::Create(QuickOptions(leader), store, clock_,
                                          telemetry::NullLogger(), metrics_)),
        thread_([this] { report_ = coordinator_->Run(); }) {}
  ~RunningCoordinator() {
    if (thread_.joinable()) Stop().IgnoreError();
  }

  absl::Status Join() {
    thread_.join();
    return report_.status();
  }
  absl::Status Stop() {
    coordinator_->RequestStop();
    return Join();
  }

 private:
  base::RealClock clock_;
  telemetry::Metrics metrics_;
  std::unique_ptr<Coordinator> coordinator_;
  absl::StatusOr<CoordinatorReport> report_ = absl::UnknownError("not run");
  std::thread thread_;
};

// Waits until the run exists, because workers join it by name.
void AwaitRun(exchange::Store& store) {
  base::RealClock clock;
  const absl::Duration end = clock.Steady() + absl::Minutes(1);
  absl::StatusOr<exchange::RunStatus> run = store.FindRun(SmallRun().name);
  while (!run.ok() && clock.Steady() < end) {
    store.AwaitChange(base::RunId(1), absl::Milliseconds(20));
    run = store.FindRun(SmallRun().name);
  }
  ASSERT_OK(run);
}

// Hands in unit after unit, until no more come: the run has ended.
void PlayUntilEnd(FakeWorkers& workers) {
  absl::StatusOr<exchange::WorkUnit> unit = workers.ClaimOne();
  for (; unit.ok(); unit = workers.ClaimOne()) ASSERT_OK(workers.Submit(*unit));
}

std::pair<std::string, std::string> ChecksumsOf(exchange::Store& store) {
  const absl::StatusOr<exchange::RunStatus> run = store.FindRun(SmallRun().name);
  EXPECT_OK(run);
  const absl::StatusOr<exchange::Store::Snapshot> snapshot = store.LoadSnapshot(run->run);
  EXPECT_OK(snapshot);
  EXPECT_EQ(snapshot->version, base::WeightsVersion(kRounds));
  return {snapshot->weights.sha256, snapshot->adam_state.sha256};
}

// What the run ends with over memory.
std::pair<std::string, std::string> ChecksumsOverMemory() {
  base::RealClock clock;
  exchange::MemoryBackend backend(clock);
  RunningCoordinator coordinator(1, backend.store());
  AwaitRun(backend.store());
  FakeWorkers workers(backend.exchange(), SmallRun());
  EXPECT_OK(workers.PlayRounds(kRounds, kInOrder));
  EXPECT_OK(coordinator.Join());
  return ChecksumsOf(backend.store());
}

class CoordinatorPgTest : public ::testing::Test {
 protected:
  CoordinatorPgTest() : url_(store::TestPostgres::Get().CreateDatabase()) {
    store::PgBackendOptions options;
    options.url = url_;
    options.application_name = "coordinator test";
    backend_ = *store::PgBackend::Create(options, telemetry::NullLogger(), metrics_);
  }
  ~CoordinatorPgTest() override {
    backend_.reset();
    store::TestPostgres::Get().DropDatabase(url_);
  }

  exchange::Store& store() { return backend_->store(); }

  const std::string url_;
  telemetry::Metrics metrics_;
  std::unique_ptr<store::PgBackend> backend_;
};

TEST_F(CoordinatorPgTest, EndsWithTheSameBitsAsOverMemory) {
  RunningCoordinator coordinator(1, store());
  AwaitRun(store());
  FakeWorkers workers(backend_->exchange(), SmallRun());
  ASSERT_OK(workers.PlayRounds(kRounds, {2, 0, 1}));

  ASSERT_OK(coordinator.Join());

  EXPECT_EQ(store().FindRun(SmallRun().name)->state, domain::RunState::kFinished);
  EXPECT_EQ(ChecksumsOf(store()), ChecksumsOverMemory());
}

TEST_F(CoordinatorPgTest, ASuccessorGoesOnBitForBit) {
  {
    RunningCoordinator first(1, store());
    AwaitRun(store());
    FakeWorkers workers(backend_->exchange(), SmallRun());
    ASSERT_OK(workers.PlayRounds(5, kInOrder));
    ASSERT_OK(first.Stop());
  }
  RunningCoordinator second(2, store());
  FakeWorkers workers(backend_->exchange(), SmallRun(), 2);
  PlayUntilEnd(workers);

  ASSERT_OK(second.Join());

  EXPECT_EQ(ChecksumsOf(store()), ChecksumsOverMemory());
}

TEST_F(CoordinatorPgTest, ACrashOfTheServerChangesNoBit) {
  RunningCoordinator coordinator(1, store());
  AwaitRun(store());
  FakeWorkers workers(backend_->exchange(), SmallRun());
  ASSERT_OK(workers.PlayRounds(4, kInOrder));

  // While the fourth round may be on its way out.
  store::TestPostgres::Get().Stop(store::TestPostgres::StopMode::kImmediate);
  store::TestPostgres::Get().Start();
  // Without synchronous commits a crash may even lose what was accepted last: it is computed again.
  base::RealClock clock;
  const absl::Duration end = clock.Steady() + absl::Minutes(1);
  while (!backend_->Ping().ok() && clock.Steady() < end) {
    store().AwaitChange(workers.run(), absl::Milliseconds(20));
  }
  FakeWorkers again(backend_->exchange(), SmallRun(), 2);
  PlayUntilEnd(again);

  ASSERT_OK(coordinator.Join());
  EXPECT_EQ(ChecksumsOf(store()), ChecksumsOverMemory());
}

}  // namespace
}  // namespace gannet::coordinator
