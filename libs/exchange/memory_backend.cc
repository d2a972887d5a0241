#include "libs/exchange/memory_backend.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/mutex.h"
#include "libs/base/sha256.h"
#include "libs/base/status_macros.h"
#include "libs/domain/run_state.h"
#include "libs/domain/unit_state.h"
#include "libs/exchange/validation.h"
#include "libs/exchange/work_signal.h"

namespace gannet {
namespace {

// Of a slot: the slow unit, a spare that is slow, too, and one more.
constexpr int kMaxOpenUnitsOfSlot = 3;

// A long poll looks again after so long.
constexpr absl::Duration kLookInterval = absl::Seconds(1);

struct Gradient {
  Attempt attempt;
  WorkerId worker;
  GradientStats stats;
  absl::Duration taken;  // from claim to accept
  Payload payload;       // without bytes once PrepareRound has made room
};

struct Unit {
  UnitId id;
  Round round;
  Slot slot;
  std::vector<int64_t> image_indices;  // empty once its round is published
  int image_count = 0;
  UnitState state = UnitState::kReady;
  Attempt attempt{0};
  WorkerId holder;
  std::string request_id;  // of the claim that leased it
  absl::Time claimed_at;
  absl::Time lease_until;
  absl::Time progress_at;
  int micro_batches_done = 0;
  int failures = 0;
  std::string failure_reason;
  std::set<WorkerId> failed_by;                // since it was made, or the run resumed
  absl::Time ready_at = absl::InfinitePast();  // not given out before
  bool ran_out = false;                        // when ready: its last lease did
  bool consumed = false;
  bool is_spare = false;
  int stale_rounds = 0;              // publications that have taken it along
  std::optional<Slot> claimed_slot;  // before the first of them
  Attempt wasted_attempt{0};
  std::optional<Gradient> gradient;
};

struct Worker {
  std::string secret_sha256;
  Incarnation incarnation;
  std::string display_name;
  std::string hardware;
  int64_t accepted_unit_count = 0;
  int64_t accepted_image_count = 0;
  int64_t duplicate_unit_count = 0;
  int64_t wasted_image_count = 0;
  absl::Time last_seen;
  bool signed_off = false;
  int rejected_in_a_row = 0;
  std::string removed_reason;  // empty: not removed
};

struct Weights {
  Payload payload;
  bool keep = false;
};

// Units of one slot by the order in which they were made.
using UnitPlace = std::tuple<Round, Slot, UnitId>;

struct Run {
  RunId id;
  RunConfig config;
  RunState state = RunState::kRunning;
  std::string state_reason;
  WeightsVersion version{0};
  LeaderId leader;
  int64_t leader_epoch = 0;
  absl::Time leader_until;
  std::map<WeightsVersion, Weights> weights;
  Payload adam_state;
  std::optional<BestWeights> best;
  Payload best_weights;
  std::map<UnitPlace, Unit> units;
  std::unordered_map<UnitId, UnitPlace> unit_places;
  std::set<Round> rounds_with_bytes;
  // Who had the leases that have ended without a gradient that is kept, by the round they ended in.
  std::map<Round, std::map<std::pair<UnitId, Attempt>, WorkerId>> ended_leases;
  std::map<WorkerId, Worker> workers;
  std::vector<RoundSummary> rounds;
  std::vector<SettingsChange> changes;
  int64_t settings_version = 0;
  absl::Duration usual_unit_time;

  WorkSignal changes_signal;  // what AwaitChange waits for
  uint64_t changes_seen = 0;

  Round open_round() const { return Round(version.value() + 1); }

  // The settings that hold in `round`. Lease and spares are always those set last.
  const RunConfig& ConfigOf(Round round) const { return gannet::ConfigOf(config, changes, round); }
  const RunConfig& latest_config() const {
    return changes.empty() ? config : changes.back().config;
  }
  Round settings_round() const { return changes.empty() ? Round(0) : changes.back().round; }
  absl::Duration unit_lease() const { return UnitLease(latest_config().lease, usual_unit_time); }

  Unit* FindUnit(UnitId id_wanted) {
    const auto place = unit_places.find(id_wanted);
    return place == unit_places.end() ? nullptr : &units.at(place->second);
  }

  void EndLease(const Unit& unit, const WorkerId& worker) {
    ended_leases[unit.round][{unit.id, unit.attempt}] = worker;
  }

  // Whether the attempt is, or was, a lease of the worker.
  bool HadLease(const Unit& unit, const WorkerId& worker, Attempt attempt) const {
    if (attempt == unit.attempt && unit.holder == worker) return true;
    const Round first(unit.round.value() - unit.stale_rounds);
    for (auto it = ended_leases.lower_bound(first);
         it != ended_leases.end() && it->first <= unit.round; ++it) {
      const auto found = it->second.find({unit.id, attempt});
      if (found != it->second.end() && found->second == worker) return true;
    }
    return false;
  }

  void RemoveUnit(UnitId id_gone) {
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
  void ForEachUnit(Round round, Visit visit) {
    for (auto it = units.lower_bound({round, Slot(0), UnitId(0)}); it != units.end(); ++it) {
      if (it->second.round != round) return;
      visit(it->second);
    }
  }
};

WorkerSummary SummaryOf(const WorkerId& id, const Worker& worker) {
  return {id,
          worker.display_name,
          worker.hardware,
          worker.accepted_unit_count,
          worker.accepted_image_count,
          worker.duplicate_unit_count,
          worker.wasted_image_count,
          worker.last_seen,
          worker.removed_reason};
}

bool IsOpen(const Unit& unit) {
  return unit.state == UnitState::kReady || unit.state == UnitState::kLeased;
}

// Whether another unit has the gradient of this one's slot.
bool IsSlotFilled(Run& run, const Unit& unit) {
  bool filled = false;
  run.ForEachUnit(unit.round, [&](const Unit& other) {
    filled |= other.slot == unit.slot && other.id != unit.id && other.gradient.has_value();
  });
  return filled;
}

bool IsHeldBy(const Unit& unit, const WorkerId& worker, Attempt attempt) {
  return unit.state == UnitState::kLeased && unit.holder == worker && unit.attempt == attempt;
}

UnitView ViewOf(Run& run, const Unit& unit, absl::Time now) {
  UnitView view;
  view.state = unit.state;
  view.attempt = unit.attempt;
  view.holder = unit.holder;
  view.lease_expired = unit.lease_until <= now;
  view.ran_out = unit.ran_out;
  view.slot_filled = IsSlotFilled(run, unit);
  if (unit.gradient.has_value()) {
    view.has_gradient = true;
    view.gradient_attempt = unit.gradient->attempt;
    view.gradient_sha256 = unit.gradient->payload.sha256;
  }
  return view;
}

}  // namespace

struct MemoryBackend::State {
  // Of the gradients of the open round; what it was before when there are none.
  static absl::Duration MedianTaken(Run& run) {
    std::vector<absl::Duration> taken;
    run.ForEachUnit(run.open_round(), [&](const Unit& unit) {
      if (unit.gradient.has_value() && unit.stale_rounds == 0)
        taken.push_back(unit.gradient->taken);
    });
    if (taken.empty()) return run.usual_unit_time;
    std::sort(taken.begin(), taken.end());
    return taken[(taken.size() - 1) / 2];
  }

