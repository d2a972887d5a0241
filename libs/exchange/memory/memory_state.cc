#include "libs/exchange/memory/memory_state.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/base/sha256.h"
#include "libs/base/status_macros.h"
#include "libs/exchange/validation.h"

namespace gannet::memory {
namespace {

// Whether another unit has the gradient of this one's slot.
bool IsSlotFilled(Run& run, const Unit& unit) {
  bool filled = false;
  run.ForEachUnit(unit.round, [&](const Unit& other) {
    filled |= other.slot == unit.slot && other.id != unit.id && other.gradient.has_value();
  });
  return filled;
}

}  // namespace

exchange::WorkerSummary SummaryOf(const base::WorkerId& id, const Worker& worker) {
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
  return unit.state == domain::UnitState::kReady || unit.state == domain::UnitState::kLeased;
}

bool IsHeldBy(const Unit& unit, const base::WorkerId& worker, base::Attempt attempt) {
  return unit.state == domain::UnitState::kLeased && unit.holder == worker &&
         unit.attempt == attempt;
}

domain::UnitView ViewOf(Run& run, const Unit& unit, absl::Time now) {
  domain::UnitView view;
  view.state = unit.state;
  view.attempt = unit.attempt;
  view.holder = unit.holder;
  view.lease_expired = unit.lease_until <= now;
  view.reaped = unit.reaped;
  view.slot_filled = IsSlotFilled(run, unit);
  if (unit.gradient.has_value()) {
    view.has_gradient = true;
    view.gradient_attempt = unit.gradient->attempt;
    view.gradient_sha256 = unit.gradient->payload.sha256;
  }
  return view;
}

absl::Duration State::MedianTaken(Run& run) {
  std::vector<absl::Duration> taken;
  run.ForEachUnit(run.open_round(), [&](const Unit& unit) {
    if (unit.gradient.has_value() && unit.stale_rounds == 0) taken.push_back(unit.gradient->taken);
  });
  if (taken.empty()) return run.median_unit_time;
  std::sort(taken.begin(), taken.end());
  return taken[(taken.size() - 1) / 2];
}

std::vector<Unit> State::CarryOverStragglers(Run& run, const exchange::PublishRequest& request) {
  std::map<base::Slot, const Unit*> by_slot;
  run.ForEachUnit(run.open_round(), [&](const Unit& unit) {
    if (unit.state != domain::UnitState::kLeased || unit.stale_rounds >= request.max_stale_rounds ||
        IsSlotFilled(run, unit)) {
      return;
    }
    const Unit*& most_recent = by_slot[unit.slot];
    if (most_recent == nullptr || unit.progress_at > most_recent->progress_at) most_recent = &unit;
  });
  base::Slot next_slot(0);
  for (const domain::PlannedUnit& unit : request.next_units) {
    next_slot = std::max(next_slot, base::Slot(unit.slot.value() + 1));
  }
  std::vector<Unit> taken;
  for (const auto& [slot, unit] : by_slot) {
    Unit& moved = taken.emplace_back(*unit);
    moved.round = base::Round(unit->round.value() + 1);
    moved.slot = next_slot;
    moved.claimed_slot = unit->claimed_slot.value_or(unit->slot);
    moved.is_speculative = true;
    ++moved.stale_rounds;
    next_slot = base::Slot(next_slot.value() + 1);
  }
  for (const Unit& unit : taken) run.RemoveUnit(unit.id);
  return taken;
}

absl::StatusOr<Run*> State::FindRun(base::RunId id) {
  const auto found = runs.find(id);
  if (found == runs.end()) {
    return absl::NotFoundError(absl::StrCat("no such run: ", id.value()));
  }
  return found->second.get();
}

absl::StatusOr<AuthenticatedWorker> State::Authenticate(const exchange::WorkerIdentity& identity,
                                                        base::RunId id) {
  GANNET_ASSIGN_OR_RETURN(Run * run, FindRun(id));
  const auto found = run->workers.find(identity.id);
  if (found == run->workers.end()) {
    return absl::UnauthenticatedError(
        absl::StrCat("the worker is unknown in this run, join it first: ", identity.id.value()));
  }
  Worker& worker = found->second;
  if (worker.secret_sha256 != base::Sha256(identity.secret)) {
    return absl::UnauthenticatedError(
        absl::StrCat("the secret is not this worker's: ", identity.id.value()));
  }
  if (!worker.removed_reason.empty()) return exchange::RemovedWorkerStatus(worker.removed_reason);
  if (worker.incarnation < identity.incarnation) {
    return absl::UnauthenticatedError(absl::StrCat(
        "this start of the worker is unknown in this run, join it first: ", identity.id.value()));
  }
  if (worker.incarnation != identity.incarnation) {
    return absl::FailedPreconditionError(
        absl::StrCat("a newer start of this worker has taken over, end this one: current ",
                     worker.incarnation.value(), ", got ", identity.incarnation.value()));
  }
  return AuthenticatedWorker{*run, identity.id, worker};
}

absl::StatusOr<Run*> State::CheckFence(base::RunId id, const exchange::Leadership& leadership) {
  GANNET_ASSIGN_OR_RETURN(Run * run, FindRun(id));
  if (run->leader.value().empty() || run->leader != leadership.leader ||
      run->leader_term != leadership.term || run->leader_until <= clock.Now()) {
    return absl::FailedPreconditionError(
        absl::StrCat("not the leader (any more), stop coordinating: current term ",
                     run->leader_term, ", got ", leadership.term));
  }
  return run;
}

void State::SetState(Run& run, domain::RunState state, const std::string& reason) {
  run.state = state;
  run.state_reason = reason;
  run.changes_signal.Notify();
  work.Notify();
}

void State::RequeueUnit(Run& run, Unit& unit, domain::RequeueCause cause, const std::string& reason,
                        const base::WorkerId& by) {
  const domain::RequeueDecision decision =
      domain::DecideRequeue(unit.failures, cause, unit.is_speculative, unit.stale_rounds);
  // Of a rejected gradient the holder is forgotten already.
  if (!unit.holder.value().empty()) run.EndLease(unit, unit.holder);
  unit.state = decision.state;
  unit.failures = decision.failures;
  unit.reaped = cause == domain::RequeueCause::kExpired;
  if (cause != domain::RequeueCause::kReleased && cause != domain::RequeueCause::kTakenOver) {
    unit.ready_at = clock.Now() + domain::RequeueBackoff(unit.attempt, cause);
  }
  if (cause == domain::RequeueCause::kFailed || cause == domain::RequeueCause::kRejected) {
    unit.failure_reason = reason;
    unit.failed_by.insert(by);
  }
  if (unit.state == domain::UnitState::kFailed) {
    if (run.state == domain::RunState::kRunning) {
      SetState(
          run, domain::RunState::kPaused,
          exchange::FailedUnitReason(unit.round, unit.slot, unit.failures, unit.holder, reason));
    }
    run.changes_signal.Notify();
  }
  work.Notify();
}

void State::RequeueUnitsOf(Run& run, const base::WorkerId& worker, domain::RequeueCause cause) {
  run.ForEachUnit(run.open_round(), [&](Unit& unit) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    if (unit.state == domain::UnitState::kLeased && unit.holder == worker) {
      RequeueUnit(run, unit, cause, "", worker);
    }
  });
}

