#include "tests/hostile/invariants.h"

#include <memory>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/store/pg_backend.h"
#include "libs/store/testing/synthetic_run.h"
#include "libs/store/testing/test_postgres.h"
#include "libs/telemetry/log.h"

namespace gannet::hostile {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A run with a published round, a kept gradient in the open one, and a lease.
class InvariantsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    store::PgBackendOptions options;
    options.url = url_;
    auto backend = store::PgBackend::Create(options, telemetry::NullLogger(), metrics_);
    ASSERT_OK(backend);
    backend_ = *std::move(backend);
    auto run =
        store::SyntheticRun::Create(backend_->store(), backend_->exchange(), "cluster", 2, 20'000);
    ASSERT_OK(run);
    run_ = *std::move(run);
    worker_ = run_->Join().value();
    for (int i = 0; i < 2; ++i)
      ASSERT_THAT(run_->ClaimAndSubmit(worker_), base::IsOkAndHolds(true));
    ASSERT_OK(run_->PrepareNext());
    ASSERT_OK(run_->Publish());
    ASSERT_THAT(run_->ClaimAndSubmit(worker_), base::IsOkAndHolds(true));
    ASSERT_OK(
        backend_->exchange().Claim({.worker = worker_,
                                    .run = base::RunId(Number("SELECT run_id FROM gannet.run")),
                                    .request_id = std::string(32, 'a'),
                                    .wait = absl::ZeroDuration()}));
    ASSERT_EQ(Number("SELECT count(*) FROM gannet.work_unit WHERE state = 'leased'"), 1);
  }
  void TearDown() override {
    run_.reset();
    backend_.reset();
    store::TestPostgres::Get().DropDatabase(url_);
  }

  int64_t Number(const std::string& sql) {
    const auto rows = store::TestPostgres::Get().Query(url_, sql);
    EXPECT_OK(rows) << sql;
    return rows.ok() ? std::stoll(rows->rows[0].at(0).value()) : -1;
  }
  std::vector<std::string> Broken() {
    return BrokenInvariants([this](const std::string& sql) { return Number(sql); });
  }
  // What is found when a statement has spoilt the database; puts it back.
  std::vector<std::string> BrokenBy(const std::string& fault, const std::string& remedy) {
    EXPECT_OK(store::TestPostgres::Get().Run(url_, fault));
    std::vector<std::string> broken = Broken();
    EXPECT_OK(store::TestPostgres::Get().Run(url_, remedy));
    return broken;
  }

  const std::string url_ = store::TestPostgres::Get().CreateDatabase();
  telemetry::Metrics metrics_;
  std::unique_ptr<store::PgBackend> backend_;
  std::unique_ptr<store::SyntheticRun> run_;
  exchange::WorkerIdentity worker_;
};

TEST_F(InvariantsTest, HoldInASoundDatabase) { EXPECT_THAT(Broken(), IsEmpty()); }

TEST_F(InvariantsTest, EachFaultThatIsPlantedIsFound) {
  const std::string leased = " WHERE state = 'leased'";
  EXPECT_THAT(BrokenBy("UPDATE gannet.work_unit SET micro_batches_done = 1000" + leased,
                       "UPDATE gannet.work_unit SET micro_batches_done = 0" + leased),
              ElementsAre(HasSubstr("progress is")));
  EXPECT_THAT(BrokenBy("UPDATE gannet.work_unit SET claim_request = NULL" + leased,
                       "UPDATE gannet.work_unit SET claim_request = 'a'" + leased),
              ElementsAre(HasSubstr("a lease belongs")));
  EXPECT_THAT(BrokenBy("UPDATE gannet.worker SET accepted_unit_count = accepted_unit_count + 1",
                       "UPDATE gannet.worker SET accepted_unit_count = accepted_unit_count - 1"),
              ElementsAre(HasSubstr("is credited with is")));
  EXPECT_THAT(BrokenBy("UPDATE gannet.work_unit SET state = 'ready' WHERE state = 'done' "
                       "AND round > (SELECT weights_version FROM gannet.run)",
                       "UPDATE gannet.work_unit SET state = 'done' WHERE unit_id IN ("
                       "SELECT unit_id FROM gannet.gradient)"),
              ElementsAre(HasSubstr("a unit is done when")));
  EXPECT_THAT(BrokenBy("UPDATE gannet.gradient SET attempt = attempt + 1 WHERE NOT EXISTS ("
                       "SELECT FROM gannet.work_unit u WHERE u.unit_id = gradient.unit_id "
                       "AND u.consumed)",
                       "UPDATE gannet.gradient g SET attempt = u.attempt FROM gannet.work_unit u "
                       "WHERE u.unit_id = g.unit_id"),
              ::testing::Contains(HasSubstr("under the last attempt")));
  EXPECT_THAT(BrokenBy("UPDATE gannet.gradient SET payload_bytes = payload_bytes + 1",
                       "UPDATE gannet.gradient SET payload_bytes = payload_bytes - 1"),
              ElementsAre(HasSubstr("has all of them")));
  EXPECT_THAT(BrokenBy("UPDATE gannet.round_summary SET discriminator_loss = 'NaN'",
                       "UPDATE gannet.round_summary SET discriminator_loss = 1"),
              ElementsAre(HasSubstr("summed up")));
  EXPECT_THAT(BrokenBy("UPDATE gannet.worker SET display_name = E'two\\nlines'",
                       "UPDATE gannet.worker SET display_name = 'one'"),
              ElementsAre(HasSubstr("names are short")));
  EXPECT_THAT(Broken(), IsEmpty()) << "each was put back";
}

}  // namespace
}  // namespace gannet::hostile