  // Takes the units out of the open round that go on in the next one, as they are there.
  static std::vector<Unit> TakeAlong(Run& run, const PublishRequest& request) {
    std::map<Slot, const Unit*> by_slot;
    run.ForEachUnit(run.open_round(), [&](const Unit& unit) {
      if (unit.state != UnitState::kLeased || unit.stale_rounds >= request.max_stale_rounds ||
          IsSlotFilled(run, unit)) {
        return;
      }
      const Unit*& livelier = by_slot[unit.slot];
      if (livelier == nullptr || unit.progress_at > livelier->progress_at) livelier = &unit;
    });
    Slot next_slot(0);
    for (const PlannedUnit& unit : request.next_units) {
      next_slot = std::max(next_slot, Slot(unit.slot.value() + 1));
    }
    std::vector<Unit> taken;
    for (const auto& [slot, unit] : by_slot) {
      Unit& moved = taken.emplace_back(*unit);
      moved.round = Round(unit->round.value() + 1);
      moved.slot = next_slot;
      moved.claimed_slot = unit->claimed_slot.value_or(unit->slot);
      moved.is_spare = true;
      ++moved.stale_rounds;
      next_slot = Slot(next_slot.value() + 1);
    }
    for (const Unit& unit : taken) run.RemoveUnit(unit.id);
    return taken;
  }

  State(Clock& clock_in, int blob_ring_in) : clock(clock_in), blob_ring(blob_ring_in) {}

  // A worker whose identity has been checked, and its run.
  struct Seat {
    Run& run;
    WorkerId id;
    Worker& worker;
  };

  absl::StatusOr<Run*> FindRun(RunId id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    const auto found = runs.find(id);
    if (found == runs.end()) {
      return absl::NotFoundError(absl::StrCat("no such run: ", id.value()));
    }
    return found->second.get();
  }

  absl::StatusOr<Seat> Authenticate(const WorkerIdentity& identity, RunId id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    GANNET_ASSIGN_OR_RETURN(Run * run, FindRun(id));
    const auto found = run->workers.find(identity.id);
    if (found == run->workers.end()) {
      return absl::UnauthenticatedError(
          absl::StrCat("the worker is unknown in this run, join it first: ", identity.id.value()));
    }
    Worker& worker = found->second;
    if (worker.secret_sha256 != Sha256(identity.secret)) {
      return absl::UnauthenticatedError(
          absl::StrCat("the secret is not this worker's: ", identity.id.value()));
    }
    if (!worker.removed_reason.empty()) return RemovedWorkerStatus(worker.removed_reason);
    if (worker.incarnation < identity.incarnation) {
      return absl::UnauthenticatedError(absl::StrCat(
          "this start of the worker is unknown in this run, join it first: ", identity.id.value()));
    }
    if (worker.incarnation != identity.incarnation) {
      return absl::FailedPreconditionError(
          absl::StrCat("a newer start of this worker has taken over, end this one: current ",
                       worker.incarnation.value(), ", got ", identity.incarnation.value()));
    }
    return Seat{*run, identity.id, worker};
  }

  // The run, when the leadership is the current one.
  absl::StatusOr<Run*> CheckFence(RunId id, const Leadership& leadership)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    GANNET_ASSIGN_OR_RETURN(Run * run, FindRun(id));
    if (run->leader.value().empty() || run->leader != leadership.leader ||
        run->leader_epoch != leadership.epoch || run->leader_until <= clock.Now()) {
      return absl::FailedPreconditionError(
          absl::StrCat("not the leader (any more), stop coordinating: current epoch ",
                       run->leader_epoch, ", got ", leadership.epoch));
    }
    return run;
  }

  void SetState(Run& run, RunState state, const std::string& reason)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    run.state = state;
    run.state_reason = reason;
    run.changes_signal.Notify();
    work.Notify();
  }

