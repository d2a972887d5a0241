#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/clock.h"
#include "libs/base/hex.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/pg/connection_params.h"
#include "libs/pg/pg_pool.h"
#include "libs/store/testing/pg_fixture.h"
#include "libs/store/testing/synthetic_run.h"
#include "libs/store/testing/test_postgres.h"
#include "libs/telemetry/metrics.h"

namespace gannet::store {
namespace {

constexpr int kRounds = 200;
constexpr size_t kPayloadBytes = 100'000;

int64_t Ask(const std::string& url, const std::string& sql) {
  const absl::StatusOr<pg::SqlRows> rows = TestPostgres::Get().Query(url, sql);
  EXPECT_OK(rows);
  if (!rows.ok()) return -1;
  pg::SqlRow row(*rows, 0);
  return row.Int("bytes");
}

// Of everything that holds payloads.
int64_t BlobBytes(const std::string& url) {
  return Ask(url,
             "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint AS bytes FROM pg_class "
             "WHERE relnamespace = 'gannet'::regnamespace AND relname LIKE '%blob%' "
             "AND relkind = 'r'");
}

int64_t DatabaseBytes(const std::string& url) {
  return Ask(url, "SELECT pg_database_size(current_database()) AS bytes");
}

TEST(PgSizeTest, TheDatabaseStaysTheSameSize) {
  PgFixture backend;
  const domain::RunConfig config = exchange::TinyRunConfig();
  exchange::NewRun request = exchange::TestNewRun(config);
  const exchange::Payload payload =
      exchange::Payload::FromBytes(tensor::Codec::kFp32, std::string(kPayloadBytes, 'p'));
  request.weights = payload;
  request.adam_state = payload;
  ASSERT_OK_AND_ASSIGN(const base::RunId run, backend.store().CreateRun(request));
  ASSERT_OK_AND_ASSIGN(
      const exchange::Leadership leadership,
      backend.store().AcquireLeadership(run, exchange::TestLeader(1), absl::Hours(1)));
  const exchange::WorkerIdentity worker = exchange::TestWorker(1);
  ASSERT_OK(backend.exchange().Join(exchange::TestJoin(worker, config)));
  // The ring, full: eight rounds of gradients and weights, four of Adam's state, two of the best
  // weights; and the index of their rows.
  const auto payloads = 8 * config.units_per_round + 8 + 4 + 2;
  const auto bound = static_cast<int64_t>(payloads * 13 * 8192 * 1.25);
  int64_t after_twenty = 0;

  for (int64_t version = 0; version < kRounds; ++version) {
    ASSERT_OK(backend.store().ReclaimOldBlobs(run, leadership, base::Round(version + 1)));
    exchange::PublishRequest publish =
        exchange::TestPublish(config, run, leadership, base::WeightsVersion(version));
    publish.weights = payload;
    publish.adam_state = payload;
    for (int i = 0; i < config.units_per_round; ++i) {
      ASSERT_OK_AND_ASSIGN(
          const exchange::ClaimResult claimed,
          backend.exchange().Claim({worker, run, base::RandomHex(16), absl::ZeroDuration()}));
      ASSERT_TRUE(claimed.unit.has_value());
      exchange::SubmitRequest submission = exchange::TestSubmit(config, worker, *claimed.unit);
      submission.payload = payload;
      ASSERT_THAT(backend.exchange().Submit(submission),
                  base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
      publish.consumed.push_back(claimed.unit->unit);
    }
    ASSERT_OK(backend.store().Publish(publish));
    ASSERT_OK(backend.store().SaveBest(run, leadership, {base::WeightsVersion(version + 1), 0.5},
                                       payload));
    if (version == 20) after_twenty = BlobBytes(backend.url());
    if (version % 20 == 19) {
      EXPECT_LE(BlobBytes(backend.url()), bound) << "version " << version;
    }
  }

  EXPECT_GT(after_twenty, payloads * int64_t{kPayloadBytes} / 2);
  EXPECT_LE(BlobBytes(backend.url()), after_twenty * 11 / 10);
  // The ledger is pruned with the ring; what is kept of a unit permanently is small.
  EXPECT_LE(Ask(backend.url(), "SELECT count(*) AS bytes FROM gannet.ledger"),
            9 * config.units_per_round);
  ASSERT_OK(TestPostgres::Get().Query(backend.url(), "VACUUM gannet.work_unit"));
  EXPECT_LE(Ask(backend.url(), "SELECT pg_total_relation_size('gannet.work_unit') AS bytes"),
            int64_t{kRounds} * config.units_per_round * 1500);

  // What is left of a run that has ended: weights, Adam's state and the best weights, the latter
  // twice.
  ASSERT_OK(backend.store().SetRunState(run, domain::RunState::kStopped, "enough"));
  ASSERT_OK(backend.store().ReclaimBlobs(run, leadership));
  EXPECT_LE(BlobBytes(backend.url()), int64_t{4} * 13 * 8192 * 2);
  ASSERT_OK(backend.store().LoadSnapshot(run));
  ASSERT_OK(backend.store().LoadBest(run));

  ASSERT_OK(backend.store().ResignLeadership(run, leadership));
  ASSERT_OK(backend.store().DeleteRun(run));
  EXPECT_EQ(Ask(backend.url(), absl::StrCat("SELECT count(*) AS bytes FROM pg_class WHERE "
                                            "relname LIKE '%blob_",
                                            run.value(), "%'")),
            0);
  EXPECT_LE(BlobBytes(backend.url()), 10 * 8192);
}

// A transaction that somebody has left open, after reading every blob of a run.
class ForgottenReader {
 public:
  explicit ForgottenReader(const std::string& url) {
    pg::PgConnectionOptions options;
    options.url = url;
    options.idle_in_transaction_timeout = absl::Hours(1);  // however long the rounds take
    pool_ = std::make_unique<pg::PgPool>(*pg::MakeConnectionParams(options),
                                         pg::BoundedPoolOptions{"reader", 1}, clock_, metrics_);
    thread_ = std::thread([this] {
      EXPECT_OK(pool_->RunInTransaction(
          "read", pg::SqlIsolation::kRepeatableRead, [&](pg::SqlTransaction& transaction) {
            EXPECT_OK(transaction.Execute(kReadBlobs, pg::SqlParams()));
            reads_.Notify();
            goes_.WaitForNotification();
            return absl::OkStatus();
          }));
    });
    reads_.WaitForNotification();
  }
  ~ForgottenReader() {
    goes_.Notify();
    thread_.join();
  }

 private:
  static constexpr pg::SqlStatement kReadBlobs = {
      "read_blobs", "SELECT count(*) FROM gannet.gradient_blob WHERE seq = 0", true};

  base::RealClock clock_;
  telemetry::Metrics metrics_;
  std::unique_ptr<pg::PgPool> pool_;
  absl::Notification reads_;
  absl::Notification goes_;
  std::thread thread_;
};

// Gradients as large as those of a 64x64 network, in two runs of which one is twice as fast.
TEST(PgSizeTest, TwoRunsOfRealSizeStayBoundedAndLoseNothing) {
  constexpr int kRealRounds = 40;
  constexpr int kUnits = 2;
  constexpr size_t kRealBytes = 12'700'000;
  PgFixture backend;
  ASSERT_OK_AND_ASSIGN(const auto fast, SyntheticRun::Create(backend.store(), backend.exchange(),
                                                             "fast", kUnits, kRealBytes));
  ASSERT_OK_AND_ASSIGN(const auto slow, SyntheticRun::Create(backend.store(), backend.exchange(),
                                                             "slow", kUnits, kRealBytes));
  int64_t after_twenty = 0;
  for (int round = 1; round <= kRealRounds; ++round) {
    for (SyntheticRun* run : {fast.get(), slow.get()}) {
      if (run == slow.get() && round % 2 == 1) continue;
      ASSERT_OK_AND_ASSIGN(const exchange::WorkerIdentity worker, run->Join());
      ASSERT_OK(run->PrepareNext());
      for (int unit = 0; unit < kUnits; ++unit) {
        ASSERT_THAT(run->ClaimAndSubmit(worker), base::IsOkAndHolds(true));
      }
      ASSERT_OK(run->CheckPayloads(worker));
      ASSERT_OK(run->Publish());
      ASSERT_OK(run->SaveBest());
    }
    if (round == 20) after_twenty = DatabaseBytes(backend.url());
  }
  EXPECT_LE(DatabaseBytes(backend.url()), after_twenty * 11 / 10);

  // Whoever forgets to end a transaction holds up nobody, over more rounds than the ring has.
  {
    const ForgottenReader reader(backend.url());
    ASSERT_OK_AND_ASSIGN(const exchange::WorkerIdentity worker, fast->Join());
    for (int round = 0; round < 10; ++round) {
      ASSERT_OK(fast->PrepareNext());
      for (int unit = 0; unit < kUnits; ++unit) {
        ASSERT_THAT(fast->ClaimAndSubmit(worker), base::IsOkAndHolds(true));
      }
      ASSERT_OK(fast->CheckPayloads(worker));
      ASSERT_OK(fast->Publish());
    }
  }
  // What it saw is reclaimed once it is gone.
  ASSERT_OK_AND_ASSIGN(const exchange::WorkerIdentity worker, fast->Join());
  for (int round = 0; round < 10; ++round) {
    ASSERT_OK(fast->PrepareNext());
    for (int unit = 0; unit < kUnits; ++unit) {
      ASSERT_THAT(fast->ClaimAndSubmit(worker), base::IsOkAndHolds(true));
    }
    ASSERT_OK(fast->Publish());
  }
  EXPECT_LE(DatabaseBytes(backend.url()), after_twenty * 11 / 10);
}

}  // namespace
}  // namespace gannet::store
