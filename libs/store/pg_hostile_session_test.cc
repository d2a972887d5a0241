// What a role of workers may do with a session of its own: locks, open transactions, connections,
// and what a database lets everybody make. Sessions as a hostile psql has them.
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/clock.h"
#include "libs/base/hex.h"
#include "libs/base/status_macros.h"
#include "libs/base/testing/child_process.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/pg/connection_params.h"
#include "libs/pg/pg_pool.h"
#include "libs/store/testing/pg_fixture.h"
#include "libs/store/testing/test_postgres.h"

namespace gannet::store {
namespace {

using ::testing::HasSubstr;

// A session that runs a script in a transaction and stays in it until it is let go.
class OpenTransaction {
 public:
  // kWaiting: the script itself waits for a lock.
  enum class Way { kIdle, kBusy, kWaiting };

  OpenTransaction(const std::string& url, const std::string& script, Way way = Way::kIdle)
      : pool_(*Params(url), pg::BoundedPoolOptions{"hostile", 1}, clock_, metrics_),
        thread_([this, script, way] { Run(script, way); }) {
    EXPECT_TRUE(base::AwaitUntil([&] { return is_open_ || is_over_; }));
    EXPECT_TRUE(is_open_) << "the script failed";
  }

  ~OpenTransaction() { End().IgnoreError(); }

  // Lets it commit as soon as its script is over.
  void LetGo() { is_let_go_ = true; }

  // What became of the transaction when it wanted to go on.
  absl::Status End() {
    is_let_go_ = true;
    if (thread_.joinable()) thread_.join();
    return status_;
  }

 private:
  static absl::StatusOr<pg::PgConnectionParams> Params(const std::string& url) {
    pg::PgConnectionOptions options;
    options.url = url;
    return pg::MakeConnectionParams(options);
  }

  void Run(const std::string& script, Way way) {
    status_ = pool_.RunInTransaction(
        "hostile", pg::SqlIsolation::kReadCommitted,
        [&](pg::SqlTransaction& transaction) -> absl::Status {
          // What a role may always do for its own session.
          GANNET_RETURN_IF_ERROR(transaction.ExecuteScript(
              "SET idle_in_transaction_session_timeout = 0; SET statement_timeout = 0"));
          if (way == Way::kWaiting) is_open_ = true;
          GANNET_RETURN_IF_ERROR(transaction.ExecuteScript(script));
          is_open_ = true;
          if (way == Way::kBusy) return transaction.ExecuteScript("SELECT pg_sleep(3600)");
          EXPECT_TRUE(base::AwaitUntil([&] { return is_let_go_.load(); }));
          return transaction.ExecuteScript("SELECT 1");
        });
    is_over_ = true;
  }

  base::RealClock clock_;
  telemetry::Metrics metrics_;
  pg::PgPool pool_;
  std::atomic<bool> is_open_{false};
  std::atomic<bool> is_over_{false};
  std::atomic<bool> is_let_go_{false};
  absl::Status status_;
  std::thread thread_;
};

class PgHostileSessionTest : public testing::Test {
 protected:
  PgHostileSessionTest() {
    run_ = *backend_.store().CreateRun(exchange::TestNewRun(config_));
    leadership_ =
        *backend_.store().AcquireLeadership(run_, exchange::TestLeader(1), absl::Hours(1));
    for (const exchange::WorkerIdentity& worker : {mallory_, ada_}) {
      EXPECT_OK(backend_.exchange().Join(exchange::TestJoin(worker, config_)));
    }
  }

  // A coordinator that guards its class, with less retry than usual.
  std::unique_ptr<PgBackend> Guard() {
    PgBackendOptions options;
    options.url = TestPostgres::UrlAs(backend_.url(), "test_coordinator");
    options.end_holding_sessions_after = absl::Seconds(1);
    absl::StatusOr<std::unique_ptr<PgBackend>> guard =
        PgBackend::Create(options, telemetry::NullLogger(), metrics_);
    EXPECT_OK(guard);
    return guard.ok() ? *std::move(guard) : nullptr;
  }