  // `by`: who held the unit, or its gradient came from.
  void ReturnUnit(Run& run, Unit& unit, ReturnCause cause, const std::string& reason,
                  const WorkerId& by) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    const ReturnDecision decision =
        DecideReturn(unit.failures, cause, unit.is_spare, unit.stale_rounds);
    // Of a rejected gradient the holder is forgotten already.
    if (!unit.holder.value().empty()) run.EndLease(unit, unit.holder);
    unit.state = decision.state;
    unit.failures = decision.failures;
    unit.ran_out = cause == ReturnCause::kExpired;
    if (cause != ReturnCause::kReleased && cause != ReturnCause::kTakenOver) {
      unit.ready_at = clock.Now() + ReturnDelay(unit.attempt, cause);
    }
    if (cause == ReturnCause::kFailed || cause == ReturnCause::kRejected) {
      unit.failure_reason = reason;
      unit.failed_by.insert(by);
    }
    if (unit.state == UnitState::kFailed) {
      if (run.state == RunState::kRunning) {
        SetState(run, RunState::kPaused,
                 FailedUnitReason(unit.round, unit.slot, unit.failures, unit.holder, reason));
      }
      run.changes_signal.Notify();
    }
    work.Notify();
  }

  // Returns every unit the worker holds.
  void ReturnUnitsOf(Run& run, const WorkerId& worker, ReturnCause cause)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    run.ForEachUnit(run.open_round(), [&](Unit& unit) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
      if (unit.state == UnitState::kLeased && unit.holder == worker) {
        ReturnUnit(run, unit, cause, "", worker);
      }
    });
  }

  // Refuses the worker from now on, and gives everything of the open round to others that it holds
  // or that came from it.
  void Remove(Run& run, const WorkerId& id, const std::string& reason)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    Worker& worker = run.workers.at(id);
    worker.removed_reason = reason;
    worker.signed_off = true;
    if (HasEnded(run.state)) return;
    run.ForEachUnit(run.open_round(), [&](Unit& unit) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
      if (unit.holder != id) return;
      if (unit.state == UnitState::kDone || unit.state == UnitState::kLeased) {
        run.EndLease(unit, id);
      }
      if (unit.state == UnitState::kDone) {
        worker.accepted_unit_count -= 1;
        worker.accepted_image_count -= unit.image_count;
        unit.gradient.reset();
        unit.is_spare = unit.stale_rounds > 0;  // else the slot's only one now
        unit.state = unit.is_spare ? UnitState::kClosed : UnitState::kReady;
      } else if (unit.state == UnitState::kLeased) {
        unit.state = unit.is_spare ? UnitState::kClosed : UnitState::kReady;
      } else if (unit.state != UnitState::kReady) {
        return;
      }
      unit.holder = WorkerId();
      unit.ran_out = false;
    });
    run.changes_signal.Notify();
    work.Notify();
  }

  void CloseOpenUnits(Run& run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    run.ForEachUnit(run.open_round(), [](Unit& unit) {
      if (IsOpen(unit)) unit.state = UnitState::kClosed;
    });
  }

  void ReopenFailedUnits(Run& run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    run.ForEachUnit(run.open_round(), [](Unit& unit) {
      if (unit.state != UnitState::kFailed) return;
      unit.state = UnitState::kReady;
      unit.failures = 0;
      unit.failed_by.clear();
      unit.ready_at = absl::InfinitePast();
    });
  }

  void AddUnits(Run& run, Round round, const std::vector<PlannedUnit>& planned)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    for (const PlannedUnit& plan : planned) {
      Unit unit;
      unit.id = UnitId(++last_unit_id);
      unit.round = round;
      unit.slot = plan.slot;
      unit.image_indices = plan.image_indices;
      unit.image_count = static_cast<int>(plan.image_indices.size());
      run.AddUnit(std::move(unit));
    }
  }

  // Whether a worker gets a ready unit. Whoever failed it waits while somebody is there who has
  // not, but no longer than a unit may stall: that one may never ask.
  static bool MayClaim(const Run& run, const Unit& unit, const WorkerId& id, absl::Time now) {
    if (!unit.failed_by.contains(id) ||
        unit.ready_at + StallLimit(run.latest_config().lease) <= now) {
      return true;
    }
    for (const auto& [other_id, other] : run.workers) {
      if (!unit.failed_by.contains(other_id) && !other.signed_off && other.removed_reason.empty() &&
          now - other.last_seen < kWorkerPresence) {
        return false;
      }
    }
    return true;
  }

  // The unit that is to get a spare by this worker; null when none is.
  Unit* FindSlowUnit(Run& run, const WorkerId& worker, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    const absl::Duration limit = SpareAfter(run.latest_config().policy.spare_after,
                                            run.usual_unit_time, run.latest_config().lease);
    const auto is_late = [&](const Unit& unit) {
      return unit.state == UnitState::kLeased && unit.holder != worker &&
             now - unit.claimed_at > limit;
    };
    std::map<Slot, int> open_units;
    std::set<Slot> helped;  // by a unit from which something is to be hoped
    run.ForEachUnit(run.open_round(), [&](Unit& unit) {
      if (!IsOpen(unit)) return;
      ++open_units[unit.slot];
      if (!is_late(unit)) helped.insert(unit.slot);
    });
    Unit* slow = nullptr;
    run.ForEachUnit(run.open_round(), [&](Unit& unit) {
      const bool waits = is_late(unit) && !unit.is_spare && !unit.failed_by.contains(worker) &&
                         !helped.contains(unit.slot) && open_units[unit.slot] < kMaxOpenUnitsOfSlot;
      if (waits && (slow == nullptr || unit.claimed_at < slow->claimed_at)) slow = &unit;
    });
    return slow;
  }

  Unit* AddSpare(Run& run, const Unit& slow) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    Unit spare;
    spare.id = UnitId(++last_unit_id);
    spare.round = slow.round;
    spare.slot = slow.slot;
    spare.image_indices = slow.image_indices;
    spare.image_count = slow.image_count;
    spare.is_spare = true;
    return run.AddUnit(std::move(spare));
  }

  // Counts a gradient that came for nothing.
  static void CountWasted(const Seat& seat, Unit& unit, Attempt attempt, SubmitOutcome outcome) {
    // An attempt that is unknown, or another's, is no lease that came to nothing.
    if (!IsWasted(outcome) || attempt <= unit.wasted_attempt ||
        !seat.run.HadLease(unit, seat.id, attempt)) {
      return;
    }
    unit.wasted_attempt = attempt;
    seat.worker.wasted_image_count += unit.image_count;
    if (outcome == SubmitOutcome::kDuplicate) seat.worker.duplicate_unit_count += 1;
  }

  // One look of Claim.
  absl::StatusOr<ClaimResult> LookForWork(const ClaimRequest& request) {
    MutexLock lock(mu);
    GANNET_ASSIGN_OR_RETURN(Seat seat, Authenticate(request.worker, request.run));
    const absl::Time now = clock.Now();
    int held = 0;
    Unit* claimed_before = nullptr;
    Unit* ready = nullptr;
    seat.run.ForEachUnit(seat.run.open_round(), [&](Unit& unit) {
      if (unit.state == UnitState::kLeased && unit.holder == seat.id) {
        ++held;
        if (unit.request_id == request.request_id) claimed_before = &unit;
      }
      if (unit.state == UnitState::kReady && unit.ready_at <= now && ready == nullptr &&
          MayClaim(seat.run, unit, seat.id, now)) {
        ready = &unit;
      }
    });

    ClaimResult result;
    result.state = seat.run.state;
    if (claimed_before != nullptr) {
      result.unit = Describe(seat.run, *claimed_before, now);
      return result;
    }
    if (held >= kMaxLeasesPerWorker) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the worker holds all the units it may, submit or release one: ", held));
    }
    if (seat.run.state != RunState::kRunning) return result;
    if (ready == nullptr) {
      Unit* slow = FindSlowUnit(seat.run, seat.id, now);
      if (slow == nullptr) return result;
      ready = AddSpare(seat.run, *slow);
    }
    ready->claimed_at = now;
    ready->state = UnitState::kLeased;
    ready->attempt = Attempt(ready->attempt.value() + 1);
    ready->holder = seat.id;
    ready->request_id = request.request_id;
    ready->lease_until = now + seat.run.unit_lease();
    ready->progress_at = now;
    ready->micro_batches_done = 0;
    ready->ran_out = false;
    result.unit = Describe(seat.run, *ready, now);
    return result;
  }

  static WorkUnit Describe(const Run& run, const Unit& unit, absl::Time now) {
    WorkUnit work;
    work.run = run.id;
    work.unit = unit.id;
    work.attempt = unit.attempt;
    // As they were when it was claimed: noise depends on them.
    work.round = Round(unit.round.value() - unit.stale_rounds);
    work.slot = unit.claimed_slot.value_or(unit.slot);
    work.weights_version = WeightsVersion(work.round.value() - 1);
    work.weights_sha256 = run.weights.at(work.weights_version).payload.sha256;
    work.image_indices = unit.image_indices;
    work.micro_batch = run.config.micro_batch;
    work.seed = run.config.seed;
    work.lease = std::max(unit.lease_until - now, absl::ZeroDuration());
    return work;
  }

  // Whether the heartbeat renews the lease; renews it. `leases` is how many the worker has.
  static bool Renew(Run& run, Unit& unit, const WorkerId& worker, const UnitProgress& progress,
                    absl::Time now, int& leases) {
    const bool had_run_out = unit.state == UnitState::kReady && unit.ran_out;
    if (had_run_out && leases >= kMaxLeasesPerWorker) return false;
    // More than all of them cannot be done: whoever says so makes no progress.
    const int done = std::min(progress.micro_batches_done,
                              std::max(1, unit.image_count / run.config.micro_batch));
    const bool goes_on = done > unit.micro_batches_done;
    const RenewDecision decision =
        DecideRenewal(ViewOf(run, unit, now), worker, progress.attempt,
                      goes_on ? absl::ZeroDuration() : now - unit.progress_at,
                      StallLimit(run.latest_config().lease));
    if (!decision.renew) return false;
    if (goes_on) {
      unit.micro_batches_done = done;
      unit.progress_at = now;
    }
    unit.lease_until = now + run.unit_lease();
    unit.state = UnitState::kLeased;
    unit.ran_out = false;
    if (had_run_out) ++leases;
    return true;
  }

  // Gives a unit back that the worker holds; does nothing otherwise.
  absl::Status GiveBack(const WorkerIdentity& identity, RunId run, UnitId unit_id, Attempt attempt,
                        ReturnCause cause, const std::string& reason) {
    MutexLock lock(mu);
    GANNET_ASSIGN_OR_RETURN(Seat seat, Authenticate(identity, run));
    Unit* unit = seat.run.FindUnit(unit_id);
    if (unit != nullptr && IsHeldBy(*unit, seat.id, attempt)) {
      ReturnUnit(seat.run, *unit, cause, reason, seat.id);
    }
    return absl::OkStatus();
  }

  RunStatus StatusOf(const Run& run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    const absl::Time now = clock.Now();
    RunStatus status;
    status.run = run.id;
    status.config = run.ConfigOf(run.open_round());
    status.next_config = run.ConfigOf(Round(run.open_round().value() + 1));
    status.created_config = run.config;
    status.settings_round = run.settings_round();
    status.settings_version = run.settings_version;
    status.usual_unit_time = run.usual_unit_time;
    status.state = run.state;
    status.state_reason = run.state_reason;
    status.weights_version = run.version;
    status.best = run.best;
    if (!run.rounds.empty()) status.last_round = run.rounds.back();
    for (const auto& [id, worker] : run.workers) {
      if (!worker.signed_off && now - worker.last_seen < kWorkerPresence) ++status.worker_count;
      status.accepted_image_count += worker.accepted_image_count;
      status.wasted_image_count += worker.wasted_image_count;
    }
    return status;
  }

  Clock& clock;
  const int blob_ring;
  WorkSignal work;  // something may have become ready, or a run changed its state
  Mutex mu;
  std::map<RunId, std::shared_ptr<Run>> runs ABSL_GUARDED_BY(mu);
  int64_t last_run_id ABSL_GUARDED_BY(mu) = 0;
  int64_t last_unit_id ABSL_GUARDED_BY(mu) = 0;
};

