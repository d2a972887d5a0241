#include "services/gateway/database_watch.h"

#include <atomic>
#include <future>

#include "gtest/gtest.h"
#include "libs/base/clock.h"
#include "services/gateway/testing/waiting.h"

namespace gannet::gateway {
namespace {

DatabaseWatchOptions Quick() {
  return {.probe_interval = absl::Milliseconds(4), .silence_limit = absl::Seconds(20)};
}

TEST(DatabaseWatchTest, TellsWhenTheDatabaseComesGoesAndComesBack) {
  base::RealClock clock;
  std::atomic<bool> there = true;
  std::atomic<int> ups = 0;
  std::atomic<int> downs = 0;
  DatabaseWatch watch(
      [&there] { return there ? absl::OkStatus() : absl::UnavailableError("gone"); },
      [&](bool up) { ++(up ? ups : downs); }, clock, telemetry::NullLogger(), Quick());

  EXPECT_TRUE(AwaitTrue([&] { return ups == 1; }));
  there = false;
  EXPECT_TRUE(AwaitTrue([&] { return downs == 1; }));
  there = true;
  EXPECT_TRUE(AwaitTrue([&] { return ups == 2; }));
  EXPECT_EQ(downs, 1);
}

TEST(DatabaseWatchTest, ADatabaseThatWasNeverThereIsNoNews) {
  base::RealClock clock;
  std::atomic<int> probes = 0;
  std::atomic<int> changes = 0;
  {
    DatabaseWatch watch(
        [&probes] {
          ++probes;
          return absl::UnavailableError("gone");
        },
        [&changes](bool) { ++changes; }, clock, telemetry::NullLogger(), Quick());
    ASSERT_TRUE(AwaitTrue([&] { return probes > 3; }));
  }

  EXPECT_EQ(changes, 0);
}

TEST(DatabaseWatchTest, AProbeThatHangsIsADatabaseThatIsGone) {
  base::RealClock clock;
  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  std::atomic<int> probes = 0;
  std::atomic<bool> up = false;
  DatabaseWatch watch(
      [&] {
        if (++probes == 2) released.wait();
        return absl::OkStatus();
      },
      [&up](bool now) { up = now; }, clock, telemetry::NullLogger(),
      {.probe_interval = absl::Milliseconds(4), .silence_limit = absl::Milliseconds(40)});
  ASSERT_TRUE(AwaitTrue([&] { return up.load(); }));

  EXPECT_TRUE(AwaitTrue([&] { return !up; }));
  release.set_value();
  EXPECT_TRUE(AwaitTrue([&] { return up.load(); }));
}

TEST(DatabaseWatchTest, StopDoesNotWaitForAProbeThatHangs) {
  base::RealClock clock;
  std::promise<void> started;
  std::promise<void> release;
  DatabaseWatch watch(
      [&] {
        started.set_value();
        release.get_future().wait();
        return absl::OkStatus();
      },
      [](bool) { ADD_FAILURE() << "a change after Stop"; }, clock, telemetry::NullLogger(),
      {.probe_interval = absl::Hours(1), .silence_limit = absl::Hours(1)});
  started.get_future().wait();

  watch.Stop();

  release.set_value();
}

}  // namespace
}  // namespace gannet::gateway