void State::Remove(Run& run, const base::WorkerId& id, const std::string& reason) {
  Worker& worker = run.workers.at(id);
  worker.removed_reason = reason;
  worker.has_left = true;
  if (domain::HasEnded(run.state)) return;
  run.ForEachUnit(run.open_round(), [&](Unit& unit) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    if (unit.holder != id) return;
    if (unit.state == domain::UnitState::kDone || unit.state == domain::UnitState::kLeased) {
      run.EndLease(unit, id);
    }
    if (unit.state == domain::UnitState::kDone) {
      worker.accepted_unit_count -= 1;
      worker.accepted_image_count -= unit.image_count;
      unit.gradient.reset();
      unit.is_speculative = unit.stale_rounds > 0;  // else the slot's only one now
      unit.state = unit.is_speculative ? domain::UnitState::kClosed : domain::UnitState::kReady;
    } else if (unit.state == domain::UnitState::kLeased) {
      unit.state = unit.is_speculative ? domain::UnitState::kClosed : domain::UnitState::kReady;
    } else if (unit.state != domain::UnitState::kReady) {
      return;
    }
    unit.holder = base::WorkerId();
    unit.reaped = false;
  });
  run.changes_signal.Notify();
  work.Notify();
}

void State::CloseOpenUnits(Run& run) {
  run.ForEachUnit(run.open_round(), [](Unit& unit) {
    if (IsOpen(unit)) unit.state = domain::UnitState::kClosed;
  });
}

void State::ReopenFailedUnits(Run& run) {
  run.ForEachUnit(run.open_round(), [](Unit& unit) {
    if (unit.state != domain::UnitState::kFailed) return;
    unit.state = domain::UnitState::kReady;
    unit.failures = 0;
    unit.failed_by.clear();
    unit.ready_at = absl::InfinitePast();
  });
}

