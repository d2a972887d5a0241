#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/typed_id.h"

namespace gannet::domain {

// The life of a work unit. The SQL of libs/store and the in-memory backend follow this one table:
//
//   kReady  -- claim --------------------------> kLeased   attempt + 1, lease starts
//   kLeased -- submit by the holder -----------> kDone     ACCEPTED, or LATE when the lease has run
//                                                          out by the database's clock
//   kReady  -- submit by the last holder ------> kDone     LATE: nobody claimed it since
//   kReady  -- beat of the last holder, whose    kLeased   a laptop that has slept resumes; attempt
//              lease had expired --------------->          and claim stay as they were
//   kLeased -- release, expire, take-over -----> kReady    attempt stays; the holder is remembered
//                                                          until the next claim
//   kLeased -- fail ---------------------------> kReady    failures + 1; kFailed when that reaches
//                                                          kMaxUnitFailures
//   kDone   -- reject (by the coordinator) ----> kReady    its gradient was unusable; the gradient
//                                                          is deleted, failures + 1 as above and
//                                                          the holder is forgotten
//   kFailed -- the run is resumed -------------> kReady    failures start at zero
//   kReady, kLeased -- run stopped ------------> kClosed
//   kReady, kLeased, kFailed -- published -----> kClosed  (failed: a quorum did without it)
//   kLeased -- published, stale work counts ----> kLeased   in the next round (see below)
//
// A speculative unit is a second one in the slot of a straggler
// (RoundPolicy::speculation_multiplier), leased when it is made; whichever of the two is submitted
// first fills the slot, which closes the other:
//
//   kReady, kLeased, kFailed -- another unit fills the slot -> kClosed
//   kLeased, speculative -- release, expire, take-over, fail -> kClosed   a new one may be made
//
// Where stale work counts (RoundPolicy::stale_weight), a publication carries over what is leased
// and what it did not wait for: of a slot that nobody has filled the unit with the most recent
// progress. It becomes a unit of the next round, in a slot of its own above all others, and goes on
// under the same attempt and lease. Nobody waits for it, nobody else computes it: it is a
// speculative unit that is beside nobody, and a rejected one is closed, too. After kMaxStaleRounds
// publications it is closed.
//
// A failed unit pauses the run, so a running run has none. kClosed has no way out.
enum class UnitState { kReady, kLeased, kDone, kFailed, kClosed };

inline constexpr int kMaxUnitFailures = 5;
inline constexpr int kMaxLeasesPerWorker = 2;
inline constexpr int kMaxStaleRounds = 4;
// Units of a slot that are ready or leased: the slow one, a speculative copy that is slow, too, and
// one more.
inline constexpr int kMaxOpenUnitsOfSlot = 3;

// What became of a submitted gradient; see gannet.v1.SubmitOutcome.
enum class SubmitOutcome {
  kAccepted = 1,
  kLate = 2,
  kAlreadyAccepted = 3,
  kSuperseded = 4,
  kClosed = 5,
  kDuplicate = 6
};

// Whether a gradient with this outcome is wasted work.
constexpr bool IsWasted(SubmitOutcome outcome) {
  return outcome == SubmitOutcome::kSuperseded || outcome == SubmitOutcome::kClosed ||
         outcome == SubmitOutcome::kDuplicate;
}

// A unit as Submit sees it.
struct UnitView {
  UnitState state = UnitState::kReady;
  base::Attempt attempt;       // 0 before the first claim
  base::WorkerId holder;       // the last claimer; empty when none or forgotten
  bool lease_expired = false;  // by the database's clock: lease_until <= now
  bool reaped = false;         // when ready: the last lease expired (it was not released)
  bool slot_filled = false;    // by another unit
  bool has_gradient = false;
  base::Attempt gradient_attempt;  // when has_gradient
  std::string gradient_sha256;     // when has_gradient
};

// How a submission of `attempt` by `worker` with `sha256` is received. The order of the rules is
// part of the contract:
//   1. attempt < 1: INVALID_ARGUMENT
//   2. gradient present, same attempt, same holder: same sha256 -> kAlreadyAccepted, else
//   ALREADY_EXISTS
//   3. the slot is filled by another unit, the attempt the last one and `worker` its holder:
//   kDuplicate; else state closed or failed: kClosed
//   4. attempt is not the last one, state done, or `worker` not its holder: kSuperseded
//   5. leased and not expired -> kAccepted; else kLate
// (Rule 2 compares the worker too: a foreign worker falls to 3 and on.)
//
// Rule 4 knows nothing of cheats: a claim that was answered may be unknown afterwards, because
// claims do not wait for the disk, a standby may lack the last ones, and a backup is older still.
// The unit may then be anybody's, under the same attempt. An honest worker must continue.
absl::StatusOr<SubmitOutcome> ClassifySubmit(const UnitView& unit, const base::WorkerId& worker,
                                             base::Attempt attempt, const std::string& sha256);

// Whether a heartbeat renews a lease: the unit is leased to the worker under that attempt, or ready
// since that lease expired, and progress has been made within `stall_limit`. Otherwise the unit is
// to be dropped, and `reason` says why.
struct RenewDecision {
  bool renew = false;
  std::string reason;
};
RenewDecision DecideRenewal(const UnitView& unit, const base::WorkerId& worker,
                            base::Attempt attempt, absl::Duration since_progress,
                            absl::Duration stall_limit);

// How often a worker renews its leases: often enough that two beats may be lost.
absl::Duration HeartbeatInterval(absl::Duration lease);

inline constexpr int kLeasesOfStall = 3;
// A lease is not renewed after this long without a finished micro-batch: kLeasesOfStall leases.
absl::Duration StallLimit(absl::Duration lease);

inline constexpr int kLeaseMultiplier = 4;
inline constexpr absl::Duration kMinUnitLease = absl::Seconds(15);
// How long a lease of a unit lasts: kLeaseMultiplier times the median time of a unit, if that is
// known (not zero), but not more than the configured lease, and not less than kMinUnitLease of it.
absl::Duration UnitLease(absl::Duration configured, absl::Duration median);

inline constexpr absl::Duration kMinSpeculationDelay = absl::Seconds(5);
// After how long a leased unit gets a speculative copy. kMinSpeculationDelay at least: below that,
// help costs more than it brings. While the median time is not known (zero), in the first round,
// StallLimit(lease): progress is what a worker says, and one that lies must not hold up the first
// round. Infinite when a unit never gets one.
absl::Duration SpeculationDelay(double speculation_multiplier, absl::Duration median,
                                absl::Duration lease);

// The weight of a gradient that is so many rounds stale, against one that is not:
// stale_weight^stale_rounds. Damped exponentially with staleness, as AdaSGD (Damaskinos et al.,
// FLeet, Middleware 2020).
double StaleWeight(double stale_weight, int stale_rounds);

// Why a unit returned; decides the failure count.
enum class RequeueCause { kReleased, kExpired, kTakenOver, kFailed, kRejected };

// The state a unit returns to and its new failure count.
struct RequeueDecision {
  UnitState state = UnitState::kReady;
  int failures = 0;
};
RequeueDecision DecideRequeue(int failures, RequeueCause cause, bool is_speculative = false,
                              int stale_rounds = 0);

inline constexpr absl::Duration kFirstRequeueBackoff = absl::Seconds(1);
inline constexpr absl::Duration kMaxRequeueBackoff = absl::Seconds(5);
inline constexpr int kMaxRequeueDoublings = 3;  // 2^3 s are longer than the longest delay
// How long a unit that has returned is given to nobody: not at all when it was released or taken
// over, and after its first attempt; then kFirstRequeueBackoff, twice as long after each further
// attempt, up to kMaxRequeueBackoff. A poison unit, which crashes its workers, must not crash-loop
// the whole class with it.
absl::Duration RequeueBackoff(base::Attempt attempt, RequeueCause cause);

}  // namespace gannet::domain
