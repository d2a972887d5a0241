#include "libs/store/pg_backend.h"

#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/clock.h"
#include "libs/base/hex.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/pg/connection_params.h"
#include "libs/pg/pg_pool.h"
#include "libs/store/testing/test_postgres.h"

namespace gannet::store {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class PgBackendTest : public ::testing::Test {
 protected:
  ~PgBackendTest() override { server_.DropDatabase(url_); }

  absl::StatusOr<std::unique_ptr<PgBackend>> Create(const std::string& url) {
    PgBackendOptions options;
    options.url = url;
    return PgBackend::Create(options, telemetry::NullLogger(), metrics_);
  }

  std::string Value(const std::string& sql) {
    const absl::StatusOr<pg::SqlRows> rows = server_.Query(url_, sql);
    if (!rows.ok()) return rows.status().ToString();
    return rows->empty() ? "" : rows->rows[0][0].value_or("null");
  }

  TestPostgres& server_ = TestPostgres::Get();
  std::string url_ = server_.CreateDatabase();
  telemetry::Metrics metrics_;
};

// Versions of the schema.

TEST_F(PgBackendTest, ADatabaseWithoutTheSchemaNamesTheCommand) {
  const std::string empty = server_.CreateEmptyDatabase();

  EXPECT_THAT(Create(empty), base::StatusIs(absl::StatusCode::kFailedPrecondition,
                                            HasSubstr("run `gannet migrate`")));

  server_.DropDatabase(empty);
}

TEST_F(PgBackendTest, ADatabaseThatIsNotInUtf8NamesTheCommandThatHelps) {
  for (const std::string encoding : {"SQL_ASCII", "LATIN1"}) {
    const std::string other = server_.CreateEmptyDatabase(encoding);
    PgBackendOptions options;
    options.url = other;
    const auto refused =
        base::StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("createdb -E UTF8 -T template0"), HasSubstr(encoding)));

    EXPECT_THAT(Migrate(options, telemetry::NullLogger()), refused);
    EXPECT_THAT(Create(other), refused);
    const absl::StatusOr<pg::SqlRows> schema =
        server_.Query(other, "SELECT 1 WHERE to_regnamespace('gannet') IS NOT NULL");
    ASSERT_OK(schema);
    EXPECT_TRUE(schema->empty()) << "nothing was made";

    server_.DropDatabase(other);
  }
}

TEST_F(PgBackendTest, AnOlderSchemaNamesTheCommand) {
  ASSERT_OK(server_.Run(url_,
                        "DELETE FROM gannet.schema_migration WHERE version = "
                        "(SELECT max(version) FROM gannet.schema_migration)"));

  EXPECT_THAT(Create(url_),
              base::StatusIs(absl::StatusCode::kFailedPrecondition,
                             AllOf(HasSubstr("older"), HasSubstr("run `gannet migrate`"))));
}

TEST_F(PgBackendTest, ANewerSchemaAsksForANewerBinary) {
  ASSERT_OK(server_.Run(url_,
                        "INSERT INTO gannet.schema_migration (file_name, version, sha256) "
                        "VALUES ('V9999__from_the_future.sql', 9999, '')"));
  PgBackendOptions options;
  options.url = url_;

  EXPECT_THAT(Create(url_),
              base::StatusIs(absl::StatusCode::kFailedPrecondition,
                             AllOf(HasSubstr("upgrade this binary"), HasSubstr("9999"))));
  EXPECT_THAT(
      Migrate(options, telemetry::NullLogger()),
      base::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("upgrade this binary")));
}

TEST_F(PgBackendTest, MigratingAgainChangesNothing) {
  PgBackendOptions options;
  options.url = url_;
  const std::string applied =
      "SELECT string_agg(file_name || applied_at, ',' ORDER BY file_name) "
      "FROM gannet.schema_migration";
  const std::string before = Value(applied);

  EXPECT_OK(Migrate(options, telemetry::NullLogger()));

  EXPECT_EQ(Value(applied), before);
}

