#include "libs/base/stop_signal.h"

#include <thread>

#include "gtest/gtest.h"

namespace gannet::base {
namespace {

TEST(StopSignalTest, StaysRequested) {
  StopSignal stop;
  EXPECT_FALSE(stop.requested());
  EXPECT_FALSE(stop.AwaitFor(absl::Microseconds(1)));

  stop.Request();

  EXPECT_TRUE(stop.requested());
  EXPECT_TRUE(stop.AwaitFor(absl::InfiniteDuration()));
}

TEST(StopSignalTest, EndsAWaitInAnotherThread) {
  StopSignal stop;
  std::thread waiter([&] { stop.Await(); });

  stop.Request();

  waiter.join();
}

}  // namespace
}  // namespace gannet::base
