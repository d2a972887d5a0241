#include "libs/base/periodic_runner.h"

#include "gtest/gtest.h"
#include "libs/base/mutex.h"

namespace gannet::base {
namespace {

// Counts calls and lets a test wait for a number of them.
class Calls {
 public:
  void Add() {
    MutexLock lock(mu_);
    ++count_;
    cv_.NotifyAll();
  }
  void AwaitAtLeast(int count) {
    MutexLock lock(mu_);
    while (count_ < count) cv_.Wait(mu_);
  }
  int count() {
    MutexLock lock(mu_);
    return count_;
  }

 private:
  Mutex mu_;
  CondVar cv_;
  int count_ ABSL_GUARDED_BY(mu_) = 0;
};

TEST(PeriodicRunnerTest, CallsAgainAfterTheInterval) {
  Calls calls;
  PeriodicRunner runner(absl::Milliseconds(1), [&] { calls.Add(); });

  calls.AwaitAtLeast(3);
}

TEST(PeriodicRunnerTest, WakeDoesNotWaitForTheInterval) {
  Calls calls;
  PeriodicRunner runner(absl::Hours(1), [&] { calls.Add(); });
  calls.AwaitAtLeast(1);

  runner.Wake();

  calls.AwaitAtLeast(2);
}

TEST(PeriodicRunnerTest, NothingRunsAfterStop) {
  Calls calls;
  PeriodicRunner runner(absl::ZeroDuration(), [&] { calls.Add(); });
  calls.AwaitAtLeast(1);

  runner.Stop();
  const int at_stop = calls.count();
  runner.Wake();
  runner.Stop();

  EXPECT_EQ(calls.count(), at_stop);
}

}  // namespace
}  // namespace gannet::base