TEST_F(PgBackendTest, AnUnreachableDatabaseIsUnavailable) {
  EXPECT_THAT(Create("postgres://127.0.0.1:1/class"),
              base::StatusIs(absl::StatusCode::kUnavailable, HasSubstr("127.0.0.1:1/class")));
  EXPECT_THAT(Create("postgres://ada:hunter2@db/class"),
              base::StatusIs(absl::StatusCode::kInvalidArgument, Not(HasSubstr("hunter2"))));
}

TEST_F(PgBackendTest, WhatASuperuserMigratesBelongsToTheOwnerOfTheSchema) {
  const std::string url = server_.CreateEmptyDatabase();
  ASSERT_OK(server_.Run(url, "CREATE ROLE test_owner LOGIN CREATEROLE"));
  ASSERT_OK(server_.Run(url,
                        "GRANT ALL ON SCHEMA public TO test_owner;"
                        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO test_owner', "
                        "current_database()); END $$"));
  PgBackendOptions owner;
  owner.url = TestPostgres::UrlAs(url, "test_owner");
  ASSERT_OK(Migrate(owner, telemetry::NullLogger()));
  // The functions are those of another build, and the newest table has not been made yet.
  ASSERT_OK(server_.Run(url,
                        "DELETE FROM gannet.schema_migration WHERE version IS NULL OR version = 12;"
                        "DROP TABLE gannet.gateway_report"));

  PgBackendOptions superuser;
  superuser.url = url;
  ASSERT_OK(Migrate(superuser, telemetry::NullLogger()));

  ASSERT_OK_AND_ASSIGN(
      const pg::SqlRows foreign,
      server_.Query(
          url,
          "SELECT proname::text FROM pg_proc WHERE pronamespace = 'gannet'::regnamespace "
          "AND proowner <> 'test_owner'::regrole UNION ALL "
          "SELECT relname::text FROM pg_class WHERE relnamespace = 'gannet'::regnamespace "
          "AND relowner <> 'test_owner'::regrole"));
  EXPECT_EQ(foreign.size(), 0u) << *foreign.rows.front().front();
  EXPECT_OK(Migrate(owner, telemetry::NullLogger())) << "the owner's next one";
  server_.DropDatabase(url);
  ASSERT_OK(server_.Run(url_, "DROP OWNED BY test_owner; DROP ROLE test_owner"));
}

// Rights. That those of gannet_worker and gannet_coordinator suffice is shown by the contract
// suite, which runs under them.

TEST_F(PgBackendTest, ARoleWithoutRightsIsToldWhichItNeeds) {
  ASSERT_OK(server_.Run(url_, "CREATE ROLE test_stranger LOGIN"));

  EXPECT_THAT(
      Create(TestPostgres::UrlAs(url_, "test_stranger")),
      base::StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("GRANT gannet_worker")));

  ASSERT_OK(server_.Run(url_, "DROP ROLE test_stranger"));
}

TEST_F(PgBackendTest, AWorkersRoleReadsNoTable) {
  const std::string worker_url = TestPostgres::UrlAs(url_, "test_worker");
  ASSERT_OK_AND_ASSIGN(
      const pg::SqlRows tables,
      server_.Query(url_,
                    "SELECT relname FROM pg_class WHERE relnamespace = 'gannet'::regnamespace "
                    "AND relkind IN ('r', 'p', 'v', 'm')"));
  ASSERT_GT(tables.size(), 10u);

  for (const auto& row : tables.rows) {
    EXPECT_THAT(server_.Query(worker_url, absl::StrCat("SELECT FROM gannet.", *row[0])),
                base::StatusIs(absl::StatusCode::kPermissionDenied))
        << *row[0];
  }
}

TEST_F(PgBackendTest, AWorkersRoleExecutesOnlyTheCallsOfExchangeAndAGatewaysReport) {
  EXPECT_EQ(Value("SELECT string_agg(proname, ' ' ORDER BY proname) FROM pg_proc "
                  "WHERE pronamespace = 'gannet'::regnamespace "
                  "AND has_function_privilege('test_worker', oid, 'EXECUTE')"),
            "check_submission claim_unit describe_run fail_unit heartbeat join_run leave_run "
            "open_weights "
            "release_unit report_gateway schema_state stage_gradient submit_gradient");
}

