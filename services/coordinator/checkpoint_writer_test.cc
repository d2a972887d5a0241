#include "services/coordinator/checkpoint_writer.h"

#include <cstdlib>
#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/checkpoint/checkpoint.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/telemetry/log.h"

namespace gannet::coordinator {
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

  TrainingState State(int64_t version) const {
    const exchange::Store::Snapshot snapshot = {
        base::WeightsVersion(version), exchange::TestWeights(config_, static_cast<float>(version)),
        exchange::TestAdamState(config_, 0.5f)};
    return {config_, snapshot, {}};
  }

  const domain::RunConfig config_ = exchange::TinyRunConfig("faces");
  std::string folder_;
};

TEST_F(CheckpointWriterTest, KeepsTheNewest) {
  CheckpointWriter writer(folder_ + "/checkpoints", 2, telemetry::NullLogger());
  for (const int64_t version : {1, 2, 3}) ASSERT_OK(writer.Write(State(version)));

  EXPECT_THAT(
      checkpoint::ListCheckpoints(folder_ + "/checkpoints"),
      ElementsAre(checkpoint::CheckpointPath(folder_ + "/checkpoints", base::WeightsVersion(2)),
                  checkpoint::CheckpointPath(folder_ + "/checkpoints", base::WeightsVersion(3))));
  ASSERT_OK_AND_ASSIGN(const checkpoint::Checkpoint last,
                       checkpoint::ReadCheckpointFile(checkpoint::CheckpointPath(
                           folder_ + "/checkpoints", base::WeightsVersion(3))));
  EXPECT_EQ(last.config, config_);
  EXPECT_EQ(last.weights.tensors()[0].f32()[0], 3);
}

TEST_F(CheckpointWriterTest, AFewThatComeAtOnceAreAllWritten) {
  CheckpointWriter writer(folder_, 100, telemetry::NullLogger());
  for (const int64_t version : {1, 2, 3}) writer.Offer(State(version));
  ASSERT_OK(writer.Write(State(4)));

  const std::vector<std::string> files = checkpoint::ListCheckpoints(folder_);
  EXPECT_THAT(files, SizeIs(4));
  for (const std::string& file : files) EXPECT_OK(checkpoint::ReadCheckpointFile(file));
}

TEST_F(CheckpointWriterTest, OfManyTheNewestAreWritten) {
  CheckpointWriter writer(folder_, 100, telemetry::NullLogger());
  for (int64_t version = 1; version <= 20; ++version) writer.Offer(State(version));
  ASSERT_OK(writer.Write(State(21)));

  const std::vector<std::string> files = checkpoint::ListCheckpoints(folder_);
  ASSERT_GE(files.size(), 4u);
  for (int64_t version = 18; version <= 21; ++version) {
    EXPECT_EQ(files[files.size() - static_cast<size_t>(22 - version)],
              checkpoint::CheckpointPath(folder_, base::WeightsVersion(version)));
  }
  for (const std::string& file : files) EXPECT_OK(checkpoint::ReadCheckpointFile(file));
}

TEST_F(CheckpointWriterTest, ATrainingThatGoesBackKeepsWhatItWrites) {
  CheckpointWriter writer(folder_, 2, telemetry::NullLogger());
  for (const int64_t version : {40, 60}) ASSERT_OK(writer.Write(State(version)));

  writer.Begin(base::WeightsVersion(40));
  ASSERT_OK(writer.Write(State(50)));

  EXPECT_THAT(checkpoint::ListCheckpoints(folder_),
              ElementsAre(checkpoint::CheckpointPath(folder_, base::WeightsVersion(40)),
                          checkpoint::CheckpointPath(folder_, base::WeightsVersion(50))));
  EXPECT_OK(checkpoint::ReadCheckpointFile(folder_ + "/abandoned_round_000060.safetensors"));
}

TEST_F(CheckpointWriterTest, AFolderThatCannotBeMadeIsAnError) {
  CheckpointWriter writer("/proc/nothing", 2, telemetry::NullLogger());

  EXPECT_THAT(writer.Write(State(1)), base::StatusIs(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace gannet::coordinator
