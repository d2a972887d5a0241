#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "absl/time/time.h"
#include "libs/base/mutex.h"
#include "libs/base/typed_id.h"
#include "libs/exchange/work_signal.h"

namespace gannet::store {

// What AwaitChange waits for: one signal per run, fed by the listener.
//
// Thread safety: all methods may be called from any thread.
class RunSignals {
 public:
  // Something of the run may have changed.
  void Notify(base::RunId run);

  // Something of any run may have changed.
  void NotifyAll();

  // Whether anything was ever said about the run.
  bool Knows(base::RunId run);

  // Blocks until the run was notified since the previous call returned, or `timeout` has passed.
  void Await(base::RunId run, absl::Duration timeout);

 private:
  struct Entry {
    exchange::WorkSignal signal;
    uint64_t seen = 0;  // guarded by mu_
  };

  Entry& EntryOf(base::RunId run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  base::Mutex mu_;
  std::map<base::RunId, std::unique_ptr<Entry>> entries_
      ABSL_GUARDED_BY(mu_);  // never removed: runs are few
};

}  // namespace gannet::store