  // "gannet.NAME('ID', 'SECRET', 1, RUN, MORE)" of a worker.
  std::string Call(const std::string& name, const exchange::WorkerIdentity& worker,
                   const std::string& more) {
    return absl::StrFormat("SELECT gannet.%s('%s', '%s', %d, %d%s)", name, worker.id.value(),
                           worker.secret, worker.incarnation.value(), run_.value(), more);
  }

  std::string SubmitCall(const exchange::WorkerIdentity& worker, const exchange::WorkUnit& unit) {
    return Call("submit_gradient", worker,
                absl::StrFormat(", %d, %d, '{\"image_count\": %d, \"micro_batch_count\": %d, "
                                "\"discriminator_loss\": 0.7, \"generator_loss\": 0.7, "
                                "\"real_accuracy\": 0.5, \"fake_accuracy\": 0.5, "
                                "\"compute_seconds\": 1, \"codec\": 1, \"payload_bytes\": 3}', "
                                "sha256('abc'), 0, 'abc'",
                                unit.unit.value(), unit.attempt.value(), config_.images_per_unit,
                                exchange::TestStats(config_).micro_batch_count));
  }

  std::string StageCall(const exchange::WorkerIdentity& worker, const exchange::WorkUnit& unit) {
    return Call("stage_gradient", worker,
                absl::StrFormat(", %d, %d, 0, convert_to('abc', 'UTF8')", unit.unit.value(),
                                unit.attempt.value()));
  }

  bool AwaitWaitingSessions(int count) {
    return base::AwaitUntil([&] {
      return Value("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted") ==
             absl::StrCat(count);
    });
  }

  void ExpectNoDeadlock(const std::string& first, const std::string& second,
                        const std::string& call) {
    OpenTransaction coordinator(
        backend_.url(),
        absl::StrFormat("DO $$ BEGIN "
                        "PERFORM FROM gannet.work_unit WHERE unit_id = %s FOR NO KEY UPDATE; "
                        "FOR i IN 1 .. 1000 LOOP "
                        "EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE NOT granted); "
                        "PERFORM pg_sleep(0.01); END LOOP; "
                        "IF NOT EXISTS (SELECT FROM pg_locks WHERE NOT granted) THEN "
                        "RAISE 'nobody waits: this is the second time, behind a deadlock'; END IF; "
                        "PERFORM FROM gannet.work_unit WHERE unit_id = %s FOR NO KEY UPDATE; "
                        "END $$",
                        first, second),
        OpenTransaction::Way::kWaiting);
    ASSERT_TRUE(base::AwaitUntil([&] {
      return Value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1";
    }));
    coordinator.LetGo();

    // Once: a pool would run it again behind a deadlock.
    EXPECT_OK(TestPostgres::Get().Run(hostile_url_, call));
    EXPECT_OK(coordinator.End());
  }

  std::string Value(const std::string& sql) {
    const absl::StatusOr<pg::SqlRows> rows = TestPostgres::Get().Query(backend_.url(), sql);
    if (!rows.ok()) return rows.status().ToString();
    return rows->empty() ? "" : rows->rows[0][0].value_or("null");
  }

