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

namespace gannet {
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
                                     NullLogger(), metrics_);
    EXPECT_OK(backend);
    return *std::move(backend);
  }

  absl::Status Report(const std::string& gateway, const std::vector<std::string>& refusing) {
    return gateway_->gateway_reports().Report({gateway, refusing});
  }

  std::vector<GatewayReport> List() { return coordinator_->gateway_reports().List().value(); }

  Metrics metrics_;
  const std::string url_;
  std::unique_ptr<PgBackend> gateway_;
  std::unique_ptr<PgBackend> coordinator_;
};

TEST_F(PgGatewayReportsTest, ACoordinatorReadsWhatGatewaysRefuse) {
  EXPECT_THAT(List(), IsEmpty());
  ASSERT_OK(Report("b:50051", {"joins"}));
  ASSERT_OK(Report("a:50051", {"uploads", "upload_slow"}));
  ASSERT_OK(Report("b:50051", {"fetches"}));

  EXPECT_THAT(List(), ElementsAre(GatewayReport{"a:50051", {"uploads", "upload_slow"}},
                                  GatewayReport{"b:50051", {"fetches"}}));
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
  EXPECT_THAT(Report("", {"joins"}), StatusIs(kInvalidArgument));
  EXPECT_THAT(Report("your database is gone, call 0900", {"joins"}), StatusIs(kInvalidArgument));
  EXPECT_THAT(Report(std::string(81, 'x'), {"joins"}), StatusIs(kInvalidArgument));
  EXPECT_THAT(Report("a:1\n", {"joins"}), StatusIs(kInvalidArgument));
  EXPECT_THAT(Report("a:1", {"Not a label"}), StatusIs(kInvalidArgument));
  EXPECT_THAT(Report("a:1", {std::string(41, 'x')}), StatusIs(kInvalidArgument));
  EXPECT_THAT(Report("a:1", std::vector<std::string>(33, "joins")), StatusIs(kInvalidArgument));
  for (int i = 0; i < kMaxGatewayReports + 10; ++i) {
    ASSERT_OK(Report(absl::StrCat("made-up:", i), {"joins"}));
  }

  EXPECT_THAT(List(), SizeIs(kMaxGatewayReports));
  EXPECT_THAT(gateway_->gateway_reports().List(), StatusIs(kPermissionDenied));
}

}  // namespace
}  // namespace gannet