TEST_F(PgBackendTest, EveryFunctionThatMayDoMoreThanItsCallerHasAFixedSearchPath) {
  // Expressions whose names were looked up when they were made (RETURN) need none.
  EXPECT_EQ(Value("SELECT string_agg(proname, ' ') FROM pg_proc WHERE pronamespace = "
                  "'gannet'::regnamespace AND NOT coalesce(proconfig::text LIKE "
                  "'%search_path=pg_catalog, pg_temp%', false) AND (prosecdef OR prosqlbody IS "
                  "NULL)"),
            "null");
}

TEST_F(PgBackendTest, NobodyElseExecutesAnything) {
  EXPECT_EQ(Value("SELECT string_agg(proname, ' ') FROM pg_proc WHERE pronamespace = "
                  "'gannet'::regnamespace AND has_function_privilege('public', oid, 'EXECUTE')"),
            "null");
}

TEST_F(PgBackendTest, OnlyTheHashOfASecretIsStored) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<PgBackend> backend, Create(url_));
  const domain::RunConfig config = exchange::TinyRunConfig();
  ASSERT_OK(backend->store().CreateRun(exchange::TestNewRun(config)));
  const exchange::WorkerIdentity worker = exchange::TestWorker(1);
  ASSERT_OK(backend->exchange().Join(exchange::TestJoin(worker, config)));

  EXPECT_EQ(Value(absl::StrCat("SELECT count(*) FROM gannet.worker w WHERE w::text LIKE '%",
                               worker.secret, "%'")),
            "0");
  EXPECT_EQ(Value(absl::StrCat("SELECT count(*) FROM gannet.worker WHERE secret_sha256 = sha256('",
                               worker.secret, "')")),
            "1");
}

// Notifications and restarts.

TEST_F(PgBackendTest, AClaimThatWaitsHearsOfAPublication) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<PgBackend> coordinator, Create(url_));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<PgBackend> gateway, Create(url_));
  domain::RunConfig config = exchange::TinyRunConfig();
  ASSERT_OK_AND_ASSIGN(const base::RunId run,
                       coordinator->store().CreateRun(exchange::TestNewRun(config)));
  ASSERT_OK_AND_ASSIGN(
      const exchange::Leadership leadership,
      coordinator->store().AcquireLeadership(run, exchange::TestLeader(1), absl::Hours(1)));
  // All units of round 1 are taken.
  for (int i = 0; i < config.units_per_round; ++i) {
    const exchange::WorkerIdentity other = exchange::TestWorker(10 + i);
    ASSERT_OK(gateway->exchange().Join(exchange::TestJoin(other, config)));
    ASSERT_OK(gateway->exchange().Claim({other, run, base::RandomHex(16), absl::ZeroDuration()}));
  }
  const exchange::WorkerIdentity worker = exchange::TestWorker(1);
  ASSERT_OK(gateway->exchange().Join(exchange::TestJoin(worker, config)));
  absl::StatusOr<exchange::ClaimResult> claimed = absl::CancelledError();
  std::thread waiter([&] {
    claimed =
        gateway->exchange().Claim({worker, run, base::RandomHex(16), exchange::kMaxClaimWait});
  });

  EXPECT_OK(coordinator->store().Publish(
      exchange::TestPublish(config, run, leadership, base::WeightsVersion(0))));
  waiter.join();

  ASSERT_OK(claimed);
  ASSERT_TRUE(claimed->unit.has_value());
  EXPECT_EQ(claimed->unit->round, base::Round(2));
}

