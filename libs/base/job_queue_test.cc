#include "libs/base/job_queue.h"

#include <optional>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gannet::base {
namespace {

using ::testing::ElementsAre;

// Remembers the jobs; holds each back until the gate is open, and tells when one has come to it.
class Gate {
 public:
  void Work(int job) {
    MutexLock lock(mu_);
    ++arrived_;
    changed_.NotifyAll();
    while (!open_) changed_.Wait(mu_);
    done_.push_back(job);
  }
  void AwaitArrival() {
    MutexLock lock(mu_);
    while (arrived_ == 0) changed_.Wait(mu_);
  }
  void Open() {
    MutexLock lock(mu_);
    open_ = true;
    changed_.NotifyAll();
  }
  std::vector<int> done() {
    MutexLock lock(mu_);
    return done_;
  }

 private:
  Mutex mu_;
  CondVar changed_;
  int arrived_ ABSL_GUARDED_BY(mu_) = 0;
  bool open_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<int> done_ ABSL_GUARDED_BY(mu_);
};

TEST(JobQueueTest, WorksInOrderAndAwaitsAll) {
  Gate gate;
  gate.Open();
  JobQueue<int> queue(100, [&](int job) { gate.Work(job); });

  for (const int job : {1, 2, 3, 4}) EXPECT_EQ(queue.Push(job), std::nullopt);
  queue.Await();

  EXPECT_THAT(gate.done(), ElementsAre(1, 2, 3, 4));
}

TEST(JobQueueTest, TheOldestThatWaitsGivesWay) {
  Gate gate;
  JobQueue<int> queue(2, [&](int job) { gate.Work(job); });
  queue.Push(1);
  gate.AwaitArrival();

  EXPECT_EQ(queue.Push(2), std::nullopt);
  EXPECT_EQ(queue.Push(3), std::nullopt);
  EXPECT_EQ(queue.Push(4), 2);
  gate.Open();
  queue.Await();

  EXPECT_THAT(gate.done(), ElementsAre(1, 3, 4));
}

TEST(JobQueueTest, TakesAJobOnlyIfIdleWhenAskedTo) {
  Gate gate;
  JobQueue<int> queue(2, [&](int job) { gate.Work(job); });
  EXPECT_TRUE(queue.PushIfIdle(1));
  EXPECT_FALSE(queue.PushIfIdle(2));
  gate.AwaitArrival();
  EXPECT_FALSE(queue.PushIfIdle(3));
  gate.Open();
  queue.Await();

  EXPECT_TRUE(queue.PushIfIdle(4));
  queue.Await();

  EXPECT_THAT(gate.done(), ElementsAre(1, 4));
}

TEST(JobQueueTest, TheEndWaitsForTheJobInWork) {
  Gate gate;
  std::thread opens;
  {
    JobQueue<int> queue(2, [&](int job) { gate.Work(job); });
    queue.Push(1);
    gate.AwaitArrival();
    opens = std::thread([&] { gate.Open(); });
  }
  opens.join();

  EXPECT_THAT(gate.done(), ElementsAre(1));
}

}  // namespace
}  // namespace gannet::base