class MemoryBackend::MemoryExchange final : public Exchange {
 public:
  explicit MemoryExchange(State& state) : state_(state) {}

  absl::StatusOr<JoinResult> Join(const JoinRequest& request) override {
    GANNET_RETURN_IF_ERROR(ValidateJoin(request));
    MutexLock lock(state_.mu);
    Run* run = FindRunToJoin(request.run_name);
    if (run == nullptr) {
      return absl::NotFoundError(request.run_name.empty()
                                     ? std::string("no run that has not ended")
                                     : absl::StrCat("no such run: ", request.run_name));
    }
    const std::string secret_sha256 = Sha256(request.worker.secret);
    const auto known = run->workers.find(request.worker.id);
    if (known != run->workers.end() && known->second.secret_sha256 != secret_sha256) {
      return absl::UnauthenticatedError(
          absl::StrCat("the worker is known with another secret: ", request.worker.id.value()));
    }
    if (known != run->workers.end() && !known->second.removed_reason.empty()) {
      return RemovedWorkerStatus(known->second.removed_reason);
    }
    if (request.data.has_value()) {
      GANNET_RETURN_IF_ERROR(CheckFingerprint(run->config.data, *request.data));
      if (known == run->workers.end() &&
          run->workers.size() >= static_cast<size_t>(kMaxWorkersOfRun)) {
        return absl::ResourceExhaustedError(
            absl::StrCat("the run has all the workers it may have: ", kMaxWorkersOfRun));
      }
      Worker& worker = run->workers[request.worker.id];
      if (known != run->workers.end() && worker.incarnation != request.worker.incarnation) {
        state_.ReturnUnitsOf(*run, request.worker.id, ReturnCause::kTakenOver);
      }
      worker.secret_sha256 = secret_sha256;
      worker.incarnation = request.worker.incarnation;
      worker.display_name = request.display_name;
      worker.hardware = request.hardware;
      RecordLife(worker);
    }
    JoinResult result;
    result.run = run->id;
    result.config = run->ConfigOf(run->open_round());
    result.state = run->state;
    result.heartbeat_interval = HeartbeatInterval(run->latest_config().lease);
    return result;
  }

  absl::StatusOr<ClaimResult> Claim(const ClaimRequest& request) override {
    GANNET_RETURN_IF_ERROR(ValidateClaim(request));
    RealClock wait_clock;
    const absl::Duration end = wait_clock.Steady() + request.wait;
    while (true) {
      const uint64_t generation = state_.work.generation();
      GANNET_ASSIGN_OR_RETURN(ClaimResult result, state_.LookForWork(request));
      const absl::Duration remaining = end - wait_clock.Steady();
      if (result.unit.has_value() || HasEnded(result.state) || remaining <= absl::ZeroDuration()) {
        return result;
      }
      // What only time changes (ReturnDelay, spares) tells nobody.
      state_.work.AwaitPast(generation, std::min(remaining, kLookInterval));
    }
  }

  absl::StatusOr<Payload> FetchWeights(const FetchWeightsRequest& request) override {
    GANNET_RETURN_IF_ERROR(ValidateFetchWeights(request));
    MutexLock lock(state_.mu);
    GANNET_ASSIGN_OR_RETURN(State::Seat seat, state_.Authenticate(request.worker, request.run));
    const auto found = seat.run.weights.find(request.version);
    if (found == seat.run.weights.end()) {
      return absl::NotFoundError(
          absl::StrCat("weights of this version are not kept, fetch the current ones: current ",
                       seat.run.version.value(), ", got ", request.version.value()));
    }
    const Payload& weights = found->second.payload;
    if (!request.sha256.empty() && request.sha256 != weights.sha256) {
      return absl::NotFoundError(absl::StrCat(
          "other weights have this version, claim again: version ", request.version.value()));
    }
    return weights;
  }