void State::AddUnits(Run& run, base::Round round, const std::vector<domain::PlannedUnit>& planned) {
  for (const domain::PlannedUnit& plan : planned) {
    Unit unit;
    unit.id = base::UnitId(++last_unit_id);
    unit.round = round;
    unit.slot = plan.slot;
    unit.image_indices = plan.image_indices;
    unit.image_count = static_cast<int>(plan.image_indices.size());
    run.AddUnit(std::move(unit));
  }
}

bool State::MayClaim(const Run& run, const Unit& unit, const base::WorkerId& id, absl::Time now) {
  if (!unit.failed_by.contains(id) ||
      unit.ready_at + domain::StallLimit(run.latest_config().lease) <= now) {
    return true;
  }
  for (const auto& [other_id, other] : run.workers) {
    if (!unit.failed_by.contains(other_id) && !other.has_left && other.removed_reason.empty() &&
        now - other.last_seen < exchange::kWorkerLivenessTimeout) {
      return false;
    }
  }
  return true;
}

Unit* State::FindStraggler(Run& run, const base::WorkerId& worker, absl::Time now) {
  const absl::Duration limit =
      domain::SpeculationDelay(run.latest_config().policy.speculation_multiplier,
                               run.median_unit_time, run.latest_config().lease);
  const auto is_straggler = [&](const Unit& unit) {
    return unit.state == domain::UnitState::kLeased && unit.holder != worker &&
           now - unit.claimed_at > limit;
  };
  std::map<base::Slot, int> open_units;
  std::set<base::Slot> helped;  // by a unit from which something is to be hoped
  run.ForEachUnit(run.open_round(), [&](Unit& unit) {
    if (!IsOpen(unit)) return;
    ++open_units[unit.slot];
    if (!is_straggler(unit)) helped.insert(unit.slot);
  });
  Unit* slow = nullptr;
  run.ForEachUnit(run.open_round(), [&](Unit& unit) {
    const bool waits = is_straggler(unit) && !unit.is_speculative &&
                       !unit.failed_by.contains(worker) && !helped.contains(unit.slot) &&
                       open_units[unit.slot] < domain::kMaxOpenUnitsOfSlot;
    if (waits && (slow == nullptr || unit.claimed_at < slow->claimed_at)) slow = &unit;
  });
  return slow;
}

Unit* State::AddSpeculativeUnit(Run& run, const Unit& slow) {
  Unit copy;
  copy.id = base::UnitId(++last_unit_id);
  copy.round = slow.round;
  copy.slot = slow.slot;
  copy.image_indices = slow.image_indices;
  copy.image_count = slow.image_count;
  copy.is_speculative = true;
  return run.AddUnit(std::move(copy));
}

void State::CountWasted(const AuthenticatedWorker& caller, Unit& unit, base::Attempt attempt,
                        domain::SubmitOutcome outcome) {
  // An attempt that is unknown, or another's, is no lease that came to nothing.
  if (!domain::IsWasted(outcome) || attempt <= unit.wasted_attempt ||
      !caller.run.HadLease(unit, caller.id, attempt)) {
    return;
  }
  unit.wasted_attempt = attempt;
  caller.worker.wasted_image_count += unit.image_count;
  if (outcome == domain::SubmitOutcome::kDuplicate) caller.worker.duplicate_unit_count += 1;
}

absl::StatusOr<exchange::ClaimResult> State::TryClaim(const exchange::ClaimRequest& request) {
  base::MutexLock lock(mu);
  GANNET_ASSIGN_OR_RETURN(AuthenticatedWorker caller, Authenticate(request.worker, request.run));
  const absl::Time now = clock.Now();
  int held = 0;
  Unit* claimed_before = nullptr;
  Unit* ready = nullptr;
  caller.run.ForEachUnit(caller.run.open_round(), [&](Unit& unit) {
    if (unit.state == domain::UnitState::kLeased && unit.holder == caller.id) {
      ++held;
      if (unit.request_id == request.request_id) claimed_before = &unit;
    }
    if (unit.state == domain::UnitState::kReady && unit.ready_at <= now && ready == nullptr &&
        MayClaim(caller.run, unit, caller.id, now)) {
      ready = &unit;
    }
  });

  exchange::ClaimResult result;
  result.state = caller.run.state;
  if (claimed_before != nullptr) {
    result.unit = Describe(caller.run, *claimed_before, now);
    return result;
  }
  if (held >= domain::kMaxLeasesPerWorker) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the worker holds all the units it may, submit or release one: ", held));
  }
  if (caller.run.state != domain::RunState::kRunning) return result;
  if (ready == nullptr) {
    Unit* slow = FindStraggler(caller.run, caller.id, now);
    if (slow == nullptr) return result;
    ready = AddSpeculativeUnit(caller.run, *slow);
  }
  ready->claimed_at = now;
  ready->state = domain::UnitState::kLeased;
  ready->attempt = base::Attempt(ready->attempt.value() + 1);
  ready->holder = caller.id;
  ready->request_id = request.request_id;
  ready->lease_until = now + caller.run.unit_lease();
  ready->progress_at = now;
  ready->micro_batches_done = 0;
  ready->reaped = false;
  result.unit = Describe(caller.run, *ready, now);
  return result;
}

