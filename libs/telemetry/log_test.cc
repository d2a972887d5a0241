#include "libs/telemetry/log.h"

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gannet::telemetry {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// The lines that `action` writes to stderr.
template <typename Action>
std::vector<std::string> LinesOf(const Action& action) {
  testing::internal::CaptureStderr();
  action();
  return absl::StrSplit(testing::internal::GetCapturedStderr(), '\n', absl::SkipEmpty());
}

TEST(LogTest, LinesBelowTheLevelAreNotWritten) {
  const auto lines = LinesOf([] {
    Logger log("worker", {.level = LogLevel::kWarning});
    log.Debug("one");
    log.Info("two");
    log.Warning("three");
    log.Error("four", {{"code", 7}});
    log.Flush();
  });

  EXPECT_THAT(lines,
              ElementsAre(EndsWith("WARNING worker three"), EndsWith("ERROR worker four code=7")));
}

TEST(LogTest, JsonIsOneObjectALine) {
  const auto lines = LinesOf([] { Logger("worker", {.json = true}).Info("hello", {{"n", 1}}); });

  EXPECT_THAT(lines, ElementsAre(AllOf(HasSubstr("{\"time\":\"20"),
                                       EndsWith("\"message\":\"hello\",\"n\":1}"))));
}

TEST(LogTest, BracesAndPercentSignsAreText) {
  const auto lines = LinesOf([] { Logger("worker", {}).Info("100 % of {} done {0}"); });

  EXPECT_THAT(lines, ElementsAre(EndsWith("100 % of {} done {0}")));
}

TEST(LogTest, LinesOfManyThreadsAreNotMixed) {
  const std::string payload(500, 'x');
  const auto lines = LinesOf([&] {
    Logger log("worker", {});
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 100; ++i) log.Info("line", {{"payload", payload}});
      });
    }
    for (std::thread& thread : threads) thread.join();
  });

  EXPECT_THAT(lines, SizeIs(400));
  EXPECT_THAT(lines, testing::Each(EndsWith("INFO worker line payload=" + payload)));
}

TEST(LogTest, TheNullLoggerWritesNothing) {
  EXPECT_THAT(LinesOf([] {
                NullLogger().Error("x");
                NullLogger().Flush();
              }),
              IsEmpty());
}

}  // namespace
}  // namespace gannet::telemetry
