#pragma once

#include "absl/time/time.h"
#include "libs/base/mutex.h"

namespace gannet::base {

// Asks something to stop, once and permanently, and lets it wait for that.
//
// Thread safety: all methods may be called from any thread.
class StopSignal {
 public:
  void Request();
  bool requested();
  // Waits until a stop is requested.
  void Await();
  // Waits until a stop is requested or `timeout` has passed; returns whether it is requested.
  bool AwaitFor(absl::Duration timeout);

 private:
  Mutex mu_;
  CondVar cv_;
  bool requested_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace gannet::base
