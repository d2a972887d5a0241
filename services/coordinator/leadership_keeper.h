#pragma once

#include <atomic>

#include "absl/time/time.h"
#include "libs/base/periodic_runner.h"
#include "libs/exchange/store.h"
#include "libs/telemetry/log.h"

namespace gannet {

// Keeps a leadership alive from a thread of its own, so that a long optimizer step or publication
// does not lose it. The database's clock decides when a leadership has run out, and its fence keeps
// a deposed leader from writing; this only tells the leader early that it has been deposed.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: store and log outlive it. The destructor stops; it does not resign.
class LeadershipKeeper {
 public:
  // `leadership` has just been acquired for `ttl`. Renewed every third of that.
  LeadershipKeeper(Store& store, RunId run, const Leadership& leadership, absl::Duration ttl,
                   Logger& log);

  // Whether somebody else has led since: a renewal was refused, or gave another epoch. A database
  // that cannot be reached is no such proof.
  bool lost() const { return lost_; }

 private:
  void Renew();

  Store& store_;
  const RunId run_;
  const Leadership leadership_;
  const absl::Duration ttl_;
  Logger& log_;
  std::atomic<bool> lost_ = false;
  PeriodicRunner runner_;
};

}  // namespace gannet
