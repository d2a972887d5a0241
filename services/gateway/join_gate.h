#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/base/typed_id.h"
#include "libs/exchange/exchange.h"
#include "services/gateway/refusals.h"

namespace gannet::gateway {

struct JoinGateOptions {
  // New workers from one address: so many at once, then so many a second. A class of sixty behind
  // one address (NAT, the proxy of a container engine) joins twice without noticing.
  double address_burst = 120;
  double address_per_second = 1;
  // From all addresses together.
  double total_burst = 480;
  double total_per_second = 4;
  // New workers of one run that are there. When a run has so many, those who were silent for
  // max_silence are evicted.
  size_t max_workers_per_run = 1'000;
  absl::Duration max_silence = absl::Minutes(5);
  // What is remembered at most.
  size_t max_addresses = 4'096;
  size_t max_known_workers = 20'000;
};

// The part of a peer as gRPC names it ("ipv4:192.0.2.7:4711") by which it is limited: an IPv4
// address, the /64 of an IPv6 address, else the whole name.
std::string JoinAddressOf(absl::string_view peer);

// Limits how fast new workers may join, so that whoever knows the class code cannot fill the
// database with names. Workers that have joined here before pass unhindered, whatever the others
// do.
//
//   RETURN_IF_ERROR(gate.Admit(address));        // a token is taken
//   … ask which run it is …
//   ASSIGN_OR_RETURN(bool entered, gate.Enter(run, worker));  // a place in the run
//   … register; when that fails: if (entered) gate.Leave(run, worker.id) …
//   … when it failed because of the others: gate.Refund(address) …
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: clock and refusals must outlive it.
class JoinGate {
 public:
  JoinGate(base::Clock& clock, Refusals& refusals, const JoinGateOptions& options)
      : clock_(clock),
        refusals_(refusals),
        options_(options),
        total_{options.total_burst, clock.Steady(), clock.Steady()} {}

  // Whether this worker, with this secret, has joined here before.
  bool HasJoined(const exchange::WorkerIdentity& worker);

  // Takes a token for a new worker.
  // Returns: RESOURCE_EXHAUSTED - they come too fast: repeat later.
  absl::Status Admit(const std::string& address);
  // Gives the token back: it was no fault of the caller's that the join has registered nobody.
  void Refund(const std::string& address);

  // Takes a place in the run; false: the worker has one already.
  // Returns: RESOURCE_EXHAUSTED - it has all it may have, and all of them were heard of lately.
  absl::StatusOr<bool> Enter(base::RunId run, const base::WorkerId& worker);
  // The database has just authenticated the worker: its place, if it has one, stays its own.
  void Touch(base::RunId run, const base::WorkerId& worker);
  // Gives the place back: the worker was not registered, or was removed from the run.
  void Leave(base::RunId run, const base::WorkerId& worker);

  // The worker is registered: it passes from now on.
  void MarkJoined(const exchange::WorkerIdentity& worker);

 private:
  // Tokens, which come by themselves up to a limit.
  struct Bucket {
    double tokens = 0;
    absl::Duration filled_at;  // steady
    absl::Duration last_join;  // steady
  };
  struct Known {
    std::string secret_sha256;
    int64_t used = 0;  // key in known_by_use_
  };

  static void Fill(Bucket& bucket, absl::Duration now, double burst, double per_second);
  // Makes it the last to be forgotten.
  void MarkUsed(const base::WorkerId& worker, Known& known) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Bucket& BucketOf(const std::string& address, absl::Duration now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  base::Clock& clock_;
  Refusals& refusals_;
  const JoinGateOptions options_;
  base::Mutex mu_;
  Bucket total_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, Bucket> addresses_ ABSL_GUARDED_BY(mu_);
  std::map<base::WorkerId, Known> known_ ABSL_GUARDED_BY(mu_);
  std::map<int64_t, base::WorkerId> known_by_use_ ABSL_GUARDED_BY(mu_);  // longest unused first
  int64_t last_use_ ABSL_GUARDED_BY(mu_) = 0;
  // When each was last heard of, steady.
  std::map<base::RunId, std::map<base::WorkerId, absl::Duration>> runs_ ABSL_GUARDED_BY(mu_);
};

}  // namespace gannet::gateway
