#pragma once

#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/base/periodic_runner.h"
#include "libs/exchange/store.h"
#include "libs/telemetry/log.h"

namespace gannet::coordinator {

// Keeps a leadership alive from a thread of its own, so that a long optimizer step or publication
// does not lose it. The database's clock decides when a leadership has expired, and its fence keeps
// a deposed leader from writing; this tells the leader early that it may have been deposed.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: store, clock and log outlive it. The destructor stops; it does not
// resign.
class LeaseRenewer {
 public:
  // `leadership` has just been acquired for `ttl`. Renewed every third of that.
  LeaseRenewer(exchange::Store& store, base::RunId run, const exchange::Leadership& leadership,
               absl::Duration ttl, base::Clock& clock, telemetry::Logger& log);

  // Whether somebody else leads, or may do so: a renewal was refused or gave another term, or none
  // has succeeded for `ttl` by this machine's steady clock (the database is away, or this machine
  // has slept).
  bool lost();

 private:
  void Renew();

  exchange::Store& store_;
  const base::RunId run_;
  const exchange::Leadership leadership_;
  const absl::Duration ttl_;
  base::Clock& clock_;
  telemetry::Logger& log_;
  base::Mutex mu_;
  bool deposed_ ABSL_GUARDED_BY(mu_) = false;
  // The leadership lasts at least until then: counted from before the call that renewed it.
  absl::Duration trusted_until_ ABSL_GUARDED_BY(mu_);
  base::PeriodicRunner runner_;
};

}  // namespace gannet::coordinator
