#include "services/worker/memory_limit.h"

#include <filesystem>
#include <fstream>

#include "gtest/gtest.h"

namespace gannet::worker {
namespace {

class MemoryLimitTest : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_ + "/memory"); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  const std::string folder_ = ::testing::TempDir() + "/control-groups";
};

TEST_F(MemoryLimitTest, WithoutALimitThereIsNone) {
  EXPECT_EQ(MemoryLimit(folder_), 0);
  std::ofstream(folder_ + "/memory.max") << "max\n";
  EXPECT_EQ(MemoryLimit(folder_), 0);
  std::ofstream(folder_ + "/memory/memory.limit_in_bytes") << "9223372036854771712\n";
  EXPECT_EQ(MemoryLimit(folder_), 0);
}

TEST_F(MemoryLimitTest, BothVersionsOfControlGroupsAreRead) {
  std::ofstream(folder_ + "/memory/memory.limit_in_bytes") << "268435456\n";
  EXPECT_EQ(MemoryLimit(folder_), 256 << 20);
  std::ofstream(folder_ + "/memory.max") << "134217728\n";
  EXPECT_EQ(MemoryLimit(folder_), 128 << 20);
}

TEST_F(MemoryLimitTest, ThisProcessHasUsedSome) { EXPECT_GT(PeakMemory(), 1 << 20); }

}  // namespace
}  // namespace gannet::worker