  base::RealClock clock_;
  telemetry::Metrics metrics_;
  PgFixture backend_;
  domain::RunConfig config_ = exchange::TinyRunConfig();
  base::RunId run_;
  exchange::Leadership leadership_;
  const exchange::WorkerIdentity mallory_ = exchange::TestWorker(1);
  const exchange::WorkerIdentity ada_ = exchange::TestWorker(2);
  const std::string hostile_url_ = TestPostgres::UrlAs(backend_.url(), "test_worker");
};

// Locks.

TEST_F(PgHostileSessionTest, NoLockThatHasANumberStopsARound) {
  // Those that accepts and migrations took once; for the superuser, since a worker gets none.
  const OpenTransaction held(
      backend_.url(),
      absl::StrFormat("SELECT pg_advisory_lock(%d, n) FROM generate_series(1, 20) AS n; "
                      "SELECT pg_advisory_lock(n) FROM generate_series(1, 20) AS n; "
                      "SELECT pg_advisory_lock(4717253300182417021)",
                      run_.value() % 2147483647));

  const exchange::WorkUnit unit = backend_.Claim(ada_, run_);
  EXPECT_THAT(backend_.exchange().Submit(exchange::TestSubmit(config_, ada_, unit)),
              base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
  EXPECT_OK(backend_.store().Publish(
      exchange::TestPublish(config_, run_, leadership_, base::WeightsVersion(0))));
  PgBackendOptions options;
  options.url = backend_.url();
  EXPECT_OK(Migrate(options, telemetry::NullLogger()));
}

TEST_F(PgHostileSessionTest, AWorkersRoleLocksNoTable) {
  for (const char* table : {"accept_turn", "run", "work_unit", "worker", "schema_migration"}) {
    EXPECT_THAT(TestPostgres::Get().Run(hostile_url_, absl::StrCat("LOCK TABLE gannet.", table,
                                                                   " IN ACCESS SHARE MODE")),
                base::StatusIs(absl::StatusCode::kPermissionDenied))
        << table;
  }
}

// Transactions that stay open.

// Each call that locks something, left open: whoever needs it, gets it.
TEST_F(PgHostileSessionTest, ATransactionLeftOpenBehindACallIsEnded) {
  const std::unique_ptr<PgBackend> guard = Guard();
  int64_t version = 0;
  for (const OpenTransaction::Way way :
       {OpenTransaction::Way::kIdle, OpenTransaction::Way::kBusy}) {
    for (const std::string name :
         {"claim_unit", "fail_unit", "release_unit", "heartbeat", "leave_run", "submit_gradient"}) {
      std::string call =
          Call("claim_unit", mallory_, absl::StrCat(", '", base::RandomHex(16), "'"));
      if (name != "claim_unit") {
        const exchange::WorkUnit unit = backend_.Claim(mallory_, run_);
        const std::string lease = absl::StrCat(", ", unit.unit.value(), ", ", unit.attempt.value());
        call = name == "submit_gradient" ? SubmitCall(mallory_, unit)
               : name == "fail_unit"     ? Call(name, mallory_, lease + ", 'x'")
               : name == "release_unit"  ? Call(name, mallory_, lease)
               : name == "leave_run"
                   ? Call(name, mallory_, "")
                   : Call(name, mallory_,
                          absl::StrFormat(", '{%d}', '{%d}', '{1}'", unit.unit.value(),
                                          unit.attempt.value()));
      }
      OpenTransaction hostile(hostile_url_, call, way);

      // Locks every unit of the round, so it cannot before.
      EXPECT_OK(backend_.store().Publish(
          exchange::TestPublish(config_, run_, leadership_, base::WeightsVersion(version))))
          << name;
      ++version;

      EXPECT_FALSE(hostile.End().ok()) << name;
    }
  }
}

TEST_F(PgHostileSessionTest, AnHonestWorkerHasItsTurnWhenAnotherHoldsIt) {
  const std::unique_ptr<PgBackend> guard = Guard();
  const exchange::WorkUnit mallorys = backend_.Claim(mallory_, run_);
  const exchange::WorkUnit adas = backend_.Claim(ada_, run_);
  OpenTransaction hostile(hostile_url_, SubmitCall(mallory_, mallorys));

  EXPECT_THAT(backend_.exchange().Submit(exchange::TestSubmit(config_, ada_, adas)),
              base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));

  EXPECT_FALSE(hostile.End().ok());
}

// A unit that somebody is claiming for ever is in nobody's way who could wait for it: others are
// given other units. It must come back all the same.
TEST_F(PgHostileSessionTest, AUnitIsNotHeldByAClaimThatDoesNotEnd) {
  const std::unique_ptr<PgBackend> guard = Guard();
  OpenTransaction hostile(
      hostile_url_, Call("claim_unit", mallory_, absl::StrCat(", '", base::RandomHex(16), "'")));

  EXPECT_TRUE(base::AwaitUntil([&] {
    int claimed = 0;
    for (int i = 0; i < config_.units_per_round; ++i) {
      const exchange::WorkerIdentity worker = exchange::TestWorker(10 + i);
      EXPECT_OK(backend_.exchange().Join(exchange::TestJoin(worker, config_)));
      const absl::StatusOr<exchange::ClaimResult> claim =
          backend_.exchange().Claim({worker, run_, std::string(32, 'a'), absl::ZeroDuration()});
      if (claim.ok() && claim->unit.has_value()) ++claimed;
    }
    return claimed == config_.units_per_round;
  }));
  EXPECT_FALSE(hostile.End().ok());
}

// One session stages under an attempt, and another hands a gradient in under the same: it waits for
// the first one's rows, and the turn and its unit with it.
TEST_F(PgHostileSessionTest, TwoSessionsOfARoleDoNotHoldTheTurnTogether) {
  const exchange::WorkUnit mallorys = backend_.Claim(mallory_, run_);
  const exchange::WorkUnit adas = backend_.Claim(ada_, run_);
  OpenTransaction staging(hostile_url_, StageCall(mallory_, mallorys));
  OpenTransaction submitting(
      hostile_url_,
      absl::StrCat(Call("heartbeat", mallory_,
                        absl::StrFormat(", '{%d}', '{%d}', '{1}'", mallorys.unit.value(),
                                        mallorys.attempt.value())),
                   "; ", SubmitCall(mallory_, mallorys)),
      OpenTransaction::Way::kWaiting);
  ASSERT_TRUE(AwaitWaitingSessions(1));

  EXPECT_EQ(Value("SELECT count(*) FROM gannet.sessions_holding_locks()"), "1");
  const std::unique_ptr<PgBackend> guard = Guard();
  EXPECT_THAT(backend_.exchange().Submit(exchange::TestSubmit(config_, ada_, adas)),
              base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
  EXPECT_OK(backend_.store().Publish(
      exchange::TestPublish(config_, run_, leadership_, base::WeightsVersion(0))));

  EXPECT_THAT(submitting.End(), base::StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_OK(staging.End());
}

// Nor without a coordinator that looks: no session can lift this limit.
TEST_F(PgHostileSessionTest, ASubmissionDoesNotWaitForEverInItsTurn) {
  const exchange::WorkUnit unit = backend_.Claim(mallory_, run_);
  OpenTransaction staging(hostile_url_, StageCall(mallory_, unit));
  OpenTransaction submitting(hostile_url_,
                             absl::StrCat("SET lock_timeout = 0; ", SubmitCall(mallory_, unit)),
                             OpenTransaction::Way::kWaiting);

  EXPECT_THAT(submitting.End(),
              base::StatusIs(absl::StatusCode::kUnavailable, HasSubstr("lock timeout")));
  EXPECT_OK(staging.End());
}

// Honest workers who wait for their turn, one behind the other, are none of those who hold it.
TEST_F(PgHostileSessionTest, WhoWaitsForAHolderIsNotEndedWithIt) {
  const exchange::WorkUnit mallorys = backend_.Claim(mallory_, run_);
  const exchange::WorkUnit adas = backend_.Claim(ada_, run_);
  OpenTransaction holding(hostile_url_, SubmitCall(mallory_, mallorys));
  OpenTransaction waiting(hostile_url_, SubmitCall(ada_, adas), OpenTransaction::Way::kWaiting);
  ASSERT_TRUE(AwaitWaitingSessions(1));

  EXPECT_EQ(Value("SELECT count(*) FROM gannet.sessions_holding_locks()"), "1");
  EXPECT_OK(holding.End());
  EXPECT_OK(waiting.End());
}

// Order of locks: two transactions that need the same units go one after the other. One of them is
// a coordinator's, which has the first unit when a worker's call comes, and then takes the second.

TEST_F(PgHostileSessionTest, AnAcceptLocksTheUnitsOfItsSlotInTheirOrder) {
  backend_.LetEveryUnitBeSlow(config_, run_);
  const exchange::WorkUnit copy = backend_.Claim(ada_, run_);
  const std::string first =
      Value(absl::StrCat("SELECT unit_id FROM gannet.work_unit WHERE slot = ", copy.slot.value(),
                         " AND unit_id <> ", copy.unit.value()));

  ExpectNoDeadlock(first, absl::StrCat(copy.unit.value()), SubmitCall(ada_, copy));
}

TEST_F(PgHostileSessionTest, WhoLeavesLocksHisUnitsInTheirOrder) {
  exchange::WorkUnit first = backend_.Claim(ada_, run_);
  const exchange::WorkUnit second = backend_.Claim(ada_, run_);
  // Its row is written anew, behind the other's.
  ASSERT_OK(backend_.exchange().Release(ada_, run_, first.unit, first.attempt));
  first = backend_.Claim(ada_, run_);
  ASSERT_LT(first.unit, second.unit);
  // By a plan that reads the table as it lies.
  for (const char* kind : {"indexscan", "bitmapscan"}) {
    ASSERT_OK(TestPostgres::Get().Run(
        backend_.url(),
        absl::StrCat("ALTER FUNCTION gannet.release_units SET enable_", kind, " = off")));
  }

  ExpectNoDeadlock(absl::StrCat(first.unit.value()), absl::StrCat(second.unit.value()),
                   Call("leave_run", ada_, ""));
}

TEST_F(PgHostileSessionTest, AFailureLeftOpenHoldsNotTheRun) {
  const exchange::WorkUnit unit = backend_.Claim(mallory_, run_);
  const OpenTransaction hostile(
      hostile_url_,
      Call("fail_unit", mallory_,
           absl::StrFormat(", %d, %d, 'x'", unit.unit.value(), unit.attempt.value())));

  // Without anybody who ends the session.
  EXPECT_OK(backend_.store().AcquireLeadership(run_, exchange::TestLeader(1), absl::Hours(1)));
  EXPECT_OK(backend_.store().SetRunState(run_, domain::RunState::kPaused, "a break"));
}

TEST_F(PgHostileSessionTest, ASubmissionWithoutALeaseHoldsNothing) {
  const exchange::WorkUnit unit = backend_.Claim(ada_, run_);
  const OpenTransaction hostile(hostile_url_, SubmitCall(mallory_, unit));

  EXPECT_THAT(backend_.exchange().Submit(exchange::TestSubmit(config_, ada_, unit)),
              base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
  EXPECT_OK(backend_.store().Publish(
      exchange::TestPublish(config_, run_, leadership_, base::WeightsVersion(0))));
}

// A slow link is no crime.
TEST_F(PgHostileSessionTest, AGradientThatIsBeingSentHoldsNothing) {
  const exchange::WorkUnit unit = backend_.Claim(ada_, run_);
  OpenTransaction upload(hostile_url_,
                         Call("stage_gradient", ada_,
                              absl::StrFormat(", %d, %d, 0, convert_to(repeat('x', 80000), 'UTF8')",
                                              unit.unit.value(), unit.attempt.value())));

  EXPECT_EQ(Value("SELECT count(*) FROM gannet.sessions_holding_locks()"), "0");
  EXPECT_OK(upload.End());
}

// What is sent for a round that is over is wasted, and keeps its leaf from being freed.
TEST_F(PgHostileSessionTest, AGradientOfARoundThatIsOverKeepsNoLeaf) {
  const exchange::WorkUnit unit = backend_.Claim(mallory_, run_);
  OpenTransaction upload(hostile_url_, StageCall(mallory_, unit));
  EXPECT_EQ(Value("SELECT count(*) FROM gannet.sessions_holding_locks()"), "0");
  EXPECT_OK(backend_.store().Publish(
      exchange::TestPublish(config_, run_, leadership_, base::WeightsVersion(0))));

  EXPECT_EQ(Value("SELECT count(*) FROM gannet.sessions_holding_locks()"), "1");
  const std::unique_ptr<PgBackend> guard = Guard();
  EXPECT_TRUE(base::AwaitUntil(
      [&] { return Value("SELECT count(*) FROM gannet.sessions_holding_locks()") == "0"; }));
  EXPECT_FALSE(upload.End().ok());
}

TEST_F(PgHostileSessionTest, AGradientOfARunThatHasEndedKeepsNoLeaf) {
  const exchange::WorkUnit unit = backend_.Claim(mallory_, run_);
  OpenTransaction upload(hostile_url_, StageCall(mallory_, unit));
  EXPECT_OK(backend_.store().SetRunState(run_, domain::RunState::kStopped, "enough"));

  EXPECT_EQ(Value("SELECT count(*) FROM gannet.sessions_holding_locks()"), "1");
  EXPECT_OK(upload.End());
}

TEST_F(PgHostileSessionTest, ACoordinatorsSessionIsNotAWorkers) {
  const OpenTransaction publishing(
      TestPostgres::UrlAs(backend_.url(), "test_coordinator"),
      absl::StrFormat("SELECT gannet.acquire_leadership(%d, '%s', 1000000)", run_.value(),
                      exchange::TestLeader(1).value()));

  EXPECT_EQ(Value("SELECT count(*) FROM gannet.sessions_holding_locks()"), "0");
}

// Connections.

TEST_F(PgHostileSessionTest, ARoleHasNoMoreConnectionsThanItMay) {
  ASSERT_OK(TestPostgres::Get().Run(backend_.url(),
                                    "CREATE ROLE test_flood LOGIN IN ROLE gannet_worker"));
  const std::string flood_url = TestPostgres::UrlAs(backend_.url(), "test_flood");
  std::vector<std::unique_ptr<OpenTransaction>> flood;
  flood.reserve(5);
  for (int i = 0; i < 5; ++i) {
    flood.push_back(std::make_unique<OpenTransaction>(flood_url, "SELECT 1"));
  }
  ASSERT_OK(TestPostgres::Get().Run(backend_.url(), "ALTER ROLE test_flood CONNECTION LIMIT 2"));
  const std::unique_ptr<PgBackend> guard = Guard();

  EXPECT_TRUE(base::AwaitUntil([&] {
    return Value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'test_flood'") == "2";
  }));

  flood.clear();
  ASSERT_OK(TestPostgres::Get().Run(backend_.url(), "DROP ROLE test_flood"));
}

TEST_F(PgHostileSessionTest, MigrateGivesEachRoleOfWorkersALimit) {
  ASSERT_OK(TestPostgres::Get().Run(
      backend_.url(),
      "CREATE ROLE test_many LOGIN IN ROLE gannet_worker;"
      "CREATE ROLE test_own_limit LOGIN CONNECTION LIMIT 7 IN ROLE gannet_worker"));
  PgBackendOptions options;
  options.url = backend_.url();

  ASSERT_OK(Migrate(options, telemetry::NullLogger()));

  const auto limit = [&](const std::string& role) {
    return Value(absl::StrCat("SELECT rolconnlimit FROM pg_roles WHERE rolname = '", role, "'"));
  };
  EXPECT_EQ(limit("test_many"), "100") << "half of max_connections";
  EXPECT_EQ(limit("test_own_limit"), "7");
  EXPECT_EQ(limit("test_coordinator"), "-1");
  EXPECT_EQ(limit("postgres"), "-1");
  ASSERT_OK(TestPostgres::Get().Run(backend_.url(),
                                    "DROP ROLE test_many, test_own_limit;"
                                    "ALTER ROLE test_worker CONNECTION LIMIT -1"));
}

// What fills a disk, or the server's table of locks.

TEST_F(PgHostileSessionTest, AWorkersRoleMakesNothing) {
  const std::string url = TestPostgres::Get().CreateEmptyDatabase();
  PgBackendOptions options;
  options.url = url;
  ASSERT_OK(Migrate(options, telemetry::NullLogger()));

  for (const char* attempt :
       {"CREATE TEMPORARY TABLE t (x text)", "CREATE TABLE public.t (x text)",
        "CREATE TABLE gannet.t (x text)", "CREATE SCHEMA s", "SELECT lo_create(0)",
        "SELECT lo_creat(-1)", "SELECT lo_from_bytea(0, 'abc')", "SELECT lo_put(1, 0, 'abc')",
        "SELECT pg_advisory_lock(1)", "SELECT pg_advisory_xact_lock_shared(1, 2)",
        "SELECT pg_try_advisory_lock(1)"}) {
    EXPECT_THAT(TestPostgres::Get().Run(TestPostgres::UrlAs(url, "test_worker"), attempt),
                base::StatusIs(absl::StatusCode::kPermissionDenied))
        << attempt;
  }

  TestPostgres::Get().DropDatabase(url);
  ASSERT_OK(TestPostgres::Get().Run(backend_.url(), "ALTER ROLE test_worker CONNECTION LIMIT -1"));
}

}  // namespace
}  // namespace gannet::store