  absl::StatusOr<SubmitOutcome> Submit(const SubmitRequest& request) override {
    GANNET_RETURN_IF_ERROR(ValidateSubmit(request));
    MutexLock lock(state_.mu);
    GANNET_ASSIGN_OR_RETURN(State::Seat seat, state_.Authenticate(request.worker, request.run));
    GANNET_RETURN_IF_ERROR(CheckCodec(seat.run.config.gradient_codec, request.payload.codec));
    Unit* unit = seat.run.FindUnit(request.unit);
    if (unit == nullptr) {
      return absl::NotFoundError(absl::StrCat("no such unit: ", request.unit.value()));
    }
    GANNET_RETURN_IF_ERROR(
        CheckUnitCounts(request.stats, unit->image_count, seat.run.config.micro_batch));
    GANNET_ASSIGN_OR_RETURN(const SubmitOutcome outcome,
                            ClassifySubmit(ViewOf(seat.run, *unit, state_.clock.Now()), seat.id,
                                           request.attempt, request.payload.sha256));
    State::CountWasted(seat, *unit, request.attempt, outcome);
    if (outcome != SubmitOutcome::kAccepted && outcome != SubmitOutcome::kLate) return outcome;

    unit->state = UnitState::kDone;
    unit->gradient = Gradient{request.attempt, seat.id, request.stats,
                              state_.clock.Now() - unit->claimed_at, request.payload};
    seat.run.ForEachUnit(unit->round, [&](Unit& other) {
      const bool beside = other.slot == unit->slot && other.id != unit->id;
      if (beside && (IsOpen(other) || other.state == UnitState::kFailed)) {
        other.state = UnitState::kClosed;
      }
    });
    seat.run.rounds_with_bytes.insert(unit->round);
    seat.worker.accepted_unit_count += 1;
    seat.worker.accepted_image_count += unit->image_count;
    RecordLife(seat.worker);
    bool complete = true;
    seat.run.ForEachUnit(
        unit->round, [&](Unit& other) { complete &= !IsOpen(other) || other.stale_rounds > 0; });
    if (complete) seat.run.changes_signal.Notify();
    return outcome;
  }

  absl::StatusOr<std::optional<SubmitOutcome>> CheckSubmission(
      const SubmissionCheck& submission) override {
    GANNET_RETURN_IF_ERROR(
        ValidateRelease(submission.worker, submission.run, submission.unit, submission.attempt));
    MutexLock lock(state_.mu);
    GANNET_ASSIGN_OR_RETURN(State::Seat seat,
                            state_.Authenticate(submission.worker, submission.run));
    Unit* unit = seat.run.FindUnit(submission.unit);
    if (unit == nullptr) {
      return absl::NotFoundError(absl::StrCat("no such unit: ", submission.unit.value()));
    }
    GradientStats counts;
    counts.image_count = submission.image_count;
    counts.micro_batch_count = submission.micro_batch_count;
    GANNET_RETURN_IF_ERROR(CheckUnitCounts(counts, unit->image_count, seat.run.config.micro_batch));
    GANNET_ASSIGN_OR_RETURN(const SubmitOutcome outcome,
                            ClassifySubmit(ViewOf(seat.run, *unit, state_.clock.Now()), seat.id,
                                           submission.attempt, submission.sha256));
    if (outcome == SubmitOutcome::kAccepted || outcome == SubmitOutcome::kLate) {
      return std::optional<SubmitOutcome>();
    }
    State::CountWasted(seat, *unit, submission.attempt, outcome);
    return std::optional<SubmitOutcome>(outcome);
  }

  absl::StatusOr<HeartbeatResult> Heartbeat(const WorkerIdentity& worker, RunId run,
                                            const std::vector<UnitProgress>& held) override {
    GANNET_RETURN_IF_ERROR(ValidateHeartbeat(worker, run, held));
    MutexLock lock(state_.mu);
    GANNET_ASSIGN_OR_RETURN(State::Seat seat, state_.Authenticate(worker, run));
    RecordLife(seat.worker);
    const absl::Time now = state_.clock.Now();
    int leases = 0;
    seat.run.ForEachUnit(seat.run.open_round(), [&](const Unit& unit) {
      if (unit.state == UnitState::kLeased && unit.holder == seat.id) ++leases;
    });
    std::vector<UnitProgress> by_unit = held;
    std::sort(by_unit.begin(), by_unit.end(),
              [](const UnitProgress& a, const UnitProgress& b) { return a.unit < b.unit; });
    HeartbeatResult result;
    for (const UnitProgress& progress : by_unit) {
      Unit* unit = seat.run.FindUnit(progress.unit);
      if (unit == nullptr || !State::Renew(seat.run, *unit, seat.id, progress, now, leases)) {
        result.dropped.push_back(progress.unit);
      }
    }
    result.state = seat.run.state;
    return result;
  }

  absl::Status Release(const WorkerIdentity& worker, RunId run, UnitId unit,
                       Attempt attempt) override {
    GANNET_RETURN_IF_ERROR(ValidateRelease(worker, run, unit, attempt));
    return state_.GiveBack(worker, run, unit, attempt, ReturnCause::kReleased, "");
  }

  absl::Status Fail(const WorkerIdentity& worker, RunId run, UnitId unit, Attempt attempt,
                    const std::string& reason) override {
    GANNET_RETURN_IF_ERROR(ValidateFail(worker, run, unit, attempt, reason));
    return state_.GiveBack(worker, run, unit, attempt, ReturnCause::kFailed, reason);
  }

  absl::Status Leave(const WorkerIdentity& worker, RunId run) override {
    GANNET_RETURN_IF_ERROR(ValidateLeave(worker, run));
    MutexLock lock(state_.mu);
    GANNET_ASSIGN_OR_RETURN(State::Seat seat, state_.Authenticate(worker, run));
    state_.ReturnUnitsOf(seat.run, seat.id, ReturnCause::kReleased);
    seat.worker.signed_off = true;
    return absl::OkStatus();
  }

 private:
  Run* FindRunToJoin(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu) {
    for (auto it = state_.runs.rbegin(); it != state_.runs.rend(); ++it) {
      Run& run = *it->second;
      if (name.empty() ? !HasEnded(run.state) : run.config.name == name) return &run;
    }
    return nullptr;
  }

  void RecordLife(Worker& worker) ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu) {
    worker.last_seen = state_.clock.Now();
    worker.signed_off = false;
  }

  State& state_;
};

class MemoryBackend::MemoryStore final : public Store {
 public:
  explicit MemoryStore(State& state) : state_(state) {}

  absl::StatusOr<RunStatus> FindRun(const std::string& name) override {
    GANNET_RETURN_IF_ERROR(ValidateText("name", name, kMaxRunNameChars));
    MutexLock lock(state_.mu);
    for (const auto& [id, run] : state_.runs) {
      if (run->config.name == name) return state_.StatusOf(*run);
    }
    return absl::NotFoundError(absl::StrCat("no such run: ", name));
  }

