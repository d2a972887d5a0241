#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "libs/base/mutex.h"

namespace gannet::base {

// Works off jobs in order, on a thread of its own.
//
// Thread safety: all methods may be called from any thread; Await not from the work itself.
// Ownership and lifetime: everything that `work` uses outlives the queue. The destructor waits for
// the job in progress and drops those that wait.
template <typename Job>
class JobQueue {
 public:
  JobQueue(size_t max_waiting, std::function<void(const Job&)> work)
      : max_waiting_(max_waiting), work_(std::move(work)), thread_([this] { Loop(); }) {}

  ~JobQueue() {
    {
      MutexLock lock(mu_);
      stopping_ = true;
      changed_.NotifyAll();
    }
    thread_.join();
  }
  JobQueue(const JobQueue&) = delete;
  JobQueue& operator=(const JobQueue&) = delete;

  // Takes a job. Beyond `max_waiting`, the one that has waited longest gives way and is returned.
  std::optional<Job> Push(Job job) {
    MutexLock lock(mu_);
    waiting_.push_back(std::move(job));
    changed_.NotifyAll();
    if (waiting_.size() <= max_waiting_) return std::nullopt;
    std::optional<Job> oldest = std::move(waiting_.front());
    waiting_.pop_front();
    return oldest;
  }

  // Takes a job if there is none. Returns whether it did.
  bool PushIfIdle(Job job) {
    MutexLock lock(mu_);
    if (busy_ || !waiting_.empty()) return false;
    waiting_.push_back(std::move(job));
    changed_.NotifyAll();
    return true;
  }

  // Waits until everything that was taken is done.
  void Await() {
    MutexLock lock(mu_);
    while (busy_ || !waiting_.empty()) changed_.Wait(mu_);
  }

 private:
  void Loop() {
    while (true) {
      std::optional<Job> job;
      {
        MutexLock lock(mu_);
        while (!stopping_ && waiting_.empty()) changed_.Wait(mu_);
        if (stopping_) return;
        job = std::move(waiting_.front());
        waiting_.pop_front();
        busy_ = true;
      }
      work_(*job);
      job.reset();
      MutexLock lock(mu_);
      busy_ = false;
      changed_.NotifyAll();
    }
  }

  const size_t max_waiting_;
  const std::function<void(const Job&)> work_;
  Mutex mu_;
  CondVar changed_;
  std::deque<Job> waiting_ ABSL_GUARDED_BY(mu_);
  bool busy_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace gannet::base
