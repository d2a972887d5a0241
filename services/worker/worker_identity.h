#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/exchange/exchange.h"

namespace gannet::worker {

// An identity that no other process of this machine can use while this object lives: one identity
// is one worker.
struct OwnedIdentity {
  exchange::WorkerIdentity worker;
  std::string state_file;
  int number = 1;              // 2 and more: beside others, see OwnDefaultIdentity
  std::shared_ptr<void> lock;  // an flock on the state file
};

// The identity kept in `state_file`, with a fresh incarnation. A missing file (and its folder) is
// made, readable by its owner alone, with an id and a secret from the kernel's random generator; it
// is in place, whole, before this returns.
// Returns: INVALID_ARGUMENT - the file is there but is not one of ours (it is left as it is);
// FAILED_PRECONDITION - another process uses it; PERMISSION_DENIED or UNAVAILABLE - it cannot be
// read or written, naming it.
absl::StatusOr<OwnedIdentity> OwnIdentity(const std::string& state_file);

// The first identity of this user that no other process uses: in worker.json, then in worker-2.json
// and so on, below $XDG_STATE_HOME/gannet, ~/.local/state/gannet or, without a home, the temporary
// folder. So a worker that is started again is the same one, whatever its machine or container is
// called now, and several workers of one machine need no settings.
//
// Before a new identity is made, one that an earlier version kept there under the name of the host
// is taken over, with the gradient beside it; one whose gradient waits comes first, then the
// newest. Returns: as OwnIdentity; RESOURCE_EXHAUSTED - 256 are in use.
absl::StatusOr<OwnedIdentity> OwnDefaultIdentity();

// The file beside a state file in which a finished gradient waits (see Spool).
std::string SpoolPathOf(const std::string& state_file);

}  // namespace gannet::worker
