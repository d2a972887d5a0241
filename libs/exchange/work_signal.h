#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "libs/base/mutex.h"

namespace gannet::exchange {

// Tells waiters that work may have appeared. A hint: whoever waits also looks again after a while.
//
// Thread safety: all methods may be called from any thread.
class WorkSignal {
 public:
  // Wakes every waiter.
  void Notify();

  // Read before looking for work; pass to AwaitPast when there was none.
  uint64_t generation();

  // Waits until Notify was called since `generation` was read, or `timeout` has passed. Returns the
  // generation now.
  uint64_t AwaitPast(uint64_t generation, absl::Duration timeout);

 private:
  base::Mutex mu_;
  base::CondVar cv_;
  uint64_t generation_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace gannet::exchange
