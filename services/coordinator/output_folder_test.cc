#include "services/coordinator/output_folder.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::coordinator {
namespace {

using ::testing::HasSubstr;

class OutputFolderTest : public ::testing::Test {
 protected:
  OutputFolderTest() {
    std::string name = ::testing::TempDir() + "/gannet_output_XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  ~OutputFolderTest() override { std::filesystem::remove_all(folder_); }

  absl::StatusOr<std::shared_ptr<void>> Own(const std::string& run) {
    return OwnOutputFolder(folder_ + "/new/out", run, telemetry::NullLogger());
  }
  void Write(const std::string& name) {
    const std::filesystem::path path = folder_ + "/new/out/" + name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << name;
  }
  bool Exists(const std::string& name) const {
    return std::filesystem::exists(folder_ + "/new/out/" + name);
  }

  std::string folder_;
};

TEST_F(OutputFolderTest, TheSameRunGoesOnInItsFolderAlsoBesideItsStandby) {
  {
    ASSERT_OK_AND_ASSIGN(const std::shared_ptr<void> leader, Own("monday"));
    Write("metrics.csv");
    EXPECT_OK(Own("monday"));
  }

  EXPECT_OK(Own("monday"));
  EXPECT_TRUE(Exists("metrics.csv"));
}

TEST_F(OutputFolderTest, TheNextRunFindsAnEmptyFolderAndTheResultsBeforeAreKept) {
  ASSERT_OK(Own("mon/day"));
  Write("metrics.csv");
  Write("samples/round_000001.png");
  Write("mine.txt");

  ASSERT_OK(Own("tuesday"));
  EXPECT_FALSE(Exists("metrics.csv"));
  EXPECT_TRUE(Exists("of_mon_day/metrics.csv"));
  EXPECT_TRUE(Exists("of_mon_day/samples/round_000001.png"));
  EXPECT_TRUE(Exists("mine.txt")) << "what is not ours stays";

  Write("metrics.csv");
  ASSERT_OK(Own("mon/day"));
  Write("metrics.csv");
  ASSERT_OK(Own("tuesday"));
  EXPECT_TRUE(Exists("of_tuesday/metrics.csv"));
  EXPECT_TRUE(Exists("of_mon_day_2/metrics.csv"));
}

TEST_F(OutputFolderTest, TwoRunsDoNotWriteThereAtOnce) {
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<void> monday, Own("monday"));
  Write("metrics.csv");

  EXPECT_THAT(Own("tuesday"), base::StatusIs(absl::StatusCode::kInvalidArgument,
                                             HasSubstr("run monday writes there")));
  EXPECT_TRUE(Exists("metrics.csv"));
}

}  // namespace
}  // namespace gannet::coordinator
