#include "services/coordinator/checkpoint_writer.h"

#include <cstdlib>
#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/checkpoint/checkpoint.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/telemetry/log.h"

namespace gannet {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class CheckpointWriterTest : public ::testing::Test {
 protected:
  CheckpointWriterTest() {
    std::string name = ::testing::TempDir() + "/gannet_checkpoints_XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  ~CheckpointWriterTest() override { std::filesystem::remove_all(folder_); }

  Store::Snapshot Snapshot(int64_t version) const {
    return {WeightsVersion(version), TestWeights(config_, static_cast<float>(version)),
            TestAdamState(config_, 0.5f)};
  }

  const RunConfig config_ = TinyRunConfig("faces");
  std::string folder_;
};

TEST_F(CheckpointWriterTest, KeepsTheNewest) {
  CheckpointWriter writer(folder_ + "/checkpoints", 2, NullLogger());
  for (const int64_t version : {1, 2, 3}) ASSERT_OK(writer.Write(config_, Snapshot(version), {}));

  EXPECT_THAT(ListCheckpoints(folder_ + "/checkpoints"),
              ElementsAre(CheckpointPath(folder_ + "/checkpoints", WeightsVersion(2)),
                          CheckpointPath(folder_ + "/checkpoints", WeightsVersion(3))));
  ASSERT_OK_AND_ASSIGN(const Checkpoint last, ReadCheckpointFile(CheckpointPath(
                                                  folder_ + "/checkpoints", WeightsVersion(3))));
  EXPECT_EQ(last.config, config_);
  EXPECT_EQ(last.weights.tensors()[0].f32()[0], 3);
}

TEST_F(CheckpointWriterTest, WhatIsOfferedIsWrittenBesideOrGivesWayToANewerOne) {
  CheckpointWriter writer(folder_, 100, NullLogger());
  for (int64_t version = 1; version <= 20; ++version) writer.Offer(config_, Snapshot(version), {});
  ASSERT_OK(writer.Write(config_, Snapshot(21), {}));

  const std::vector<std::string> files = ListCheckpoints(folder_);
  EXPECT_EQ(files.back(), CheckpointPath(folder_, WeightsVersion(21)));
  for (const std::string& file : files) EXPECT_OK(ReadCheckpointFile(file));
}

TEST_F(CheckpointWriterTest, AFolderThatCannotBeMadeIsAnError) {
  CheckpointWriter writer("/proc/nothing", 2, NullLogger());

  EXPECT_THAT(writer.Write(config_, Snapshot(1), {}), StatusIs(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace gannet