exchange::WorkUnit State::Describe(const Run& run, const Unit& unit, absl::Time now) {
  exchange::WorkUnit work;
  work.run = run.id;
  work.unit = unit.id;
  work.attempt = unit.attempt;
  // As they were when it was claimed: noise depends on them.
  work.round = base::Round(unit.round.value() - unit.stale_rounds);
  work.slot = unit.claimed_slot.value_or(unit.slot);
  work.weights_version = base::WeightsVersion(work.round.value() - 1);
  work.weights_sha256 = run.weights.at(work.weights_version).payload.sha256;
  work.image_indices = unit.image_indices;
  work.micro_batch = run.config.micro_batch;
  work.seed = run.config.seed;
  work.lease = std::max(unit.lease_until - now, absl::ZeroDuration());
  return work;
}

bool State::Renew(Run& run, Unit& unit, const base::WorkerId& worker,
                  const exchange::UnitProgress& progress, absl::Time now, int& leases) {
  const bool was_reaped = unit.state == domain::UnitState::kReady && unit.reaped;
  if (was_reaped && leases >= domain::kMaxLeasesPerWorker) return false;
  // More than all of them cannot be done: whoever says so makes no progress.
  const int done =
      std::min(progress.micro_batches_done, std::max(1, unit.image_count / run.config.micro_batch));
  const bool goes_on = done > unit.micro_batches_done;
  const domain::RenewDecision decision =
      domain::DecideRenewal(ViewOf(run, unit, now), worker, progress.attempt,
                            goes_on ? absl::ZeroDuration() : now - unit.progress_at,
                            domain::StallLimit(run.latest_config().lease));
  if (!decision.renew) return false;
  if (goes_on) {
    unit.micro_batches_done = done;
    unit.progress_at = now;
  }
  unit.lease_until = now + run.unit_lease();
  unit.state = domain::UnitState::kLeased;
  unit.reaped = false;
  if (was_reaped) ++leases;
  return true;
}

absl::Status State::ReleaseOrFail(const exchange::WorkerIdentity& identity, base::RunId run,
                                  base::UnitId unit_id, base::Attempt attempt,
                                  domain::RequeueCause cause, const std::string& reason) {
  base::MutexLock lock(mu);
  GANNET_ASSIGN_OR_RETURN(AuthenticatedWorker caller, Authenticate(identity, run));
  Unit* unit = caller.run.FindUnit(unit_id);
  if (unit != nullptr && IsHeldBy(*unit, caller.id, attempt)) {
    RequeueUnit(caller.run, *unit, cause, reason, caller.id);
  }
  return absl::OkStatus();
}

exchange::RunStatus State::StatusOf(const Run& run) {
  const absl::Time now = clock.Now();
  exchange::RunStatus status;
  status.run = run.id;
  status.config = run.ConfigOf(run.open_round());
  status.next_config = run.ConfigOf(base::Round(run.open_round().value() + 1));
  status.created_config = run.config;
  status.settings_round = run.settings_round();
  status.settings_version = run.settings_version;
  status.median_unit_time = run.median_unit_time;
  status.state = run.state;
  status.state_reason = run.state_reason;
  status.weights_version = run.version;
  status.best = run.best;
  if (!run.rounds.empty()) status.last_round = run.rounds.back();
  for (const auto& [id, worker] : run.workers) {
    if (!worker.has_left && now - worker.last_seen < exchange::kWorkerLivenessTimeout)
      ++status.worker_count;
    status.accepted_image_count += worker.accepted_image_count;
    status.wasted_image_count += worker.wasted_image_count;
  }
  return status;
}

}  // namespace gannet::memory
