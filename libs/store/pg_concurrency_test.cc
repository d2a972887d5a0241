#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/clock.h"
#include "libs/base/hex.h"
#include "libs/base/mutex.h"
#include "libs/base/philox.h"
#include "libs/base/status_macros.h"
#include "libs/base/testing/child_process.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/pg/connection_params.h"
#include "libs/pg/pg_pool.h"
#include "libs/store/testing/pg_fixture.h"
#include "libs/store/testing/test_postgres.h"
#include "libs/telemetry/metrics.h"

namespace gannet {
namespace {

constexpr int kWorkers = 8;
constexpr int kRounds = 12;
constexpr int kUnitsPerRound = 10;

// Whether a round waits for all of its units, or leaves half of them to later rounds.
enum class Waits { kForAll, kForHalf };

// Workers that die, come back under a new incarnation, hand units in late, twice or under a lease
// that was taken from them, while a coordinator reaps and publishes. Some gradients are large
// enough to be sent in pieces.
class Storm {
 public:
  explicit Storm(uint64_t seed, Waits waits = Waits::kForAll) : seed_(seed), waits_(waits) {
    config_.units_per_round = kUnitsPerRound;
    config_.images_per_unit = 2;
  }

  void Run() {
    ASSERT_OK_AND_ASSIGN(run_, backend_.store().CreateRun(TestNewRun(config_)));
    ASSERT_OK_AND_ASSIGN(leadership_,
                         backend_.store().AcquireLeadership(run_, TestLeader(1), absl::Hours(1)));
    std::vector<std::thread> workers;
    workers.reserve(kWorkers);
    for (int i = 0; i < kWorkers; ++i) workers.emplace_back([this, i] { Work(i); });
    std::thread administrator([this] { Administrate(); });
    Coordinate();
    done_ = true;
    administrator.join();
    for (std::thread& worker : workers) worker.join();
  }

  // Of every slot, how often a gradient was received with an outcome that keeps it.
  std::map<std::pair<Round, Slot>, int> kept() {
    MutexLock lock(mu_);
    return kept_;
  }

  int changes() const { return changes_; }

  RunDump Dump() { return backend_.Dump(run_); }

 private:
  void Coordinate() {
    Store& store = backend_.store();
    for (int64_t version = 0; version < kRounds; ++version) {
      const Round round(version + 1);
      EXPECT_OK(store.PrepareRound(run_, leadership_, Round(version + 2)));
      while (true) {
        absl::StatusOr<RoundProgress> progress = store.GetRoundProgress(run_, round);
        ASSERT_OK(progress);
        const int enough = waits_ == Waits::kForAll ? kUnitsPerRound : kUnitsPerRound / 2;
        if (progress->gradients.size() >= static_cast<size_t>(enough)) {
          PublishRequest request = TestPublish(config_, run_, leadership_, WeightsVersion(version));
          for (const auto* gradients : {&progress->gradients, &progress->stale}) {
            for (const GradientInfo& gradient : *gradients) {
              // Not whole: DATA_LOSS.
              absl::StatusOr<Payload> payload = store.FetchGradient(run_, gradient.unit);
              EXPECT_OK(payload);
              request.consumed.push_back(gradient.unit);
            }
          }
          request.finished = version + 1 == kRounds;
          if (waits_ == Waits::kForHalf && !request.finished) {
            request.max_stale_rounds = kMaxStaleRounds;
          }
          if (request.finished) request.next_units.clear();
          Publish(request);
          break;
        }
        // Leases run out in the middle of everything.
        backend_.AdvanceTime(config_.lease / (waits_ == Waits::kForAll ? 4 : 100));
        EXPECT_OK(store.ReapExpiredLeases(run_, leadership_));
        store.AwaitChange(run_, absl::Milliseconds(20));
      }
    }
  }

  // The settings may change while the request is made.
  void Publish(PublishRequest& request) {
    absl::Status published;
    do {
      const absl::StatusOr<RunStatus> status = backend_.store().GetRunStatus(run_);
      ASSERT_OK(status);
      request.settings_version = status->settings_version;
      published = backend_.store().Publish(request);
    } while (absl::IsAborted(published));
    ASSERT_OK(published);
  }

