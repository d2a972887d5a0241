#include "libs/exchange/work_signal.h"

#include <atomic>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace gannet::exchange {
namespace {

TEST(WorkSignalTest, WhatWasNotifiedBeforeIsNotWaitedFor) {
  WorkSignal signal;
  const uint64_t before = signal.generation();
  signal.Notify();

  EXPECT_GT(signal.AwaitPast(before, absl::InfiniteDuration()), before);
}

TEST(WorkSignalTest, AWaitEndsWithItsTime) {
  WorkSignal signal;
  const uint64_t now = signal.generation();

  EXPECT_EQ(signal.AwaitPast(now, absl::Milliseconds(1)), now);
  EXPECT_EQ(signal.AwaitPast(now, absl::ZeroDuration()), now);
  EXPECT_EQ(signal.AwaitPast(now, absl::Seconds(-1)), now);
}

TEST(WorkSignalTest, EveryWaiterIsWoken) {
  WorkSignal signal;
  const uint64_t before = signal.generation();
  std::atomic<int> woken{0};
  std::vector<std::thread> waiters;
  for (int i = 0; i < 3; ++i) {
    waiters.emplace_back([&] {
      signal.AwaitPast(before, absl::InfiniteDuration());
      ++woken;
    });
  }

  signal.Notify();
  for (std::thread& waiter : waiters) waiter.join();

  EXPECT_EQ(woken, 3);
}

}  // namespace
}  // namespace gannet::exchange