  absl::StatusOr<RunId> CreateRun(const NewRun& request) override {
    GANNET_RETURN_IF_ERROR(ValidateNewRun(request));
    MutexLock lock(state_.mu);
    for (const auto& [id, other] : state_.runs) {
      if (other->config.name == request.config.name) {
        return absl::AlreadyExistsError(
            absl::StrCat("the name of the run is taken: ", request.config.name));
      }
    }
    auto run = std::make_unique<Run>();
    run->id = RunId(++state_.last_run_id);
    run->config = request.config;
    run->version = request.version;
    run->rounds = request.history;
    run->weights[run->version].payload = request.weights;
    run->adam_state = request.adam_state;
    run->changes = request.changes;
    if (request.pause_reason.has_value()) {
      run->state = RunState::kPaused;
      run->state_reason = *request.pause_reason;
    }
    for (const WorkerRecord& record : request.workers) {
      const WorkerSummary& summary = record.summary;
      run->workers[summary.worker] = {.secret_sha256 = record.secret_sha256,
                                      .incarnation = record.incarnation,
                                      .display_name = summary.display_name,
                                      .hardware = summary.hardware,
                                      .accepted_unit_count = summary.accepted_unit_count,
                                      .accepted_image_count = summary.accepted_image_count,
                                      .duplicate_unit_count = summary.duplicate_unit_count,
                                      .wasted_image_count = summary.wasted_image_count,
                                      .last_seen = summary.last_seen,
                                      .signed_off = !summary.removed_reason.empty(),
                                      .removed_reason = summary.removed_reason};
    }
    state_.AddUnits(*run, run->open_round(), request.units);
    const RunId id = run->id;
    state_.runs.emplace(id, std::move(run));
    return id;
  }

  absl::StatusOr<Leadership> AcquireLeadership(RunId id, const LeaderId& leader,
                                               absl::Duration ttl) override {
    GANNET_RETURN_IF_ERROR(ValidateAcquireLeadership(leader, ttl));
    MutexLock lock(state_.mu);
    GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
    const absl::Time now = state_.clock.Now();
    if (run->leader != leader) {
      if (!run->leader.value().empty() && run->leader_until > now) {
        return absl::FailedPreconditionError(
            absl::StrCat("another coordinator leads this run, wait: its time runs out in ",
                         absl::FormatDuration(run->leader_until - now)));
      }
      run->leader = leader;
      run->leader_epoch += 1;
    }
    run->leader_until = now + ttl;
    return Leadership{leader, run->leader_epoch};
  }

  absl::Status ResignLeadership(RunId id, const Leadership& leadership) override {
    MutexLock lock(state_.mu);
    GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
    if (run->leader == leadership.leader && run->leader_epoch == leadership.epoch) {
      run->leader = LeaderId();
    }
    return absl::OkStatus();
  }

  absl::StatusOr<RunStatus> GetRunStatus(RunId id) override {
    MutexLock lock(state_.mu);
    GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
    return state_.StatusOf(*run);
  }

  absl::StatusOr<Snapshot> LoadSnapshot(RunId id) override {
    MutexLock lock(state_.mu);
    GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
    return Snapshot{run->version, run->weights.at(run->version).payload, run->adam_state};
  }

  absl::StatusOr<RoundProgress> GetRoundProgress(RunId id, Round round) override {
    MutexLock lock(state_.mu);
    GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
    RoundProgress progress;
    run->ForEachUnit(round, [&](const Unit& unit) {
      const bool is_stale = unit.stale_rounds > 0;
      if (unit.state == UnitState::kReady) ++progress.ready;
      if (unit.state == UnitState::kLeased) ++(is_stale ? progress.stale_leased : progress.leased);
      if (IsOpen(unit) && !is_stale && unit.attempt.value() > progress.most_attempts) {
        progress.most_attempts = unit.attempt.value();
        progress.most_attempts_slot = unit.slot;
      }
      if (unit.state == UnitState::kFailed) {
        if (progress.failed == 0) progress.failure_reason = unit.failure_reason;
        ++progress.failed;
      }
      if (unit.state != UnitState::kDone) return;
      const Gradient& gradient = *unit.gradient;
      (is_stale ? progress.stale : progress.gradients)
          .push_back({unit.id, gradient.attempt, unit.slot, gradient.worker, gradient.stats,
                      gradient.payload.codec, gradient.payload.sha256, unit.stale_rounds});
    });
    return progress;
  }

  void AwaitChange(RunId id, absl::Duration timeout) override {
    std::shared_ptr<Run> run;  // so that the signal outlives the wait, also when the run is deleted
    uint64_t seen = 0;
    {
      MutexLock lock(state_.mu);
      const auto found = state_.runs.find(id);
      if (found == state_.runs.end()) return;
      run = found->second;
      seen = run->changes_seen;
    }
    const uint64_t generation = run->changes_signal.AwaitPast(seen, timeout);
    MutexLock lock(state_.mu);
    run->changes_seen = std::max(run->changes_seen, generation);
  }

  absl::StatusOr<Payload> FetchGradient(RunId id, UnitId unit_id) override {
    MutexLock lock(state_.mu);
    GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
    const Unit* unit = run->FindUnit(unit_id);
    if (unit == nullptr || !unit->gradient.has_value() ||
        unit->gradient->payload.bytes == nullptr) {
      return absl::NotFoundError(
          absl::StrCat("no gradient is kept of this unit: ", unit_id.value()));
    }
    return unit->gradient->payload;
  }

  absl::Status RejectGradient(RunId id, const Leadership& leadership, UnitId unit_id,
                              const std::string& reason) override {
    GANNET_RETURN_IF_ERROR(ValidateReason(reason));
    MutexLock lock(state_.mu);
    GANNET_ASSIGN_OR_RETURN(Run * run, state_.CheckFence(id, leadership));
    Unit* unit = run->FindUnit(unit_id);
    if (unit == nullptr || unit->state != UnitState::kDone || HasEnded(run->state) ||
        unit->round != run->open_round()) {
      return absl::NotFoundError(
          absl::StrCat("no gradient of the open round belongs to this unit: ", unit_id.value()));
    }
    const WorkerId id_of_worker = unit->gradient->worker;
    Worker& worker = run->workers.at(id_of_worker);
    worker.accepted_unit_count -= 1;
    worker.accepted_image_count -= unit->image_count;
    worker.rejected_in_a_row += 1;
    unit->gradient.reset();
    run->EndLease(*unit, id_of_worker);
    unit->holder = WorkerId();
    unit->is_spare = unit->stale_rounds > 0;  // else the slot's only one now
    state_.ReturnUnit(*run, *unit, ReturnCause::kRejected, reason, id_of_worker);
    if (worker.rejected_in_a_row >= kMaxRejectionsInARow && worker.removed_reason.empty()) {
      state_.Remove(*run, id_of_worker, RejectionsReason(worker.rejected_in_a_row, reason));
    }
    return absl::OkStatus();
  }

  absl::Status RemoveWorker(RunId id, const WorkerId& worker, const std::string& reason) override {
    GANNET_RETURN_IF_ERROR(ValidateRemoveWorker(worker, reason));
    MutexLock lock(state_.mu);
    GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
    GANNET_RETURN_IF_ERROR(RequireWorker(*run, worker));
    state_.Remove(*run, worker, reason);
    return absl::OkStatus();
  }

  absl::Status RestoreWorker(RunId id, const WorkerId& worker) override {
    GANNET_RETURN_IF_ERROR(ValidateWorkerId(worker));
    MutexLock lock(state_.mu);
    GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
    GANNET_RETURN_IF_ERROR(RequireWorker(*run, worker));
    run->workers.at(worker).removed_reason.clear();
    run->workers.at(worker).rejected_in_a_row = 0;
    return absl::OkStatus();
  }

