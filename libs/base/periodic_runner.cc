#include "libs/base/periodic_runner.h"

#include <utility>

namespace gannet::base {

PeriodicRunner::PeriodicRunner(absl::Duration interval, std::function<void()> function)
    : function_(std::move(function)), interval_(interval) {
  MutexLock lock(join_mu_);
  thread_ = std::thread([this] { Loop(); });
}

PeriodicRunner::~PeriodicRunner() { Stop(); }

void PeriodicRunner::SetInterval(absl::Duration interval) {
  MutexLock lock(mu_);
  interval_ = interval;
}

void PeriodicRunner::Wake() {
  MutexLock lock(mu_);
  woken_ = true;
  cv_.NotifyAll();
}

void PeriodicRunner::Stop() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
    cv_.NotifyAll();
  }
  MutexLock lock(join_mu_);
  if (thread_.joinable()) thread_.join();
}

void PeriodicRunner::Loop() {
  while (true) {
    {
      MutexLock lock(mu_);
      if (stopping_) return;
      woken_ = false;
    }
    function_();
    MutexLock lock(mu_);
    while (!stopping_ && !woken_) {
      if (!cv_.WaitFor(mu_, interval_)) break;
    }
  }
}

}  // namespace gannet::base
