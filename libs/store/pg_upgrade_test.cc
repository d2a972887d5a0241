// A class updates in the middle of a run: a database of an older version, with a run in it, is
// migrated by this binary, and the run goes on.
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/hex.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/store/pg_backend.h"
#include "libs/store/testing/schema_text.h"
#include "libs/store/testing/test_postgres.h"

namespace gannet {
namespace {

// What the fixture holds, beside TinyRunConfig and the identities of TestWorker.
const UnitId kHeldUnit(89573788);
constexpr int kHeldAttempt = 2;

class PgUpgradeTest : public ::testing::Test {
 protected:
  ~PgUpgradeTest() override {
    coordinator_.reset();
    worker_.reset();
    server_.DropDatabase(url_);
    server_.DropDatabase(fresh_url_);
  }

  // Restores a dump of libs/store/testing and migrates it.
  void Upgrade(const std::string& dump) {
    const std::string path = absl::StrCat(GANNET_SOURCE_DIR, "/libs/store/testing/", dump);
    std::ifstream file(path);
    std::stringstream sql;
    sql << file.rdbuf();
    ASSERT_TRUE(file.good()) << path;
    ASSERT_OK(server_.Run(url_, sql.str()));
    PgBackendOptions options;
    options.url = url_;
    ASSERT_OK(Migrate(options, NullLogger()));
    coordinator_ = Connect("test_coordinator");
    worker_ = Connect("test_worker");
  }

  std::unique_ptr<PgBackend> Connect(const std::string& role) {
    PgBackendOptions options;
    options.url = TestPostgres::UrlAs(url_, role);
    absl::StatusOr<std::unique_ptr<PgBackend>> backend =
        PgBackend::Create(options, NullLogger(), metrics_);
    EXPECT_OK(backend);
    return backend.ok() ? *std::move(backend) : nullptr;
  }

  TestPostgres& server_ = TestPostgres::Get();
  // A new one of this version; with it come the roles that may log in.
  const std::string fresh_url_ = server_.CreateDatabase();
  const std::string url_ = server_.CreateEmptyDatabase();
  Metrics metrics_;
  std::unique_ptr<PgBackend> coordinator_;
  std::unique_ptr<PgBackend> worker_;
};

TEST_F(PgUpgradeTest, ARunOfVersionTwelveGoesOn) {
  ASSERT_NO_FATAL_FAILURE(Upgrade("schema_v12_with_a_run.sql"));
  ASSERT_NE(coordinator_, nullptr);
  ASSERT_NE(worker_, nullptr);
  Store& store = coordinator_->store();
  Exchange& exchange = worker_->exchange();
  const WorkerIdentity ada = TestWorker(1);
  const WorkerIdentity grace = TestWorker(2);
  const WorkerIdentity removed = TestWorker(3);

  // Everything is there.
  ASSERT_OK_AND_ASSIGN(const RunStatus before, store.FindRun("tiny"));
  const RunId run = before.run;
  EXPECT_EQ(before.weights_version, WeightsVersion(1));
  EXPECT_EQ(before.config.policy.spare_after, 0);
  EXPECT_EQ(before.next_config.policy.spare_after, 4) << "from round 3";
  ASSERT_TRUE(before.best.has_value());
  EXPECT_EQ(before.best->distance, 0.25);
  ASSERT_OK_AND_ASSIGN(const Store::Snapshot snapshot, store.LoadSnapshot(run));
  EXPECT_EQ(*snapshot.weights.bytes, *TestWeights(before.config, 1).bytes);
  EXPECT_OK(store.LoadBest(run));
  EXPECT_THAT(exchange.Claim({removed, run, RandomHex(16), absl::ZeroDuration()}),
              StatusIs(absl::StatusCode::kFailedPrecondition, ::testing::HasSubstr("sends noise")));

  // The lease that was held when the old version stopped, and a new one.
  WorkUnit held;
  held.unit = kHeldUnit;
  held.attempt = Attempt(kHeldAttempt);
  held.run = run;
  ASSERT_OK_AND_ASSIGN(const HeartbeatResult beat,
                       exchange.Heartbeat(grace, run, {{held.unit, held.attempt, 1}}));
  EXPECT_THAT(beat.dropped, ::testing::IsEmpty());
  held.image_indices = TestUnits(before.config, Round(2)).front().image_indices;
  EXPECT_THAT(exchange.Submit(TestSubmit(before.config, grace, held)),
              IsOkAndHolds(SubmitOutcome::kAccepted));
  ASSERT_OK_AND_ASSIGN(const ClaimResult claim,
                       exchange.Claim({ada, run, RandomHex(16), absl::ZeroDuration()}));
  ASSERT_TRUE(claim.unit.has_value());
  EXPECT_EQ(claim.unit->round, Round(2));
  EXPECT_THAT(exchange.Submit(TestSubmit(before.config, ada, *claim.unit)),
              IsOkAndHolds(SubmitOutcome::kAccepted));

  // Nothing tells it from a database that was made by this version.
  ASSERT_OK_AND_ASSIGN(const std::string upgraded, SchemaText(url_));
  EXPECT_THAT(SchemaText(fresh_url_), IsOkAndHolds(upgraded));

  // And the round is published, the next one prepared.
  ASSERT_OK_AND_ASSIGN(const Leadership leadership,
                       store.AcquireLeadership(run, TestLeader(2), absl::Minutes(1)));
  ASSERT_OK(store.PrepareRound(run, leadership, Round(3)));
  EXPECT_OK(store.FetchGradient(run, held.unit));
  PublishRequest publish = TestPublish(before.config, run, leadership, WeightsVersion(1));
  publish.consumed = {held.unit, claim.unit->unit};
  publish.settings_version = before.settings_version;
  publish.max_stale_rounds = kMaxStaleRounds;
  ASSERT_OK(store.Publish(publish));
  ASSERT_OK_AND_ASSIGN(const RunStatus after, store.GetRunStatus(run));
  EXPECT_EQ(after.weights_version, WeightsVersion(2));
  EXPECT_EQ(after.config.policy.spare_after, 4);
  ASSERT_OK_AND_ASSIGN(const ClaimResult next,
                       exchange.Claim({ada, run, RandomHex(16), absl::ZeroDuration()}));
  ASSERT_TRUE(next.unit.has_value());
  EXPECT_EQ(next.unit->round, Round(3));
}

}  // namespace
}  // namespace gannet
