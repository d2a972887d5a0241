#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/base/typed_id.h"
#include "libs/domain/run_config.h"
#include "libs/domain/run_state.h"
#include "libs/domain/unit_state.h"
#include "libs/exchange/exchange.h"
#include "libs/exchange/store.h"
#include "libs/exchange/work_signal.h"

// What MemoryBackend keeps, and the rules that its two sides share. Nobody else includes it.
namespace gannet::memory {

// A long poll looks again after so long.
inline constexpr absl::Duration kPollInterval = absl::Seconds(1);

struct Gradient {
  base::Attempt attempt;
  base::WorkerId worker;
  exchange::GradientStats stats;
  absl::Duration taken;       // from claim to accept
  exchange::Payload payload;  // without bytes once ReclaimOldBlobs has freed them
};

struct Unit {
  base::UnitId id;
  base::Round round;
  base::Slot slot;
  std::vector<int64_t> image_indices;  // empty once its round is published
  int image_count = 0;
  domain::UnitState state = domain::UnitState::kReady;
  base::Attempt attempt{0};
  base::WorkerId holder;
  std::string request_id;  // of the claim that leased it
  absl::Time claimed_at;
  absl::Time lease_until;
  absl::Time progress_at;
  int micro_batches_done = 0;
  int failures = 0;
  std::string failure_reason;
  std::set<base::WorkerId> failed_by;          // since it was made, or the run resumed
  absl::Time ready_at = absl::InfinitePast();  // not claimable before
  bool reaped = false;                         // when ready: its last lease did
  bool consumed = false;
  bool is_speculative = false;
  int stale_rounds = 0;                    // publications that have taken it along
  std::optional<base::Slot> claimed_slot;  // before the first of them
  base::Attempt wasted_attempt{0};
  std::optional<Gradient> gradient;
};

struct Worker {
  std::string secret_sha256;
  base::Incarnation incarnation;
  std::string display_name;
  std::string hardware;
  int64_t accepted_unit_count = 0;
  int64_t accepted_image_count = 0;
  int64_t duplicate_unit_count = 0;
  int64_t wasted_image_count = 0;
  absl::Time last_seen;
  bool has_left = false;
  int net_rejections = 0;
  std::string removed_reason;  // empty: not removed
};

struct Weights {
  exchange::Payload payload;
  bool keep = false;
};

// Units of one slot by the order in which they were made.
using UnitPlace = std::tuple<base::Round, base::Slot, base::UnitId>;

struct Run {
  base::RunId id;
  domain::RunConfig config;
  domain::RunState state = domain::RunState::kRunning;
  std::string state_reason;
  base::WeightsVersion version{0};
  base::LeaderId leader;
  int64_t leader_term = 0;
  absl::Time leader_until;
  std::map<base::WeightsVersion, Weights> weights;
  exchange::Payload adam_state;
  std::optional<exchange::BestWeights> best;
  exchange::Payload best_weights;
  std::map<UnitPlace, Unit> units;
  std::unordered_map<base::UnitId, UnitPlace> unit_places;
  std::set<base::Round> rounds_with_bytes;
  // Who had the leases that have ended without a gradient that is kept, by the round they ended in.
  std::map<base::Round, std::map<std::pair<base::UnitId, base::Attempt>, base::WorkerId>>
      ended_leases;
  std::map<base::WorkerId, Worker> workers;
  std::vector<exchange::RoundSummary> rounds;
  std::vector<exchange::SettingsChange> changes;
  int64_t settings_version = 0;
  absl::Duration median_unit_time;

  exchange::WorkSignal changes_signal;  // what AwaitChange waits for
  uint64_t changes_seen = 0;

  base::Round open_round() const { return base::Round(version.value() + 1); }

  // The settings that hold in `round`. Lease and speculative copies are always those set last.
  const domain::RunConfig& ConfigOf(base::Round round) const {
    return gannet::exchange::ConfigOf(config, changes, round);
  }
  const domain::RunConfig& latest_config() const {
    return changes.empty() ? config : changes.back().config;
  }
  base::Round settings_round() const {
    return changes.empty() ? base::Round(0) : changes.back().round;
  }
  absl::Duration unit_lease() const {
    return domain::UnitLease(latest_config().lease, median_unit_time);
  }

  Unit* FindUnit(base::UnitId id_wanted) {
    const auto place = unit_places.find(id_wanted);
    return place == unit_places.end() ? nullptr : &units.at(place->second);
  }

  void EndLease(const Unit& unit, const base::WorkerId& worker) {
    ended_leases[unit.round][{unit.id, unit.attempt}] = worker;
  }

  // Whether the attempt is, or was, a lease of the worker.
  bool HadLease(const Unit& unit, const base::WorkerId& worker, base::Attempt attempt) const {
    if (attempt == unit.attempt && unit.holder == worker) return true;
    const base::Round first(unit.round.value() - unit.stale_rounds);
    for (auto it = ended_leases.lower_bound(first);
         it != ended_leases.end() && it->first <= unit.round; ++it) {
      const auto found = it->second.find({unit.id, attempt});
      if (found != it->second.end() && found->second == worker) return true;
    }
    return false;
  }

