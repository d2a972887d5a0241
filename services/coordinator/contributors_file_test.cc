#include "services/coordinator/contributors_file.h"

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "libs/base/testing/child_process.h"

namespace gannet::coordinator {
namespace {

exchange::WorkerSummary Named(const std::string& name, char digit, int64_t images) {
  exchange::WorkerSummary worker;
  worker.worker = base::WorkerId(std::string(32, digit));
  worker.display_name = name;
  worker.hardware = "cpu";
  worker.accepted_unit_count = images / 10;
  worker.accepted_image_count = images;
  worker.wasted_image_count = 3;
  worker.last_seen = absl::FromUnixSeconds(1'700'000'000);
  return worker;
}

constexpr char kHeading[] =
    "display_name,worker_id,accepted_unit_count,accepted_image_count,duplicate_unit_count,"
    "wasted_image_count,last_seen_time,hardware,removed_reason\n";

TEST(ContributorsFileTest, WhoComputedMostIsFirst) {
  exchange::WorkerSummary grace = Named("Grace", 'b', 20);
  grace.removed_reason = "left, \"for good\"";
  EXPECT_EQ(ContributorsText({Named("Ada", 'a', 10), grace}),
            std::string(kHeading) +
                "Grace,bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb,2,20,0,3,2023-11-14T22:13:20Z,cpu,\"left, "
                "\"\"for good\"\"\"\n"
                "Ada,aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,1,10,0,3,2023-11-14T22:13:20Z,cpu,\n");
}

TEST(ContributorsFileTest, ANameIsNeitherAFormulaNorALine) {
  const std::string text = ContributorsText({Named("=cmd|'/C calc'!A0\n", 'a', 1)});
  EXPECT_THAT(text, ::testing::HasSubstr("\n'=cmd|'/C calc'!A0?,aaaa"));
}

class ContributorsFileWriteTest : public ::testing::Test {
 protected:
  ContributorsFileWriteTest() : path_(::testing::TempDir() + "contributors_file_test.csv") {
    std::filesystem::remove(path_);
  }
  ~ContributorsFileWriteTest() override { std::filesystem::remove(path_); }

  const std::string path_;
  telemetry::Logger log_{"test", telemetry::LogOptions::FromWords("error", "text")};
};

TEST_F(ContributorsFileWriteTest, TheNewestListIsInTheFile) {
  int64_t images = 0;
  ContributorsFile file(path_, log_);
  file.Offer();  // before anybody leads there is nobody to list
  file.Await();
  EXPECT_FALSE(std::filesystem::exists(path_));
  file.Begin(
      [&](const base::WorkerId&, int) -> absl::StatusOr<std::vector<exchange::WorkerSummary>> {
        return std::vector<exchange::WorkerSummary>{Named("Ada", 'a', images)};
      });
  for (images = 10; images <= 30; images += 10) {
    file.Offer();
    file.Await();
    EXPECT_EQ(base::FileContents(path_), ContributorsText({Named("Ada", 'a', images)}));
  }
}

TEST_F(ContributorsFileWriteTest, MoreWorkersThanAPageAreAllListed) {
  std::vector<exchange::WorkerSummary> all;
  for (int i = 0; i <= exchange::kMaxPage; ++i) {
    exchange::WorkerSummary worker = Named("w", 'a', 1);
    worker.worker = base::WorkerId(absl::StrFormat("%032x", i));
    all.push_back(worker);
  }
  ContributorsFile file(path_, log_);
  file.Begin([&](const base::WorkerId& after,
                 int limit) -> absl::StatusOr<std::vector<exchange::WorkerSummary>> {
    std::vector<exchange::WorkerSummary> page;
    for (const exchange::WorkerSummary& worker : all) {
      if (after.value() < worker.worker.value() && page.size() < static_cast<size_t>(limit)) {
        page.push_back(worker);
      }
    }
    return page;
  });
  file.Offer();
  file.Await();
  EXPECT_EQ(base::FileContents(path_), ContributorsText(all));
}

TEST_F(ContributorsFileWriteTest, TheOldListStaysWhenThereIsNoNewOne) {
  ContributorsFile file(path_, log_);
  bool there = true;
  file.Begin(
      [&](const base::WorkerId&, int) -> absl::StatusOr<std::vector<exchange::WorkerSummary>> {
        if (!there) return absl::UnavailableError("no database");
        return std::vector<exchange::WorkerSummary>{Named("Ada", 'a', 10)};
      });
  file.Offer();
  file.Await();
  there = false;
  file.Offer();
  file.Await();
  EXPECT_EQ(base::FileContents(path_), ContributorsText({Named("Ada", 'a', 10)}));
}

}  // namespace
}  // namespace gannet::coordinator