  // Changes a setting again and again, whatever is published.
  void Administrate() {
    PhiloxStream random(seed_, RandomPurpose::kDataOrder, 2, 0);
    RunConfig config = config_;
    while (true) {
      config.adam.learning_rate = config.adam.learning_rate > 1e-3 ? 1e-4 : 2e-3;
      const absl::StatusOr<Round> from =
          backend_.store().ChangeSettings(run_, config, "to and fro");
      if (absl::IsFailedPrecondition(from.status())) return;  // the run has ended
      ASSERT_OK(from);
      ++changes_;
      // Without a pause no plan would be up to date long enough to be published.
      std::this_thread::sleep_for(std::chrono::milliseconds(random.NextBelow(20)));
    }
  }

  void Work(int index) {
    PhiloxStream random(seed_, RandomPurpose::kDataOrder, 1, static_cast<uint64_t>(index));
    Exchange& exchange = backend_.exchange();
    WorkerIdentity self = TestWorker(index + 1);
    ASSERT_OK(exchange.Join(TestJoin(self, config_)));
    std::optional<WorkUnit> slow;
    while (!done_) {
      if (slow.has_value() && IsPublished(slow->round)) {
        Submit(TestSubmit(config_, self, *slow, 1.0f), {slow->round, slow->slot});
        slow.reset();
      }
      const absl::StatusOr<ClaimResult> claimed =
          exchange.Claim({self, run_, RandomHex(16), absl::Milliseconds(50)});
      if (absl::IsResourceExhausted(claimed.status())) {
        // Two leases of units forgotten below are held: start anew, as a worker that crashed does.
        self.incarnation = Incarnation(self.incarnation.value() + 1);
        EXPECT_OK(exchange.Join(TestJoin(self, config_)));
        continue;
      }
      ASSERT_OK(claimed);
      if (HasEnded(claimed->state)) return;
      if (!claimed->unit.has_value()) continue;
      const WorkUnit& unit = *claimed->unit;
      const std::pair<Round, Slot> place(unit.round, unit.slot);
      SubmitRequest submission = TestSubmit(config_, self, unit, 1.0f);
      if (random.NextBelow(4) == 0) {
        submission.payload = Payload::FromBytes(Codec::kFp32, std::string(300'000, 'x'));
      }
      switch (random.NextBelow(8)) {
        case 0:  // forgets the unit, or hands it in when its round is over
          if (waits_ == Waits::kForHalf && !slow.has_value()) slow = unit;
          break;
        case 1:
          EXPECT_OK(exchange.Release(self, run_, unit.unit, unit.attempt));
          if (random.NextBelow(2) == 0) Submit(submission, place);
          break;
        case 2:
          EXPECT_OK(exchange.Heartbeat(self, run_, {{unit.unit, unit.attempt, 1}}));
          Submit(submission, place);
          Submit(submission, place);
          break;
        case 3:  // everybody's time runs out first
          if (waits_ == Waits::kForAll) backend_.AdvanceTime(config_.lease);
          Submit(submission, place);
          break;
        default:
          Submit(submission, place);
      }
    }
  }

  bool IsPublished(Round round) {
    const absl::StatusOr<RunStatus> status = backend_.store().GetRunStatus(run_);
    return status.ok() && status->weights_version.value() >= round.value();
  }

  void Submit(const SubmitRequest& submission, const std::pair<Round, Slot>& place) {
    const absl::StatusOr<SubmitOutcome> outcome = backend_.exchange().Submit(submission);
    ASSERT_OK(outcome);
    if (*outcome != SubmitOutcome::kAccepted && *outcome != SubmitOutcome::kLate) return;
    MutexLock lock(mu_);
    ++kept_[place];
  }

  const uint64_t seed_;
  const Waits waits_;
  PgFixture backend_;
  RunConfig config_ = TinyRunConfig();
  RunId run_;
  Leadership leadership_;
  std::atomic<bool> done_{false};
  std::atomic<int> changes_{0};
  Mutex mu_;
  std::map<std::pair<Round, Slot>, int> kept_ ABSL_GUARDED_BY(mu_);
};

class PgConcurrencyTest : public ::testing::TestWithParam<uint64_t> {};

TEST_P(PgConcurrencyTest, ExactlyOneGradientIsKeptOfEverySlot) {
  Storm storm(GetParam());

  storm.Run();

  const std::map<std::pair<Round, Slot>, int> kept = storm.kept();
  EXPECT_EQ(kept.size(), static_cast<size_t>(kRounds * kUnitsPerRound));
  for (const auto& [place, count] : kept) {
    EXPECT_EQ(count, 1) << "round " << place.first << " slot " << place.second;
  }
  const RunDump dump = storm.Dump();
  EXPECT_EQ(dump.state, RunState::kFinished);
  EXPECT_GE(storm.changes(), kRounds);
  ASSERT_EQ(dump.units.size(), static_cast<size_t>(kRounds * kUnitsPerRound));
  std::map<WorkerId, int64_t> credit;
  for (const UnitDump& unit : dump.units) {
    ASSERT_EQ(unit.state, UnitState::kDone);
    EXPECT_TRUE(unit.consumed);
    ++credit[unit.gradient->worker];
  }
  for (const WorkerDump& worker : dump.workers) {
    EXPECT_EQ(worker.accepted_unit_count, credit[worker.worker]) << worker.worker;
  }
}

TEST_P(PgConcurrencyTest, WhatIsTakenAlongCountsOnceToo) {
  Storm storm(GetParam(), Waits::kForHalf);

  storm.Run();

  for (const auto& [place, count] : storm.kept()) {
    EXPECT_EQ(count, 1) << "round " << place.first << " slot " << place.second;
  }
  const RunDump dump = storm.Dump();
  EXPECT_EQ(dump.state, RunState::kFinished);
  std::map<WorkerId, int64_t> credit;
  int stale = 0;
  for (const UnitDump& unit : dump.units) {
    EXPECT_TRUE(unit.state == UnitState::kDone || unit.state == UnitState::kClosed);
    if (unit.state != UnitState::kDone) continue;
    ++credit[unit.gradient->worker];
    if (unit.consumed && unit.stale_rounds > 0) ++stale;
  }
  EXPECT_GT(stale, 0);
  for (const WorkerDump& worker : dump.workers) {
    EXPECT_EQ(worker.accepted_unit_count, credit[worker.worker]) << worker.worker;
  }
}

// Runs `act` as the superuser; what it did is committed when it returns OK.
absl::Status InAnOpenTransaction(const PgFixture& backend,
                                 const std::function<absl::Status(SqlTransaction&)>& act) {
  PgConnectionOptions options;
  options.url = backend.url();
  GANNET_ASSIGN_OR_RETURN(const PgConnectionParams params, MakeConnectionParams(options));
  RealClock clock;
  Metrics metrics;
  PgPool pool(params, {"test", 1}, clock, metrics);
  return pool.RunInTransaction("test", SqlIsolation::kReadCommitted, act);
}

// A spare that is made while its slot is being filled is closed by who fills it, who waits for its
// maker. Were it leased still, as former versions left it, a publication would not take it along:
// what it computes is there already.
TEST(PgRaceTest, ASpareOfAFilledSlotIsNotTakenAlong) {
  PgFixture backend;
  RunConfig config = TinyRunConfig();
  config.units_per_round = 1;
  ASSERT_OK_AND_ASSIGN(const RunId run, backend.store().CreateRun(TestNewRun(config)));
  ASSERT_OK_AND_ASSIGN(const Leadership leadership,
                       backend.store().AcquireLeadership(run, TestLeader(1), absl::Hours(1)));
  const WorkerIdentity ada = TestWorker(1);
  const WorkerIdentity bob = TestWorker(2);
  for (const WorkerIdentity& worker : {ada, bob}) {
    ASSERT_OK(backend.exchange().Join(TestJoin(worker, config)));
  }
  const WorkUnit slow = backend.Claim(ada, run);
  ASSERT_OK(TestPostgres::Get().Run(
      backend.url(), "UPDATE gannet.run SET spare_after = 2, usual_unit_us = 10000000"));
  backend.AdvanceTime(absl::Seconds(30));

  std::thread submitter;
  const absl::Status claimed =
      InAnOpenTransaction(backend, [&](SqlTransaction& transaction) -> absl::Status {
        GANNET_RETURN_IF_ERROR(transaction.ExecuteScript(
            absl::StrFormat("SELECT gannet.claim_unit('%s', '%s', %d, %d, '%s')", bob.id.value(),
                            bob.secret, bob.incarnation.value(), run.value(), RandomHex(16))));
        submitter = std::thread([&] {
          EXPECT_THAT(backend.exchange().Submit(TestSubmit(config, ada, slow, 1.0f)),
                      IsOkAndHolds(SubmitOutcome::kAccepted));
        });
        EXPECT_TRUE(AwaitUntil([&] {
          const auto waiting =
              TestPostgres::Get().Query(backend.url(), "SELECT 1 FROM pg_locks WHERE NOT granted");
          return waiting.ok() && !waiting->empty();
        }));
        return absl::OkStatus();
      });
  if (submitter.joinable()) submitter.join();
  ASSERT_OK(claimed);
  ASSERT_OK_AND_ASSIGN(const RoundProgress before, backend.store().GetRoundProgress(run, Round(1)));
  ASSERT_EQ(before.gradients.size(), 1u);
  EXPECT_EQ(before.leased, 0) << "the spare";
  ASSERT_OK(TestPostgres::Get().Run(backend.url(),
                                    "UPDATE gannet.work_unit SET state = 'leased' WHERE is_spare"));
  ASSERT_OK_AND_ASSIGN(const RoundProgress left, backend.store().GetRoundProgress(run, Round(1)));
  ASSERT_EQ(left.leased, 1);

  PublishRequest request = TestPublish(config, run, leadership, WeightsVersion(0));
  request.max_stale_rounds = kMaxStaleRounds;
  ASSERT_OK_AND_ASSIGN(const RunStatus status, backend.store().GetRunStatus(run));
  request.settings_version = status.settings_version;
  ASSERT_OK(backend.store().Publish(request));

  ASSERT_OK_AND_ASSIGN(const RoundProgress after, backend.store().GetRoundProgress(run, Round(2)));
  EXPECT_EQ(after.stale_leased, 0);
}

// Whoever publishes holds the run's row and closes the units that it sees: a spare made meanwhile
// would stay open for good.
TEST(PgRaceTest, ARoundThatIsBeingPublishedGetsNoSpares) {
  PgFixture backend;
  const RunConfig config = TinyRunConfig();
  ASSERT_OK_AND_ASSIGN(const RunId run, backend.store().CreateRun(TestNewRun(config)));
  const WorkerIdentity ada = TestWorker(1);
  ASSERT_OK(backend.exchange().Join(TestJoin(ada, config)));
  backend.LetEveryUnitBeSlow(config, run);
  const auto claim = [&] {
    return backend.exchange().Claim({ada, run, RandomHex(16), absl::ZeroDuration()});
  };

  ASSERT_OK(InAnOpenTransaction(backend, [&](SqlTransaction& transaction) -> absl::Status {
    GANNET_RETURN_IF_ERROR(transaction.ExecuteScript("SELECT FROM gannet.run FOR NO KEY UPDATE"));
    const absl::StatusOr<ClaimResult> meanwhile = claim();
    EXPECT_OK(meanwhile);
    EXPECT_TRUE(meanwhile.ok() && !meanwhile->unit.has_value());
    return absl::OkStatus();
  }));

  ASSERT_OK_AND_ASSIGN(const ClaimResult afterwards, claim());
  EXPECT_TRUE(afterwards.unit.has_value());
}

INSTANTIATE_TEST_SUITE_P(Seeds, PgConcurrencyTest, ::testing::Values(1, 2));

}  // namespace
}  // namespace gannet