  absl::Status Publish(const PublishRequest& request) override {
    GANNET_RETURN_IF_ERROR(ValidatePublish(request));
    MutexLock lock(state_.mu);
    GANNET_ASSIGN_OR_RETURN(Run * run, state_.CheckFence(request.run, request.leadership));
    if (HasEnded(run->state)) {
      return absl::FailedPreconditionError(
          absl::StrCat("the run has ended, publish nothing more: ", RunStateName(run->state)));
    }
    if (run->version != request.expected_version) {
      return absl::AbortedError(
          absl::StrCat("another version is published, read the run again: expected ",
                       request.expected_version.value(), ", got ", run->version.value()));
    }
    if (!request.expected_sha256.empty() &&
        request.expected_sha256 != run->weights.at(run->version).payload.sha256) {
      return absl::AbortedError(absl::StrCat(
          "other weights have this version, read the run again: version ", run->version.value()));
    }
    if (run->settings_version != request.settings_version) {
      return absl::AbortedError("settings have been changed, plan the next round again");
    }
    for (const UnitId id : request.consumed) {
      const Unit* unit = run->FindUnit(id);
      if (unit == nullptr || unit->round != run->open_round() || unit->state != UnitState::kDone) {
        return absl::AbortedError(
            absl::StrCat("consumed names a unit without a gradient of this round, read the run "
                         "again: ",
                         id.value()));
      }
    }
    std::vector<std::string> gradients;
    for (const UnitId id : request.consumed) {
      gradients.push_back(run->FindUnit(id)->gradient->payload.sha256);
    }
    if (!request.consumed_sha256.empty() && request.consumed_sha256 != ConsumedSha256(gradients)) {
      return absl::AbortedError(
          absl::StrCat("other gradients than those consumed belong to these units, read the run "
                       "again: round ",
                       run->open_round().value()));
    }

    for (const UnitId id : request.consumed) {
      Unit& unit = *run->FindUnit(id);
      unit.consumed = true;
      int& rejected = run->workers[unit.gradient->worker].rejected_in_a_row;
      rejected = std::max(0, rejected - 1);
    }
    run->usual_unit_time = State::MedianTaken(*run);
    std::vector<Unit> taken_along = State::TakeAlong(*run, request);
    run->ForEachUnit(run->open_round(), [run](Unit& unit) {
      if (IsOpen(unit) || unit.state == UnitState::kFailed) unit.state = UnitState::kClosed;
      if (unit.gradient.has_value() && !unit.consumed) {
        run->workers[unit.gradient->worker].wasted_image_count += unit.image_count;
      }
      unit.image_indices = {};  // of no use any more, and a long run has many
    });
    run->version = WeightsVersion(request.expected_version.value() + 1);
    run->weights[run->version] = Weights{request.weights, request.keep};
    run->adam_state = request.adam_state;
    run->rounds.push_back(request.summary);
    state_.AddUnits(*run, run->open_round(), request.next_units);
    for (Unit& unit : taken_along) run->AddUnit(std::move(unit));
    if (request.finished) state_.SetState(*run, RunState::kFinished, "");
    state_.work.Notify();
    return absl::OkStatus();
  }

  absl::StatusOr<int> ReapExpiredLeases(RunId id, const Leadership& leadership) override {
    MutexLock lock(state_.mu);
    GANNET_ASSIGN_OR_RETURN(Run * run, state_.CheckFence(id, leadership));
    const absl::Time now = state_.clock.Now();
    int count = 0;
    run->ForEachUnit(run->open_round(), [&](Unit& unit) ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu) {
      if (unit.state != UnitState::kLeased || unit.lease_until > now) return;
      state_.ReturnUnit(*run, unit, ReturnCause::kExpired, "", unit.holder);
      ++count;
    });
    return count;
  }

  absl::Status PrepareRound(RunId id, const Leadership& leadership, Round round) override {
    MutexLock lock(state_.mu);
    GANNET_ASSIGN_OR_RETURN(Run * run, state_.CheckFence(id, leadership));
    GANNET_RETURN_IF_ERROR(CheckPrepareRound(run->version, round));
    const auto makes_room = [&](int64_t other) {
      return other < round.value() && (round.value() - other) % state_.blob_ring == 0;
    };
    for (auto it = run->rounds_with_bytes.begin(); it != run->rounds_with_bytes.end();) {
      if (!makes_room(it->value())) {
        ++it;
        continue;
      }
      run->ForEachUnit(*it, [](Unit& unit) {
        if (unit.gradient.has_value()) unit.gradient->payload.bytes = nullptr;
      });
      it = run->rounds_with_bytes.erase(it);
    }
    run->ended_leases.erase(run->ended_leases.begin(),
                            run->ended_leases.upper_bound(Round(round.value() - kBlobRing)));
    for (auto it = run->weights.begin(); it != run->weights.end();) {
      const bool goes = makes_room(it->first.value()) && !it->second.keep;
      it = goes ? run->weights.erase(it) : std::next(it);
    }
    return absl::OkStatus();
  }

  absl::Status ReclaimBlobs(RunId id, const Leadership& leadership) override {
    MutexLock lock(state_.mu);
    GANNET_ASSIGN_OR_RETURN(Run * run, state_.CheckFence(id, leadership));
    if (!HasEnded(run->state)) {
      return absl::FailedPreconditionError(
          absl::StrCat("the run has not ended, its bytes are needed: ", RunStateName(run->state)));
    }
    for (const Round round : run->rounds_with_bytes) {
      run->ForEachUnit(round, [](Unit& unit) {
        if (unit.gradient.has_value()) unit.gradient->payload.bytes = nullptr;
      });
    }
    run->rounds_with_bytes.clear();
    std::erase_if(run->weights, [&](const auto& entry) {
      return entry.first != run->version && !entry.second.keep;
    });
    return absl::OkStatus();
  }

  absl::Status DeleteRun(RunId id) override {
    MutexLock lock(state_.mu);
    GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
    if (!run->leader.value().empty() && run->leader_until > state_.clock.Now()) {
      return absl::FailedPreconditionError(
          absl::StrCat("a coordinator leads this run, stop it first: its time runs out in ",
                       absl::FormatDuration(run->leader_until - state_.clock.Now())));
    }
    run->changes_signal.Notify();
    state_.runs.erase(id);
    state_.work.Notify();
    return absl::OkStatus();
  }

  absl::Status KeepBest(RunId id, const Leadership& leadership, const BestWeights& best,
                        const Payload& weights) override {
    GANNET_RETURN_IF_ERROR(ValidateKeepBest(best, weights));
    MutexLock lock(state_.mu);
    GANNET_ASSIGN_OR_RETURN(Run * run, state_.CheckFence(id, leadership));
    GANNET_RETURN_IF_ERROR(CheckIsPublished(run->version, best.version));
    run->best = best;
    run->best_weights = weights;
    return absl::OkStatus();
  }

  absl::StatusOr<BestSnapshot> LoadBest(RunId id) override {
    MutexLock lock(state_.mu);
    GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
    if (!run->best.has_value()) return absl::NotFoundError("no weights are kept as the best yet");
    return BestSnapshot{*run->best, run->best_weights};
  }

  absl::Status SetRunState(RunId id, RunState to, const std::string& reason) override {
    GANNET_RETURN_IF_ERROR(ValidateReason(reason));
    MutexLock lock(state_.mu);
    GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
    GANNET_RETURN_IF_ERROR(CheckRunTransition(run->state, to));
    if (run->state == to) return absl::OkStatus();
    if (to == RunState::kStopped) state_.CloseOpenUnits(*run);
    if (to == RunState::kRunning) state_.ReopenFailedUnits(*run);
    state_.SetState(*run, to, to == RunState::kRunning ? "" : reason);
    return absl::OkStatus();
  }

  absl::StatusOr<Round> ChangeSettings(RunId id, const RunConfig& config,
                                       const std::string& reason) override {
    GANNET_RETURN_IF_ERROR(ValidateReason(reason));
    MutexLock lock(state_.mu);
    GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
    if (HasEnded(run->state)) {
      return absl::FailedPreconditionError(
          absl::StrCat("the run has ended, nothing can change: ", RunStateName(run->state)));
    }
    const Round from(run->open_round().value() + 1);
    GANNET_ASSIGN_OR_RETURN(
        RunConfig changed,
        ChangeConfig(run->ConfigOf(run->open_round()), run->ConfigOf(from), config, from.value()));
    std::string reasons = reason;
    if (run->settings_round() == from) {
      reasons = JoinReasons(run->changes.back().reason, reason);
      run->changes.pop_back();
    }
    run->changes.push_back({from, std::move(changed), std::move(reasons)});
    // As the database counts, whose lower bits are drawn.
    run->settings_version += int64_t{1} << 24;
    run->changes_signal.Notify();
    return from;
  }

  absl::StatusOr<std::vector<SettingsChange>> ListChanges(RunId id) override {
    MutexLock lock(state_.mu);
    GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
    return run->changes;
  }

  absl::StatusOr<std::vector<RoundSummary>> ListRounds(RunId id, Round after, int limit) override {
    GANNET_RETURN_IF_ERROR(ValidateListRounds(after, limit));
    MutexLock lock(state_.mu);
    GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
    std::vector<RoundSummary> page;
    for (const RoundSummary& summary : run->rounds) {
      if (page.size() == static_cast<size_t>(limit)) break;
      if (summary.round > after) page.push_back(summary);
    }
    return page;
  }

  absl::StatusOr<std::vector<WorkerSummary>> ListWorkers(RunId id, const WorkerId& after,
                                                         int limit) override {
    GANNET_RETURN_IF_ERROR(ValidateListWorkers(after, limit));
    MutexLock lock(state_.mu);
    GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
    std::vector<WorkerSummary> page;
    for (auto it = run->workers.upper_bound(after); it != run->workers.end(); ++it) {
      if (page.size() == static_cast<size_t>(limit)) break;
      page.push_back(SummaryOf(it->first, it->second));
    }
    return page;
  }

  absl::StatusOr<std::vector<WorkerRecord>> ListWorkerRecords(RunId id) override {
    MutexLock lock(state_.mu);
    GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
    std::vector<WorkerRecord> records;
    for (const auto& [worker_id, worker] : run->workers) {
      records.push_back({SummaryOf(worker_id, worker), worker.secret_sha256, worker.incarnation});
    }
    return records;
  }

 private:
  static absl::Status RequireWorker(const Run& run, const WorkerId& worker) {
    if (run.workers.count(worker) > 0) return absl::OkStatus();
    return absl::NotFoundError(absl::StrCat("no such worker in this run: ", worker.value()));
  }

  State& state_;
};

