// The documented way to keep a backup of everything and to bring it back on another server.
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/hex.h"
#include "libs/base/testing/child_process.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/store/pg_backend.h"
#include "libs/store/testing/test_postgres.h"

namespace gannet::store {
namespace {

class PgBackupTest : public ::testing::Test {
 protected:
  PgBackupTest() {
    char folder[] = "/tmp/gannet-backup-test-XXXXXX";
    EXPECT_NE(::mkdtemp(folder), nullptr);
    folder_ = folder;
  }
  ~PgBackupTest() override {
    TestPostgres::Get().DropDatabase(url_);
    std::filesystem::remove_all(folder_);
  }

  std::unique_ptr<PgBackend> Connect(const std::string& url) {
    PgBackendOptions options;
    options.url = url;
    absl::StatusOr<std::unique_ptr<PgBackend>> backend =
        PgBackend::Create(options, telemetry::NullLogger(), metrics_);
    EXPECT_OK(backend);
    return backend.ok() ? *std::move(backend) : nullptr;
  }

  // Runs a program of PostgreSQL; what it says when it fails.
  std::string Run(std::vector<std::string> argv) {
    argv[0] = TestPostgres::ProgramPath(argv[0]);
    const std::string line = absl::StrJoin(argv, " ");
    base::ChildProcess program({.argv = std::move(argv),
                                .environment = {"PATH=/usr/bin:/bin", "LC_ALL=C"},
                                .output_prefix = folder_ + "/program"});
    return program.AwaitExit() == 0 ? "" : absl::StrCat(line, ": ", program.err());
  }

  std::string folder_;
  telemetry::Metrics metrics_;
  const std::string url_ = TestPostgres::Get().CreateDatabase();
};

// A run in its second round, with a unit in progress, comes to a server that has never seen our
// roles.
TEST_F(PgBackupTest, ABackupGoesOnOnANewServer) {
  domain::RunConfig config = exchange::TinyRunConfig();
  const exchange::WorkerIdentity ada = exchange::TestWorker(1);
  base::RunId run;
  exchange::WorkUnit unit;
  {
    const std::unique_ptr<PgBackend> before = Connect(url_);
    ASSERT_NE(before, nullptr);
    ASSERT_OK_AND_ASSIGN(run, before->store().CreateRun(exchange::TestNewRun(config)));
    ASSERT_OK_AND_ASSIGN(
        const exchange::Leadership leadership,
        before->store().AcquireLeadership(run, exchange::TestLeader(1), absl::Minutes(1)));
    ASSERT_OK(before->store().Publish(
        exchange::TestPublish(config, run, leadership, base::WeightsVersion(0))));
    ASSERT_OK(before->store().ResignLeadership(run, leadership));
    ASSERT_OK(before->exchange().Join(exchange::TestJoin(ada, config)));
    ASSERT_OK_AND_ASSIGN(
        const exchange::ClaimResult claim,
        before->exchange().Claim({ada, run, base::RandomHex(16), absl::ZeroDuration()}));
    ASSERT_TRUE(claim.unit.has_value());
    unit = *claim.unit;
  }

  const std::string file = folder_ + "/gannet.dump";
  const std::unique_ptr<TestPostgres> other = TestPostgres::MakeAnother();
  const std::string restored = other->CreateEmptyDatabase();
  ASSERT_EQ(Run({"pg_dump", "--format=custom", "--schema=gannet", "--no-owner", "--no-privileges",
                 "--file=" + file, "--dbname=" + url_}),
            "");
  ASSERT_EQ(Run({"pg_restore", "--exit-on-error", "--no-owner", "--no-privileges",
                 "--dbname=" + restored, file}),
            "");
  PgBackendOptions options;
  options.url = restored;
  ASSERT_OK(Migrate(options, telemetry::NullLogger()));
  ASSERT_OK(other->Run(restored,
                       "CREATE ROLE test_worker LOGIN IN ROLE gannet_worker;"
                       "CREATE ROLE test_coordinator LOGIN IN ROLE gannet_coordinator"));

  const std::unique_ptr<PgBackend> coordinator =
      Connect(TestPostgres::UrlAs(restored, "test_coordinator"));
  const std::unique_ptr<PgBackend> worker = Connect(TestPostgres::UrlAs(restored, "test_worker"));
  ASSERT_NE(coordinator, nullptr);
  ASSERT_NE(worker, nullptr);
  ASSERT_OK_AND_ASSIGN(
      const exchange::Leadership leadership,
      coordinator->store().AcquireLeadership(run, exchange::TestLeader(2), absl::Minutes(1)));
  EXPECT_OK(coordinator->store().LoadSnapshot(run));
  EXPECT_OK(worker->exchange().FetchWeights({ada, run, base::WeightsVersion(1)}));
  EXPECT_THAT(worker->exchange().Submit(exchange::TestSubmit(config, ada, unit)),
              base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
  EXPECT_OK(coordinator->store().Publish(
      exchange::TestPublish(config, run, leadership, base::WeightsVersion(1))));
  EXPECT_OK(worker->exchange().Claim({ada, run, base::RandomHex(16), absl::ZeroDuration()}));
}

// Whatever became of the rights, by a restore or by hand: the next migrate makes them again.
TEST_F(PgBackupTest, RightsThatWereLostComeBackWithTheNextMigrate) {
  ASSERT_OK(TestPostgres::Get().Run(
      url_,
      "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA gannet FROM gannet_worker, gannet_coordinator;"
      "REVOKE ALL ON ALL TABLES IN SCHEMA gannet FROM gannet_coordinator;"
      "REVOKE ALL ON SCHEMA gannet FROM gannet_worker, gannet_coordinator;"
      "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA gannet TO PUBLIC"));
  PgBackendOptions options;
  options.url = url_;

  ASSERT_OK(Migrate(options, telemetry::NullLogger()));

  const std::unique_ptr<PgBackend> coordinator =
      Connect(TestPostgres::UrlAs(url_, "test_coordinator"));
  ASSERT_NE(coordinator, nullptr);
  domain::RunConfig config = exchange::TinyRunConfig();
  EXPECT_OK(coordinator->store().CreateRun(exchange::TestNewRun(config)));
  const std::unique_ptr<PgBackend> worker = Connect(TestPostgres::UrlAs(url_, "test_worker"));
  ASSERT_NE(worker, nullptr);
  EXPECT_OK(worker->exchange().Join(exchange::TestJoin(exchange::TestWorker(1), config)));
  const absl::StatusOr<pg::SqlRows> open =
      TestPostgres::Get().Query(url_,
                                "SELECT 1 FROM pg_proc WHERE pronamespace = 'gannet'::regnamespace "
                                "AND has_function_privilege('public', oid, 'EXECUTE')");
  ASSERT_OK(open);
  EXPECT_TRUE(open->empty());
  ASSERT_OK(TestPostgres::Get().Run(url_, "ALTER ROLE test_worker CONNECTION LIMIT -1"));
}

}  // namespace
}  // namespace gannet::store
