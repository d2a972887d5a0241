#include "libs/base/stop_signal.h"

namespace gannet::base {

void StopSignal::Request() {
  MutexLock lock(mu_);
  requested_ = true;
  cv_.NotifyAll();
}

bool StopSignal::requested() {
  MutexLock lock(mu_);
  return requested_;
}

void StopSignal::Await() {
  MutexLock lock(mu_);
  while (!requested_) cv_.Wait(mu_);
}

bool StopSignal::AwaitFor(absl::Duration timeout) {
  MutexLock lock(mu_);
  while (!requested_) {
    if (!cv_.WaitFor(mu_, timeout)) break;
  }
  return requested_;
}

}  // namespace gannet::base