TEST_F(PgBackendTest, TheBackendFollowsTheDatabaseThroughARestart) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<PgBackend> backend, Create(url_));
  const domain::RunConfig config = exchange::TinyRunConfig();
  ASSERT_OK_AND_ASSIGN(const base::RunId run,
                       backend->store().CreateRun(exchange::TestNewRun(config)));
  const exchange::WorkerIdentity worker = exchange::TestWorker(1);
  ASSERT_OK(backend->exchange().Join(exchange::TestJoin(worker, config)));
  ASSERT_OK(backend->exchange().FetchWeights({worker, run, base::WeightsVersion(0)}));

  server_.Stop(TestPostgres::StopMode::kImmediate);

  EXPECT_THAT(backend->Ping(), base::StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(backend->store().GetRunStatus(run), base::StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(backend->exchange().Claim({worker, run, base::RandomHex(16), absl::ZeroDuration()}),
              base::StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(backend->exchange().FetchWeights({worker, run, base::WeightsVersion(0)}),
              base::StatusIs(absl::StatusCode::kUnavailable));

  server_.Start();
  base::RealClock clock;
  const absl::Duration limit = clock.Steady() + absl::Minutes(1);
  while (!backend->Ping().ok() && clock.Steady() < limit) continue;
  EXPECT_OK(backend->Ping());
  ASSERT_OK_AND_ASSIGN(
      const exchange::ClaimResult claimed,
      backend->exchange().Claim({worker, run, base::RandomHex(16), absl::ZeroDuration()}));
  ASSERT_TRUE(claimed.unit.has_value());
  absl::StatusOr<domain::SubmitOutcome> outcome = absl::UnavailableError("not tried");
  while (absl::IsUnavailable(outcome.status()) && clock.Steady() < limit) {
    outcome = backend->exchange().Submit(exchange::TestSubmit(config, worker, *claimed.unit));
  }
  EXPECT_THAT(outcome, base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
}

TEST_F(PgBackendTest, AnAcceptWhoseAnswerIsLostIsRepeatedSafely) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<PgBackend> backend, Create(url_));
  const domain::RunConfig config = exchange::TinyRunConfig();
  ASSERT_OK_AND_ASSIGN(const base::RunId run,
                       backend->store().CreateRun(exchange::TestNewRun(config)));
  const exchange::WorkerIdentity worker = exchange::TestWorker(1);
  ASSERT_OK(backend->exchange().Join(exchange::TestJoin(worker, config)));
  ASSERT_OK_AND_ASSIGN(
      const exchange::ClaimResult claimed,
      backend->exchange().Claim({worker, run, base::RandomHex(16), absl::ZeroDuration()}));
  const exchange::SubmitRequest submission = exchange::TestSubmit(config, worker, *claimed.unit);
  // Ends the session at the commit of the first accept: nobody is told what became of it.
  ASSERT_OK(server_.Run(
      url_,
      "CREATE FUNCTION end_session() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS "
      "'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10); RETURN NULL; "
      "END';"
      "CREATE CONSTRAINT TRIGGER doubt AFTER INSERT ON gannet.gradient DEFERRABLE INITIALLY "
      "DEFERRED FOR EACH ROW EXECUTE FUNCTION end_session()"));

  EXPECT_THAT(backend->exchange().Submit(submission),
              base::StatusIs(absl::StatusCode::kUnavailable));
  ASSERT_OK(server_.Run(url_, "DROP TRIGGER doubt ON gannet.gradient"));

  EXPECT_THAT(backend->exchange().Submit(submission),
              base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
  EXPECT_THAT(backend->exchange().Submit(submission),
              base::IsOkAndHolds(domain::SubmitOutcome::kAlreadyAccepted));
}

TEST_F(PgBackendTest, APublicationWhoseCommitIsLostIsInDoubt) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<PgBackend> backend, Create(url_));
  const domain::RunConfig config = exchange::TinyRunConfig();
  exchange::Store& store = backend->store();
  ASSERT_OK_AND_ASSIGN(const base::RunId run, store.CreateRun(exchange::TestNewRun(config)));
  ASSERT_OK_AND_ASSIGN(const exchange::Leadership leadership,
                       store.AcquireLeadership(run, exchange::TestLeader(1), absl::Hours(1)));
  ASSERT_OK(server_.Run(
      url_,
      "CREATE FUNCTION end_session() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS "
      "'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10); RETURN NULL; "
      "END';"
      "CREATE CONSTRAINT TRIGGER doubt AFTER INSERT ON gannet.round_summary DEFERRABLE INITIALLY "
      "DEFERRED FOR EACH ROW EXECUTE FUNCTION end_session()"));

  EXPECT_THAT(
      store.Publish(exchange::TestPublish(config, run, leadership, base::WeightsVersion(0))),
      base::StatusIs(absl::StatusCode::kUnknown, HasSubstr("publish")));

  ASSERT_OK_AND_ASSIGN(const exchange::RunStatus status, store.GetRunStatus(run));
  EXPECT_EQ(status.weights_version, base::WeightsVersion(0));
}

