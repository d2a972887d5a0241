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

namespace gannet::store {
namespace {

// What the fixture holds, beside TinyRunConfig and the identities of TestWorker.
const base::UnitId kHeldUnit(89573788);
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
    ASSERT_OK(Migrate(options, telemetry::NullLogger()));
    coordinator_ = Connect("test_coordinator");
    worker_ = Connect("test_worker");
  }

  std::unique_ptr<PgBackend> Connect(const std::string& role) {
    PgBackendOptions options;
    options.url = TestPostgres::UrlAs(url_, role);
    absl::StatusOr<std::unique_ptr<PgBackend>> backend =
        PgBackend::Create(options, telemetry::NullLogger(), metrics_);
    EXPECT_OK(backend);
    return backend.ok() ? *std::move(backend) : nullptr;
  }

  TestPostgres& server_ = TestPostgres::Get();
  // A new one of this version; with it come the roles that may log in.
  const std::string fresh_url_ = server_.CreateDatabase();
  const std::string url_ = server_.CreateEmptyDatabase();
  telemetry::Metrics metrics_;
  std::unique_ptr<PgBackend> coordinator_;
  std::unique_ptr<PgBackend> worker_;
};

TEST_F(PgUpgradeTest, ARunOfVersionTwelveGoesOn) {
  ASSERT_NO_FATAL_FAILURE(Upgrade("schema_v12_with_a_run.sql"));
  ASSERT_NE(coordinator_, nullptr);
  ASSERT_NE(worker_, nullptr);
  exchange::Store& store = coordinator_->store();
  exchange::Exchange& exchange = worker_->exchange();
  const exchange::WorkerIdentity ada = exchange::TestWorker(1);
  const exchange::WorkerIdentity grace = exchange::TestWorker(2);
  const exchange::WorkerIdentity removed = exchange::TestWorker(3);

  // Everything is there.
  ASSERT_OK_AND_ASSIGN(const exchange::RunStatus before, store.FindRun("tiny"));
  const base::RunId run = before.run;
  EXPECT_EQ(before.weights_version, base::WeightsVersion(1));
  EXPECT_EQ(before.config.policy.speculation_multiplier, 0);
  EXPECT_EQ(before.next_config.policy.speculation_multiplier, 4) << "from round 3";
  ASSERT_TRUE(before.best.has_value());
  EXPECT_EQ(before.best->distance, 0.25);
  ASSERT_OK_AND_ASSIGN(const exchange::Store::Snapshot snapshot, store.LoadSnapshot(run));
  EXPECT_EQ(*snapshot.weights.bytes, *exchange::TestWeights(before.config, 1).bytes);
  EXPECT_OK(store.LoadBest(run));
  EXPECT_THAT(
      exchange.Claim({removed, run, base::RandomHex(16), absl::ZeroDuration()}),
      base::StatusIs(absl::StatusCode::kFailedPrecondition, ::testing::HasSubstr("sends noise")));

  // The lease that was held when the old version stopped, and a new one.
  exchange::WorkUnit held;
  held.unit = kHeldUnit;
  held.attempt = base::Attempt(kHeldAttempt);
  held.run = run;
  ASSERT_OK_AND_ASSIGN(const exchange::HeartbeatResult beat,
                       exchange.Heartbeat(grace, run, {{held.unit, held.attempt, 1}}));
  EXPECT_THAT(beat.dropped, ::testing::IsEmpty());
  held.image_indices = exchange::TestUnits(before.config, base::Round(2)).front().image_indices;
  EXPECT_THAT(exchange.Submit(exchange::TestSubmit(before.config, grace, held)),
              base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
  ASSERT_OK_AND_ASSIGN(const exchange::ClaimResult claim,
                       exchange.Claim({ada, run, base::RandomHex(16), absl::ZeroDuration()}));
  ASSERT_TRUE(claim.unit.has_value());
  EXPECT_EQ(claim.unit->round, base::Round(2));
  EXPECT_THAT(exchange.Submit(exchange::TestSubmit(before.config, ada, *claim.unit)),
              base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));

  // Nothing tells it from a database that was made by this version.
  ASSERT_OK_AND_ASSIGN(const std::string upgraded, SchemaText(url_));
  EXPECT_THAT(SchemaText(fresh_url_), base::IsOkAndHolds(upgraded));

  // And the round is published, the next one prepared.
  ASSERT_OK_AND_ASSIGN(const exchange::Leadership leadership,
                       store.AcquireLeadership(run, exchange::TestLeader(2), absl::Minutes(1)));
  ASSERT_OK(store.ReclaimOldBlobs(run, leadership, base::Round(3)));
  EXPECT_OK(store.FetchGradient(run, held.unit));
  exchange::PublishRequest publish =
      exchange::TestPublish(before.config, run, leadership, base::WeightsVersion(1));
  publish.consumed = {held.unit, claim.unit->unit};
  publish.settings_version = before.settings_version;
  publish.max_stale_rounds = domain::kMaxStaleRounds;
  ASSERT_OK(store.Publish(publish));
  ASSERT_OK_AND_ASSIGN(const exchange::RunStatus after, store.GetRunStatus(run));
  EXPECT_EQ(after.weights_version, base::WeightsVersion(2));
  EXPECT_EQ(after.config.policy.speculation_multiplier, 4);
  ASSERT_OK_AND_ASSIGN(const exchange::ClaimResult next,
                       exchange.Claim({ada, run, base::RandomHex(16), absl::ZeroDuration()}));
  ASSERT_TRUE(next.unit.has_value());
  EXPECT_EQ(next.unit->round, base::Round(3));
}

}  // namespace
}  // namespace gannet::store
