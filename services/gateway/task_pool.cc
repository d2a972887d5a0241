#include "services/gateway/task_pool.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"

namespace gannet::gateway {

TaskPool::TaskPool(int threads, int queue_limit, telemetry::Gauge& queued)
    : queue_limit_(static_cast<size_t>(queue_limit)), queued_(queued) {
  GANNET_CHECK(threads > 0 && queue_limit > 0);
  base::MutexLock lock(join_mu_);
  threads_.reserve(static_cast<size_t>(threads));
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

TaskPool::~TaskPool() { Stop(); }

absl::Status TaskPool::Run(std::function<void()> task) {
  base::MutexLock lock(mu_);
  if (stopping_) return absl::UnavailableError("the gateway is shutting down");
  if (queue_.size() >= queue_limit_) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the gateway has too much to do, repeat later: calls waiting ", queue_.size()));
  }
  queue_.push_back(std::move(task));
  queued_.Set(static_cast<double>(queue_.size()));
  cv_.NotifyOne();
  return absl::OkStatus();
}

void TaskPool::Stop() {
  {
    base::MutexLock lock(mu_);
    stopping_ = true;
    cv_.NotifyAll();
  }
  base::MutexLock lock(join_mu_);
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void TaskPool::Work() {
  while (true) {
    std::function<void()> task;
    {
      base::MutexLock lock(mu_);
      while (queue_.empty() && !stopping_) cv_.Wait(mu_);
      if (queue_.empty()) return;
      task = std::move(queue_.front());
      queue_.pop_front();
      queued_.Set(static_cast<double>(queue_.size()));
    }
    task();
  }
}

}  // namespace gannet::gateway
