#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/hex.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/store/testing/pg_fixture.h"
#include "libs/store/testing/test_postgres.h"

namespace gannet {
namespace {

constexpr int kRounds = 200;
constexpr size_t kPayloadBytes = 100'000;

int64_t Ask(const std::string& url, const std::string& sql) {
  const absl::StatusOr<SqlRows> rows = TestPostgres::Get().Query(url, sql);
  EXPECT_OK(rows);
  if (!rows.ok()) return -1;
  SqlRow row(*rows, 0);
  return row.Int("bytes");
}

// Of everything that holds payloads.
int64_t BlobBytes(const std::string& url) {
  return Ask(url,
             "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint AS bytes FROM pg_class "
             "WHERE relnamespace = 'gannet'::regnamespace AND relname LIKE '%blob%' "
             "AND relkind = 'r'");
}

TEST(PgSizeTest, TheDatabaseStaysTheSameSize) {
  PgFixture backend;
  const RunConfig config = TinyRunConfig();
  NewRun request = TestNewRun(config);
  const Payload payload = Payload::FromBytes(Codec::kFp32, std::string(kPayloadBytes, 'p'));
  request.weights = payload;
  request.adam_state = payload;
  ASSERT_OK_AND_ASSIGN(const RunId run, backend.store().CreateRun(request));
  ASSERT_OK_AND_ASSIGN(const Leadership leadership,
                       backend.store().AcquireLeadership(run, TestLeader(1), absl::Hours(1)));
  const WorkerIdentity worker = TestWorker(1);
  ASSERT_OK(backend.exchange().Join(TestJoin(worker, config)));
  // The ring, full: eight rounds of gradients and weights, four of Adam's state; and the index of
  // their rows.
  const auto payloads = 8 * config.units_per_round + 8 + 4;
  const auto bound = static_cast<int64_t>(payloads * 13 * 8192 * 1.2);
  int64_t after_twenty = 0;

  for (int64_t version = 0; version < kRounds; ++version) {
    ASSERT_OK(backend.store().PrepareRound(run, leadership, Round(version + 1)));
    PublishRequest publish = TestPublish(config, run, leadership, WeightsVersion(version));
    publish.weights = payload;
    publish.adam_state = payload;
    for (int i = 0; i < config.units_per_round; ++i) {
      ASSERT_OK_AND_ASSIGN(
          const ClaimResult claimed,
          backend.exchange().Claim({worker, run, RandomHex(16), absl::ZeroDuration()}));
      ASSERT_TRUE(claimed.unit.has_value());
      SubmitRequest submission = TestSubmit(config, worker, *claimed.unit);
      submission.payload = payload;
      ASSERT_THAT(backend.exchange().Submit(submission), IsOkAndHolds(SubmitOutcome::kAccepted));
      publish.consumed.push_back(claimed.unit->unit);
    }
    ASSERT_OK(backend.store().Publish(publish));
    if (version == 20) after_twenty = BlobBytes(backend.url());
    if (version % 20 == 19) {
      EXPECT_LE(BlobBytes(backend.url()), bound) << "version " << version;
    }
  }

  EXPECT_GT(after_twenty, static_cast<int64_t>(payloads * kPayloadBytes / 2));
  EXPECT_LE(BlobBytes(backend.url()), after_twenty * 11 / 10);
  // The ledger is pruned with the ring; what is kept of a unit for good is small.
  EXPECT_LE(Ask(backend.url(), "SELECT count(*) AS bytes FROM gannet.submission"),
            9 * config.units_per_round);
  ASSERT_OK(TestPostgres::Get().Query(backend.url(), "VACUUM gannet.work_unit"));
  EXPECT_LE(Ask(backend.url(), "SELECT pg_total_relation_size('gannet.work_unit') AS bytes"),
            int64_t{kRounds} * config.units_per_round * 1500);
}

}  // namespace
}  // namespace gannet
