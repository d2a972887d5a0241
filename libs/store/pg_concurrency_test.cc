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

namespace gannet::store {
namespace {

constexpr int kWorkers = 8;
constexpr int kRounds = 12;
constexpr int kUnitsPerRound = 10;

// Whether a round waits for all of its units, or leaves half of them to later rounds.
enum class Waits { kForAll, kForHalf };

// Workers that die, come back under a new incarnation, hand units in late, twice or under a lease
// that was taken from them, while a coordinator reaps and publishes. Some gradients are large
// enough to be sent in pieces.
class StressRun {
 public:
  explicit StressRun(uint64_t seed, Waits waits = Waits::kForAll) : seed_(seed), waits_(waits) {
    config_.units_per_round = kUnitsPerRound;
    config_.images_per_unit = 2;
  }

  void Run() {
    ASSERT_OK_AND_ASSIGN(run_, backend_.store().CreateRun(exchange::TestNewRun(config_)));
    ASSERT_OK_AND_ASSIGN(leadership_, backend_.store().AcquireLeadership(
                                          run_, exchange::TestLeader(1), absl::Hours(1)));
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
  std::map<std::pair<base::Round, base::Slot>, int> kept() {
    base::MutexLock lock(mu_);
    return kept_;
  }

  int changes() const { return changes_; }

  exchange::RunDump Dump() { return backend_.Dump(run_); }

 private:
  void Coordinate() {
    exchange::Store& store = backend_.store();
    for (int64_t version = 0; version < kRounds; ++version) {
      const base::Round round(version + 1);
      EXPECT_OK(store.ReclaimOldBlobs(run_, leadership_, base::Round(version + 2)));
      while (true) {
        absl::StatusOr<exchange::RoundProgress> progress = store.GetRoundProgress(run_, round);
        ASSERT_OK(progress);
        const int enough = waits_ == Waits::kForAll ? kUnitsPerRound : kUnitsPerRound / 2;
        if (progress->gradients.size() >= static_cast<size_t>(enough)) {
          exchange::PublishRequest request =
              exchange::TestPublish(config_, run_, leadership_, base::WeightsVersion(version));
          for (const auto* gradients : {&progress->gradients, &progress->stale}) {
            for (const exchange::GradientInfo& gradient : *gradients) {
              // Not whole: DATA_LOSS.
              absl::StatusOr<exchange::Payload> payload = store.FetchGradient(run_, gradient.unit);
              EXPECT_OK(payload);
              request.consumed.push_back(gradient.unit);
            }
          }
          request.finished = version + 1 == kRounds;
          if (waits_ == Waits::kForHalf && !request.finished) {
            request.max_stale_rounds = domain::kMaxStaleRounds;
          }
          if (request.finished) request.next_units.clear();
          Publish(request);
          break;
        }
        // Leases expire in the middle of everything.
        backend_.AdvanceTime(config_.lease / (waits_ == Waits::kForAll ? 4 : 100));
        EXPECT_OK(store.ReapExpiredLeases(run_, leadership_));
        store.AwaitChange(run_, absl::Milliseconds(20));
      }
    }
  }

  // The settings may change while the request is made.
  void Publish(exchange::PublishRequest& request) {
    absl::Status published;
    do {
      const absl::StatusOr<exchange::RunStatus> status = backend_.store().GetRunStatus(run_);
      ASSERT_OK(status);
      request.settings_version = status->settings_version;
      published = backend_.store().Publish(request);
    } while (absl::IsAborted(published));
    ASSERT_OK(published);
  }

  // Changes a setting again and again, whatever is published.
  void Administrate() {
    base::PhiloxStream random(seed_, base::RandomPurpose::kDataOrder, 2, 0);
    domain::RunConfig config = config_;
    while (true) {
      config.adam.learning_rate = config.adam.learning_rate > 1e-3 ? 1e-4 : 2e-3;
      const absl::StatusOr<base::Round> from =
          backend_.store().ChangeSettings(run_, config, "to and fro");
      if (absl::IsFailedPrecondition(from.status())) return;  // the run has ended
      ASSERT_OK(from);
      ++changes_;
      // Without a pause no plan would be up to date long enough to be published.
      std::this_thread::sleep_for(std::chrono::milliseconds(random.NextBelow(20)));
    }
  }

  void Work(int index) {
    base::PhiloxStream random(seed_, base::RandomPurpose::kDataOrder, 1,
                              static_cast<uint64_t>(index));
    exchange::Exchange& exchange = backend_.exchange();
    exchange::WorkerIdentity self = exchange::TestWorker(index + 1);
    ASSERT_OK(exchange.Join(exchange::TestJoin(self, config_)));
    std::optional<exchange::WorkUnit> slow;
    while (!done_) {
      if (slow.has_value() && IsPublished(slow->round)) {
        Submit(exchange::TestSubmit(config_, self, *slow, 1.0f), {slow->round, slow->slot});
        slow.reset();
      }
      const absl::StatusOr<exchange::ClaimResult> claimed =
          exchange.Claim({self, run_, base::RandomHex(16), absl::Milliseconds(50)});
      if (absl::IsResourceExhausted(claimed.status())) {
        // Two leases of units forgotten below are held: start anew, as a worker that crashed does.
        self.incarnation = base::Incarnation(self.incarnation.value() + 1);
        EXPECT_OK(exchange.Join(exchange::TestJoin(self, config_)));
        continue;
      }
      ASSERT_OK(claimed);
      if (domain::HasEnded(claimed->state)) return;
      if (!claimed->unit.has_value()) continue;
      const exchange::WorkUnit& unit = *claimed->unit;
      const std::pair<base::Round, base::Slot> place(unit.round, unit.slot);
      exchange::SubmitRequest submission = exchange::TestSubmit(config_, self, unit, 1.0f);
      if (random.NextBelow(4) == 0) {
        submission.payload =
            exchange::Payload::FromBytes(tensor::Codec::kFp32, std::string(300'000, 'x'));
      }
      switch (random.NextBelow(8)) {
        case 0:  // forgets the unit, or submits it when its round is over
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
        case 3:  // everybody's lease expires first
          if (waits_ == Waits::kForAll) backend_.AdvanceTime(config_.lease);
          Submit(submission, place);
          break;
        default:
          Submit(submission, place);
      }
    }
  }

  bool IsPublished(base::Round round) {
    const absl::StatusOr<exchange::RunStatus> status = backend_.store().GetRunStatus(run_);
    return status.ok() && status->weights_version.value() >= round.value();
  }

  void Submit(const exchange::SubmitRequest& submission,
              const std::pair<base::Round, base::Slot>& place) {
    const absl::StatusOr<domain::SubmitOutcome> outcome = backend_.exchange().Submit(submission);
    ASSERT_OK(outcome);
    if (*outcome != domain::SubmitOutcome::kAccepted && *outcome != domain::SubmitOutcome::kLate)
      return;
    base::MutexLock lock(mu_);
    ++kept_[place];
  }

  const uint64_t seed_;
  const Waits waits_;
  PgFixture backend_;
  domain::RunConfig config_ = exchange::TinyRunConfig();
  base::RunId run_;
  exchange::Leadership leadership_;
  std::atomic<bool> done_{false};
  std::atomic<int> changes_{0};
  base::Mutex mu_;
  std::map<std::pair<base::Round, base::Slot>, int> kept_ ABSL_GUARDED_BY(mu_);
};

class PgConcurrencyTest : public ::testing::TestWithParam<uint64_t> {};

TEST_P(PgConcurrencyTest, ExactlyOneGradientIsKeptOfEverySlot) {
  StressRun stress(GetParam());

  stress.Run();

  const std::map<std::pair<base::Round, base::Slot>, int> kept = stress.kept();
  EXPECT_EQ(kept.size(), static_cast<size_t>(kRounds * kUnitsPerRound));
  for (const auto& [place, count] : kept) {
    EXPECT_EQ(count, 1) << "round " << place.first << " slot " << place.second;
  }
  const exchange::RunDump dump = stress.Dump();
  EXPECT_EQ(dump.state, domain::RunState::kFinished);
  EXPECT_GE(stress.changes(), kRounds);
  ASSERT_EQ(dump.units.size(), static_cast<size_t>(kRounds * kUnitsPerRound));
  std::map<base::WorkerId, int64_t> credit;
  for (const exchange::UnitDump& unit : dump.units) {
    ASSERT_EQ(unit.state, domain::UnitState::kDone);
    EXPECT_TRUE(unit.consumed);
    ++credit[unit.gradient->worker];
  }
  for (const exchange::WorkerDump& worker : dump.workers) {
    EXPECT_EQ(worker.accepted_unit_count, credit[worker.worker]) << worker.worker;
  }
}

TEST_P(PgConcurrencyTest, WhatIsCarriedOverCountsOnceToo) {
  StressRun stress(GetParam(), Waits::kForHalf);

  stress.Run();

  for (const auto& [place, count] : stress.kept()) {
    EXPECT_EQ(count, 1) << "round " << place.first << " slot " << place.second;
  }
  const exchange::RunDump dump = stress.Dump();
  EXPECT_EQ(dump.state, domain::RunState::kFinished);
  std::map<base::WorkerId, int64_t> credit;
  int stale = 0;
  for (const exchange::UnitDump& unit : dump.units) {
    EXPECT_TRUE(unit.state == domain::UnitState::kDone || unit.state == domain::UnitState::kClosed);
    if (unit.state != domain::UnitState::kDone) continue;
    ++credit[unit.gradient->worker];
    if (unit.consumed && unit.stale_rounds > 0) ++stale;
  }
  EXPECT_GT(stale, 0);
  for (const exchange::WorkerDump& worker : dump.workers) {
    EXPECT_EQ(worker.accepted_unit_count, credit[worker.worker]) << worker.worker;
  }
}

// Runs `act` as the superuser; what it did is committed when it returns OK.
absl::Status InAnOpenTransaction(const PgFixture& backend,
                                 const std::function<absl::Status(pg::SqlTransaction&)>& act) {
  pg::PgConnectionOptions options;
  options.url = backend.url();
  GANNET_ASSIGN_OR_RETURN(const pg::PgConnectionParams params, pg::MakeConnectionParams(options));
  base::RealClock clock;
  telemetry::Metrics metrics;
  pg::PgPool pool(params, {"test", 1}, clock, metrics);
  return pool.RunInTransaction("test", pg::SqlIsolation::kReadCommitted, act);
}

// A speculative copy that is made while its slot is being filled is closed by who fills it, who
// waits for its maker. Were it leased still, as former versions left it, a publication would not
// take it along: what it computes is there already.
TEST(PgRaceTest, ASpareOfAFilledSlotIsNotCarriedOver) {
  PgFixture backend;
  domain::RunConfig config = exchange::TinyRunConfig();
  config.units_per_round = 1;
  ASSERT_OK_AND_ASSIGN(const base::RunId run,
                       backend.store().CreateRun(exchange::TestNewRun(config)));
  ASSERT_OK_AND_ASSIGN(
      const exchange::Leadership leadership,
      backend.store().AcquireLeadership(run, exchange::TestLeader(1), absl::Hours(1)));
  const exchange::WorkerIdentity ada = exchange::TestWorker(1);
  const exchange::WorkerIdentity bob = exchange::TestWorker(2);
  for (const exchange::WorkerIdentity& worker : {ada, bob}) {
    ASSERT_OK(backend.exchange().Join(exchange::TestJoin(worker, config)));
  }
  const exchange::WorkUnit slow = backend.Claim(ada, run);
  ASSERT_OK(TestPostgres::Get().Run(
      backend.url(),
      "UPDATE gannet.run SET speculation_multiplier = 2, median_unit_us = 10000000"));
  backend.AdvanceTime(absl::Seconds(30));

  std::thread submitter;
  const absl::Status claimed =
      InAnOpenTransaction(backend, [&](pg::SqlTransaction& transaction) -> absl::Status {
        GANNET_RETURN_IF_ERROR(transaction.ExecuteScript(absl::StrFormat(
            "SELECT gannet.claim_unit('%s', '%s', %d, %d, '%s')", bob.id.value(), bob.secret,
            bob.incarnation.value(), run.value(), base::RandomHex(16))));
        submitter = std::thread([&] {
          EXPECT_THAT(backend.exchange().Submit(exchange::TestSubmit(config, ada, slow, 1.0f)),
                      base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
        });
        EXPECT_TRUE(base::AwaitUntil([&] {
          const auto waiting =
              TestPostgres::Get().Query(backend.url(), "SELECT 1 FROM pg_locks WHERE NOT granted");
          return waiting.ok() && !waiting->empty();
        }));
        return absl::OkStatus();
      });
  if (submitter.joinable()) submitter.join();
  ASSERT_OK(claimed);
  ASSERT_OK_AND_ASSIGN(const exchange::RoundProgress before,
                       backend.store().GetRoundProgress(run, base::Round(1)));
  ASSERT_EQ(before.gradients.size(), 1u);
  EXPECT_EQ(before.leased, 0) << "the speculative copy";
  ASSERT_OK(TestPostgres::Get().Run(
      backend.url(), "UPDATE gannet.work_unit SET state = 'leased' WHERE is_speculative"));
  ASSERT_OK_AND_ASSIGN(const exchange::RoundProgress left,
                       backend.store().GetRoundProgress(run, base::Round(1)));
  ASSERT_EQ(left.leased, 1);

  exchange::PublishRequest request =
      exchange::TestPublish(config, run, leadership, base::WeightsVersion(0));
  request.max_stale_rounds = domain::kMaxStaleRounds;
  ASSERT_OK_AND_ASSIGN(const exchange::RunStatus status, backend.store().GetRunStatus(run));
  request.settings_version = status.settings_version;
  ASSERT_OK(backend.store().Publish(request));

  ASSERT_OK_AND_ASSIGN(const exchange::RoundProgress after,
                       backend.store().GetRoundProgress(run, base::Round(2)));
  EXPECT_EQ(after.stale_leased, 0);
}

// Whoever publishes holds the run's row and closes the units that it sees: a speculative copy made
// meanwhile would stay open permanently.
TEST(PgRaceTest, ARoundThatIsBeingPublishedGetsNoSpeculativeCopies) {
  PgFixture backend;
  const domain::RunConfig config = exchange::TinyRunConfig();
  ASSERT_OK_AND_ASSIGN(const base::RunId run,
                       backend.store().CreateRun(exchange::TestNewRun(config)));
  const exchange::WorkerIdentity ada = exchange::TestWorker(1);
  ASSERT_OK(backend.exchange().Join(exchange::TestJoin(ada, config)));
  backend.LetEveryUnitBeSlow(config, run);
  const auto claim = [&] {
    return backend.exchange().Claim({ada, run, base::RandomHex(16), absl::ZeroDuration()});
  };

  ASSERT_OK(InAnOpenTransaction(backend, [&](pg::SqlTransaction& transaction) -> absl::Status {
    GANNET_RETURN_IF_ERROR(transaction.ExecuteScript("SELECT FROM gannet.run FOR NO KEY UPDATE"));
    const absl::StatusOr<exchange::ClaimResult> meanwhile = claim();
    EXPECT_OK(meanwhile);
    EXPECT_TRUE(meanwhile.ok() && !meanwhile->unit.has_value());
    return absl::OkStatus();
  }));

  ASSERT_OK_AND_ASSIGN(const exchange::ClaimResult afterwards, claim());
  EXPECT_TRUE(afterwards.unit.has_value());
}

INSTANTIATE_TEST_SUITE_P(Seeds, PgConcurrencyTest, ::testing::Values(1, 2));

}  // namespace
}  // namespace gannet::store
