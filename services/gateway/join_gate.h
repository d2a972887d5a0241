#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/base/typed_id.h"
#include "libs/exchange/exchange.h"
#include "services/gateway/refusals.h"

namespace gannet {

struct JoinGateOptions {
  // New workers from one address: so many at once, then so many a second. A class of sixty behind
  // one address (NAT, the proxy of a container engine) joins twice without noticing.
  double address_burst = 120;
  double address_per_second = 1;
  // From all addresses together.
  double total_burst = 480;
  double total_per_second = 4;
  // New workers of one run, for as long as this gateway lives.
  size_t max_workers_per_run = 1'000;
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
//   RETURN_IF_ERROR(gate.Enter(run, worker));    // a place in the run
//   … register; when that fails: gate.Leave(run, worker.id) and gate.Refund(address) …
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: clock and refusals must outlive it.
class JoinGate {
 public:
  JoinGate(Clock& clock, Refusals& refusals, const JoinGateOptions& options)
      : clock_(clock),
        refusals_(refusals),
        options_(options),
        total_{options.total_burst, clock.Steady()} {}

  // Whether this worker, with this secret, has joined here before.
  bool Knows(const WorkerIdentity& worker);

  // Takes a token for a new worker.
  // Returns: RESOURCE_EXHAUSTED - they come too fast: repeat later.
  absl::Status Admit(const std::string& address);
  // Gives the token back: the join has registered nobody.
  void Refund(const std::string& address);

  // Takes a place in the run.
  // Returns: RESOURCE_EXHAUSTED - it has all it may have.
  absl::Status Enter(RunId run, const WorkerId& worker);
  void Leave(RunId run, const WorkerId& worker);

  // The worker is registered: it passes from now on.
  void Remember(const WorkerIdentity& worker);

 private:
  // Tokens, which come by themselves up to a limit.
  struct Bucket {
    double tokens = 0;
    absl::Duration filled_at;
  };

  static void Fill(Bucket& bucket, absl::Duration now, double burst, double per_second);
  Bucket& BucketOf(const std::string& address, absl::Duration now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  Clock& clock_;
  Refusals& refusals_;
  const JoinGateOptions options_;
  Mutex mu_;
  Bucket total_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, Bucket> addresses_ ABSL_GUARDED_BY(mu_);
  std::map<WorkerId, std::string> known_ ABSL_GUARDED_BY(mu_);  // to the SHA-256 of the secret
  std::map<RunId, std::set<WorkerId>> runs_ ABSL_GUARDED_BY(mu_);
};

}  // namespace gannet