MemoryBackend::MemoryBackend(Clock& clock, int blob_ring)
    : state_(std::make_unique<State>(clock, blob_ring)),
      store_(std::make_unique<MemoryStore>(*state_)),
      exchange_(std::make_unique<MemoryExchange>(*state_)) {}

MemoryBackend::~MemoryBackend() = default;

Store& MemoryBackend::store() { return *store_; }
Exchange& MemoryBackend::exchange() { return *exchange_; }

absl::StatusOr<RunDump> MemoryBackend::Dump(RunId id) {
  MutexLock lock(state_->mu);
  GANNET_ASSIGN_OR_RETURN(Run * run, state_->FindRun(id));
  const absl::Time now = state_->clock.Now();
  RunDump dump;
  dump.config = run->config;
  dump.state = run->state;
  dump.state_reason = run->state_reason;
  dump.weights_version = run->version;
  dump.leader = run->leader;
  dump.leader_epoch = run->leader_epoch;
  if (!run->leader.value().empty()) dump.leadership_remaining = run->leader_until - now;
  dump.usual_unit_time = run->usual_unit_time;
  dump.changes = run->changes;
  for (const auto& [version, weights] : run->weights) {
    dump.weights.push_back({version, weights.payload.sha256, weights.keep});
  }
  dump.adam_sha256 = run->adam_state.sha256;
  dump.best = run->best;
  dump.best_sha256 = run->best_weights.sha256;
  for (const auto& [place, unit] : run->units) {
    UnitDump out;
    out.round = unit.round;
    out.slot = unit.slot;
    out.state = unit.state;
    out.attempt = unit.attempt;
    out.holder = unit.holder;
    out.failures = unit.failures;
    out.failure_reason = unit.failure_reason;
    out.failed_by.assign(unit.failed_by.begin(), unit.failed_by.end());
    out.ran_out = unit.state == UnitState::kReady && unit.ran_out;
    if (unit.state == UnitState::kReady) out.ready_in = std::max(unit.ready_at, now) - now;
    out.consumed = unit.consumed;
    out.is_spare = unit.is_spare;
    out.stale_rounds = unit.stale_rounds;
    out.wasted_attempt = unit.wasted_attempt;
    if (unit.state == UnitState::kLeased) {
      out.lease_remaining = unit.lease_until - now;
      out.since_progress = now - unit.progress_at;
      out.since_claim = now - unit.claimed_at;
      out.micro_batches_done = unit.micro_batches_done;
    }
    if (unit.gradient.has_value()) {
      const Gradient& gradient = *unit.gradient;
      out.gradient = GradientDump{gradient.attempt,        gradient.worker,
                                  gradient.stats,          gradient.payload.codec,
                                  gradient.payload.sha256, gradient.payload.bytes != nullptr};
    }
    dump.units.push_back(std::move(out));
  }
  for (const auto& [id_of_worker, worker] : run->workers) {
    dump.workers.push_back({id_of_worker, worker.incarnation, worker.display_name, worker.hardware,
                            worker.accepted_unit_count, worker.accepted_image_count,
                            worker.duplicate_unit_count, worker.wasted_image_count,
                            now - worker.last_seen, worker.signed_off, worker.rejected_in_a_row,
                            worker.removed_reason});
  }
  dump.rounds = run->rounds;
  return dump;
}

}  // namespace gannet
