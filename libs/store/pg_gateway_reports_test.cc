#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/store/pg_backend.h"
#include "libs/store/testing/test_postgres.h"
#include "libs/telemetry/log.h"
#include "libs/telemetry/metrics.h"

namespace gannet::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class PgGatewayReportsTest : public ::testing::Test {
 protected:
  PgGatewayReportsTest()
      : url_(TestPostgres::Get().CreateDatabase()),
        gateway_(As("test_worker")),
        coordinator_(As("test_coordinator")) {}
  ~PgGatewayReportsTest() override {
    gateway_.reset();
    coordinator_.reset();
    TestPostgres::Get().DropDatabase(url_);
  }

  std::unique_ptr<PgBackend> As(const std::string& role) {
    auto backend = PgBackend::Create({.url = TestPostgres::UrlAs(url_, role), .password_file = ""},
                                     telemetry::NullLogger(), metrics_);
    EXPECT_OK(backend);
    return *std::move(backend);
  }

  absl::Status Report(const std::string& gateway, const std::vector<std::string>& refusing) {
    return gateway_->gateway_reports().Report({gateway, refusing});
  }

  std::vector<exchange::GatewayReport> List() {
    return coordinator_->gateway_reports().List().value();
  }

  telemetry::Metrics metrics_;
  const std::string url_;
  std::unique_ptr<PgBackend> gateway_;
  std::unique_ptr<PgBackend> coordinator_;
};

TEST_F(PgGatewayReportsTest, ACoordinatorReadsWhatGatewaysRefuse) {
  EXPECT_THAT(List(), IsEmpty());
  ASSERT_OK(Report("b:50051", {"joins"}));
  ASSERT_OK(Report("a:50051", {"uploads", "upload_slow"}));
  ASSERT_OK(Report("b:50051", {"fetches"}));

  EXPECT_THAT(List(), ElementsAre(exchange::GatewayReport{"a:50051", {"uploads", "upload_slow"}},
                                  exchange::GatewayReport{"b:50051", {"fetches"}}));
}

TEST_F(PgGatewayReportsTest, WhoeverRefusesNothingOrFallsSilentIsForgotten) {
  ASSERT_OK(Report("a:50051", {"joins"}));
  ASSERT_OK(Report("b:50051", {"joins"}));
  ASSERT_OK(Report("a:50051", {}));
  EXPECT_THAT(List(), SizeIs(1));

  ASSERT_OK(TestPostgres::Get().Run(
      url_, "UPDATE gannet.gateway_report SET reported_at = reported_at - interval '61 seconds'"));

  EXPECT_THAT(List(), IsEmpty());
}

TEST_F(PgGatewayReportsTest, AWorkerThatLiesLeavesLittleBehind) {
  using enum absl::StatusCode;
  EXPECT_THAT(Report("", {"joins"}), base::StatusIs(kInvalidArgument));
  EXPECT_THAT(Report("your database is gone, call 0900", {"joins"}),
              base::StatusIs(kInvalidArgument));
  EXPECT_THAT(Report(std::string(81, 'x'), {"joins"}), base::StatusIs(kInvalidArgument));
  EXPECT_THAT(Report("a:1\n", {"joins"}), base::StatusIs(kInvalidArgument));
  EXPECT_THAT(Report("a:1", {"Not a label"}), base::StatusIs(kInvalidArgument));
  EXPECT_THAT(Report("a:1", {std::string(41, 'x')}), base::StatusIs(kInvalidArgument));
  EXPECT_THAT(Report("a:1", std::vector<std::string>(33, "joins")),
              base::StatusIs(kInvalidArgument));
  for (int i = 0; i < exchange::kMaxGatewayReports + 10; ++i) {
    ASSERT_OK(Report(absl::StrCat("made-up:", i), {"joins"}));
  }

  EXPECT_THAT(List(), SizeIs(exchange::kMaxGatewayReports));
  EXPECT_THAT(gateway_->gateway_reports().List(), base::StatusIs(kPermissionDenied));
}

}  // namespace
}  // namespace gannet::store