  void RemoveUnit(base::UnitId id_gone) {
    units.erase(unit_places.at(id_gone));
    unit_places.erase(id_gone);
  }

  Unit* AddUnit(Unit unit) {
    const UnitPlace place(unit.round, unit.slot, unit.id);
    unit_places.emplace(unit.id, place);
    return &units.emplace(place, std::move(unit)).first->second;
  }

  // Calls `visit` for the units of a round, in slot order.
  template <typename Visit>
  void ForEachUnit(base::Round round, Visit visit) {
    for (auto it = units.lower_bound({round, base::Slot(0), base::UnitId(0)}); it != units.end();
         ++it) {
      if (it->second.round != round) return;
      visit(it->second);
    }
  }
};

exchange::WorkerSummary SummaryOf(const base::WorkerId& id, const Worker& worker);

// Ready or leased.
bool IsOpen(const Unit& unit);

bool IsHeldBy(const Unit& unit, const base::WorkerId& worker, base::Attempt attempt);

// The unit as the rules of libs/domain see it.
domain::UnitView ViewOf(Run& run, const Unit& unit, absl::Time now);

// A worker whose identity has been checked, and its run.
struct AuthenticatedWorker {
  Run& run;
  base::WorkerId id;
  Worker& worker;
};

// Everything, behind one lock.
struct State {
  // Of the gradients of the open round; what it was before when there are none.
  static absl::Duration MedianTaken(Run& run);

  // Takes the units out of the open round that are carried over to the next one, as they are there:
  // of each slot the one with the most recent progress.
  static std::vector<Unit> CarryOverStragglers(Run& run, const exchange::PublishRequest& request);

  State(base::Clock& clock_in, int blob_ring_in) : clock(clock_in), blob_ring(blob_ring_in) {}

  absl::StatusOr<Run*> FindRun(base::RunId id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  absl::StatusOr<AuthenticatedWorker> Authenticate(const exchange::WorkerIdentity& identity,
                                                   base::RunId id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  // The run, when the leadership is the current one.
  absl::StatusOr<Run*> CheckFence(base::RunId id, const exchange::Leadership& leadership)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  void SetState(Run& run, domain::RunState state, const std::string& reason)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  // `by`: who held the unit, or its gradient came from.
  void RequeueUnit(Run& run, Unit& unit, domain::RequeueCause cause, const std::string& reason,
                   const base::WorkerId& by) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  // Returns every unit the worker holds.
  void RequeueUnitsOf(Run& run, const base::WorkerId& worker, domain::RequeueCause cause)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  // Refuses the worker from now on, and gives everything of the open round to others that it holds
  // or that came from it.
  void Remove(Run& run, const base::WorkerId& id, const std::string& reason)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  void CloseOpenUnits(Run& run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  void ReopenFailedUnits(Run& run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  void AddUnits(Run& run, base::Round round, const std::vector<domain::PlannedUnit>& planned)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  // Whether a worker gets a ready unit. Whoever failed it waits while somebody is there who has
  // not, but no longer than a unit may stall: that one may never ask.
  static bool MayClaim(const Run& run, const Unit& unit, const base::WorkerId& id, absl::Time now);

  // The unit that is to get a speculative copy by this worker; null when none is.
  Unit* FindStraggler(Run& run, const base::WorkerId& worker, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  Unit* AddSpeculativeUnit(Run& run, const Unit& slow) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  // Counts a wasted gradient.
  static void CountWasted(const AuthenticatedWorker& caller, Unit& unit, base::Attempt attempt,
                          domain::SubmitOutcome outcome);

  // One look of Claim.
  absl::StatusOr<exchange::ClaimResult> TryClaim(const exchange::ClaimRequest& request);

  static exchange::WorkUnit Describe(const Run& run, const Unit& unit, absl::Time now);

  // Whether the heartbeat renews the lease; renews it. `leases` is how many the worker has.
  static bool Renew(Run& run, Unit& unit, const base::WorkerId& worker,
                    const exchange::UnitProgress& progress, absl::Time now, int& leases);

  // Gives a unit back that the worker holds; does nothing otherwise.
  absl::Status ReleaseOrFail(const exchange::WorkerIdentity& identity, base::RunId run,
                             base::UnitId unit_id, base::Attempt attempt,
                             domain::RequeueCause cause, const std::string& reason);

  exchange::RunStatus StatusOf(const Run& run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  base::Clock& clock;
  const int blob_ring;
  exchange::WorkSignal work;  // something may have become ready, or a run changed its state
  base::Mutex mu;
  std::map<base::RunId, std::shared_ptr<Run>> runs ABSL_GUARDED_BY(mu);
  int64_t last_run_id ABSL_GUARDED_BY(mu) = 0;
  int64_t last_unit_id ABSL_GUARDED_BY(mu) = 0;
};

}  // namespace gannet::memory
