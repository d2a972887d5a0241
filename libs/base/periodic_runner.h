#pragma once

#include <functional>
#include <thread>

#include "absl/time/time.h"
#include "libs/base/mutex.h"

namespace gannet::base {

// Calls a function again and again from a thread of its own: first at once, then `interval` after
// the end of the previous call, or earlier when Wake() asks for it.
//
// Thread safety: all methods may be called from any thread; Stop not from the function itself.
// Ownership and lifetime: the destructor stops.
class PeriodicRunner {
 public:
  PeriodicRunner(absl::Duration interval, std::function<void()> function);
  ~PeriodicRunner();
  PeriodicRunner(const PeriodicRunner&) = delete;
  PeriodicRunner& operator=(const PeriodicRunner&) = delete;

  // Holds from the next pause on, not for the one in progress.
  void SetInterval(absl::Duration interval);

  // Makes the next call happen now (or right after the one in progress).
  void Wake();

  // Waits for a call in progress and ends. Idempotent.
  void Stop();

 private:
  void Loop();

  const std::function<void()> function_;
  Mutex mu_;
  CondVar cv_;
  absl::Duration interval_ ABSL_GUARDED_BY(mu_);
  bool woken_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  Mutex join_mu_;
  std::thread thread_ ABSL_GUARDED_BY(join_mu_);
};

}  // namespace gannet::base
