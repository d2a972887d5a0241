#include "services/coordinator/settings_file_watch.h"

#include <cstdio>
#include <fstream>

#include "gtest/gtest.h"

namespace gannet::coordinator {
namespace {

void Write(const std::string& path, const char* text) { std::ofstream(path) << text; }

TEST(SettingsFileWatchTest, EachEditIsNoticedOnce) {
  const std::string path = ::testing::TempDir() + "/watched.yaml";
  Write(path, "run: {rounds: 5}\n");
  SettingsFileWatch watch(path);
  EXPECT_FALSE(watch.Changed());

  Write(path, "run: {rounds: 6}\n");
  EXPECT_TRUE(watch.Changed());
  EXPECT_FALSE(watch.Changed());

  std::remove(path.c_str());
  EXPECT_FALSE(watch.Changed()) << "an editor may be about to replace it";
  Write(path, "run: {rounds: 6}\n");
  EXPECT_FALSE(watch.Changed());
  std::remove(path.c_str());
}

TEST(SettingsFileWatchTest, WithoutAFileNothingChanges) {
  SettingsFileWatch watch("");

  EXPECT_FALSE(watch.Changed());
}

}  // namespace
}  // namespace gannet::coordinator