// The ring.

TEST_F(PgBackendTest, ALongReaderDoesNotHoldUpARound) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<PgBackend> backend, Create(url_));
  const domain::RunConfig config = exchange::TinyRunConfig();
  exchange::Store& store = backend->store();
  ASSERT_OK_AND_ASSIGN(const base::RunId run, store.CreateRun(exchange::TestNewRun(config)));
  ASSERT_OK_AND_ASSIGN(const exchange::Leadership leadership,
                       store.AcquireLeadership(run, exchange::TestLeader(1), absl::Hours(1)));
  for (int64_t version = 0; version < 7; ++version) {
    ASSERT_OK(store.Publish(
        exchange::TestPublish(config, run, leadership, base::WeightsVersion(version))));
  }
  pg::PgConnectionOptions options;
  options.url = url_;
  ASSERT_OK_AND_ASSIGN(const pg::PgConnectionParams params, pg::MakeConnectionParams(options));
  base::RealClock clock;
  pg::PgPool reader(params, pg::BoundedPoolOptions{"reader", 1}, clock, metrics_);
  const std::string read =
      absl::StrCat("SELECT FROM gannet.weights_blob_", run.value(), "_0 LIMIT 1");

  EXPECT_OK(reader.RunInTransaction(
      "read", pg::SqlIsolation::kReadCommitted, [&](pg::SqlTransaction& transaction) {
        EXPECT_OK(transaction.Execute({"read", read.c_str(), true}, pg::SqlParams()));
        EXPECT_OK(store.ReclaimOldBlobs(run, leadership, base::Round(8)));
        return absl::OkStatus();
      }));

  const std::string leaf = absl::StrCat("gannet.weights_blob_", run.value(), "_0");
  EXPECT_EQ(Value(absl::StrCat("SELECT count(*) FROM ", leaf)), "0");
  EXPECT_NE(Value(absl::StrCat("SELECT pg_relation_size('", leaf, "')")), "0");
  for (int64_t version = 7; version < 15; ++version) {
    ASSERT_OK(store.Publish(
        exchange::TestPublish(config, run, leadership, base::WeightsVersion(version))));
  }
  EXPECT_OK(store.ReclaimOldBlobs(run, leadership, base::Round(16)));
  EXPECT_EQ(Value(absl::StrCat("SELECT pg_relation_size('", leaf, "')")), "0")
      << "its room is free the next time";
}

TEST_F(PgBackendTest, RowsOfBlobsFillAPageAndAreNeverToasted) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<PgBackend> backend, Create(url_));
  exchange::NewRun request = exchange::TestNewRun(exchange::TinyRunConfig());
  request.weights = exchange::Payload::FromBytes(tensor::Codec::kFp32, std::string(80'000, 'w'));
  ASSERT_OK_AND_ASSIGN(const base::RunId run, backend->store().CreateRun(request));

  EXPECT_EQ(
      Value(absl::StrCat("SELECT pg_relation_size('gannet.weights_blob_", run.value(), "_0')")),
      absl::StrCat(10 * 8192));
  EXPECT_EQ(Value("SELECT count(*) FROM pg_class WHERE relname LIKE '%blob%' "
                  "AND reltoastrelid <> 0"),
            "0");
}

}  // namespace
}  // namespace gannet::store
