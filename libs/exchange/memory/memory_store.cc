#include "libs/exchange/memory/memory_store.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/sha256.h"
#include "libs/base/status_macros.h"
#include "libs/exchange/validation.h"

namespace gannet::memory {

absl::StatusOr<exchange::RunStatus> MemoryStore::FindRun(const std::string& name) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateText("name", name, exchange::kMaxRunNameChars));
  base::MutexLock lock(state_.mu);
  for (const auto& [id, run] : state_.runs) {
    if (run->config.name == name) return state_.StatusOf(*run);
  }
  return absl::NotFoundError(absl::StrCat("no such run: ", name));
}

absl::StatusOr<base::RunId> MemoryStore::CreateRun(const exchange::NewRun& request) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateNewRun(request));
  base::MutexLock lock(state_.mu);
  for (const auto& [id, other] : state_.runs) {
    if (other->config.name == request.config.name) {
      return absl::AlreadyExistsError(
          absl::StrCat("the name of the run is taken: ", request.config.name));
    }
  }
  auto run = std::make_unique<Run>();
  run->id = base::RunId(++state_.last_run_id);
  run->config = request.config;
  run->version = request.version;
  run->rounds = request.history;
  run->weights[run->version].payload = request.weights;
  run->adam_state = request.adam_state;
  run->changes = request.changes;
  if (request.pause_reason.has_value()) {
    run->state = domain::RunState::kPaused;
    run->state_reason = *request.pause_reason;
  }
  for (const exchange::WorkerRecord& record : request.workers) {
    const exchange::WorkerSummary& summary = record.summary;
    run->workers[summary.worker] = {.secret_sha256 = record.secret_sha256,
                                    .incarnation = record.incarnation,
                                    .display_name = summary.display_name,
                                    .hardware = summary.hardware,
                                    .accepted_unit_count = summary.accepted_unit_count,
                                    .accepted_image_count = summary.accepted_image_count,
                                    .duplicate_unit_count = summary.duplicate_unit_count,
                                    .wasted_image_count = summary.wasted_image_count,
                                    .last_seen = summary.last_seen,
                                    .has_left = !summary.removed_reason.empty(),
                                    .removed_reason = summary.removed_reason};
  }
  state_.AddUnits(*run, run->open_round(), request.units);
  const base::RunId id = run->id;
  state_.runs.emplace(id, std::move(run));
  return id;
}

absl::StatusOr<exchange::Leadership> MemoryStore::AcquireLeadership(base::RunId id,
                                                                    const base::LeaderId& leader,
                                                                    absl::Duration ttl) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateAcquireLeadership(leader, ttl));
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
  const absl::Time now = state_.clock.Now();
  if (run->leader != leader) {
    if (!run->leader.value().empty() && run->leader_until > now) {
      return absl::FailedPreconditionError(
          absl::StrCat("another coordinator leads this run, wait: its leadership expires in ",
                       absl::FormatDuration(run->leader_until - now)));
    }
    run->leader = leader;
    run->leader_term += 1;
  }
  run->leader_until = now + ttl;
  return exchange::Leadership{leader, run->leader_term};
}

absl::Status MemoryStore::ResignLeadership(base::RunId id, const exchange::Leadership& leadership) {
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
  if (run->leader == leadership.leader && run->leader_term == leadership.term) {
    run->leader = base::LeaderId();
  }
  return absl::OkStatus();
}

absl::StatusOr<exchange::RunStatus> MemoryStore::GetRunStatus(base::RunId id) {
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
  return state_.StatusOf(*run);
}

absl::StatusOr<exchange::Store::Snapshot> MemoryStore::LoadSnapshot(base::RunId id) {
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
  return Snapshot{run->version, run->weights.at(run->version).payload, run->adam_state};
}

absl::StatusOr<exchange::RoundProgress> MemoryStore::GetRoundProgress(base::RunId id,
                                                                      base::Round round) {
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
  exchange::RoundProgress progress;
  run->ForEachUnit(round, [&](const Unit& unit) {
    const bool is_stale = unit.stale_rounds > 0;
    if (unit.state == domain::UnitState::kReady) ++progress.ready;
    if (unit.state == domain::UnitState::kLeased)
      ++(is_stale ? progress.stale_leased : progress.leased);
    if (IsOpen(unit) && !is_stale && unit.attempt.value() > progress.most_attempts) {
      progress.most_attempts = unit.attempt.value();
      progress.most_attempts_slot = unit.slot;
    }
    if (unit.state == domain::UnitState::kFailed) {
      if (progress.failed == 0) progress.failure_reason = unit.failure_reason;
      ++progress.failed;
    }
    if (unit.state != domain::UnitState::kDone) return;
    const Gradient& gradient = *unit.gradient;
    (is_stale ? progress.stale : progress.gradients)
        .push_back({unit.id, gradient.attempt, unit.slot, gradient.worker, gradient.stats,
                    gradient.payload.codec, gradient.payload.sha256, unit.stale_rounds});
  });
  return progress;
}

void MemoryStore::AwaitChange(base::RunId id, absl::Duration timeout) {
  std::shared_ptr<Run> run;  // so that the signal outlives the wait, also when the run is deleted
  uint64_t seen = 0;
  {
    base::MutexLock lock(state_.mu);
    const auto found = state_.runs.find(id);
    if (found == state_.runs.end()) return;
    run = found->second;
    seen = run->changes_seen;
  }
  const uint64_t generation = run->changes_signal.AwaitPast(seen, timeout);
  base::MutexLock lock(state_.mu);
  run->changes_seen = std::max(run->changes_seen, generation);
}

absl::StatusOr<exchange::Payload> MemoryStore::FetchGradient(base::RunId id, base::UnitId unit_id) {
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
  const Unit* unit = run->FindUnit(unit_id);
  if (unit == nullptr || !unit->gradient.has_value() || unit->gradient->payload.bytes == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("no gradient of this unit is stored: ", unit_id.value()));
  }
  return unit->gradient->payload;
}

absl::Status MemoryStore::RejectGradient(base::RunId id, const exchange::Leadership& leadership,
                                         base::UnitId unit_id, const std::string& reason) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateReason(reason));
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(Run * run, state_.CheckFence(id, leadership));
  Unit* unit = run->FindUnit(unit_id);
  if (unit == nullptr || unit->state != domain::UnitState::kDone || domain::HasEnded(run->state) ||
      unit->round != run->open_round()) {
    return absl::NotFoundError(
        absl::StrCat("no gradient of the open round belongs to this unit: ", unit_id.value()));
  }
  const base::WorkerId id_of_worker = unit->gradient->worker;
  Worker& worker = run->workers.at(id_of_worker);
  worker.accepted_unit_count -= 1;
  worker.accepted_image_count -= unit->image_count;
  worker.net_rejections += 1;
  unit->gradient.reset();
  run->EndLease(*unit, id_of_worker);
  unit->holder = base::WorkerId();
  unit->is_speculative = unit->stale_rounds > 0;  // else the slot's only one now
  state_.RequeueUnit(*run, *unit, domain::RequeueCause::kRejected, reason, id_of_worker);
  if (worker.net_rejections >= exchange::kMaxNetRejections && worker.removed_reason.empty()) {
    state_.Remove(*run, id_of_worker, exchange::RejectionsReason(worker.net_rejections, reason));
  }
  return absl::OkStatus();
}

absl::Status MemoryStore::RemoveWorker(base::RunId id, const base::WorkerId& worker,
                                       const std::string& reason) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateRemoveWorker(worker, reason));
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
  GANNET_RETURN_IF_ERROR(RequireWorker(*run, worker));
  state_.Remove(*run, worker, reason);
  return absl::OkStatus();
}

absl::Status MemoryStore::RestoreWorker(base::RunId id, const base::WorkerId& worker) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateWorkerId(worker));
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
  GANNET_RETURN_IF_ERROR(RequireWorker(*run, worker));
  run->workers.at(worker).removed_reason.clear();
  run->workers.at(worker).net_rejections = 0;
  return absl::OkStatus();
}

absl::Status MemoryStore::Publish(const exchange::PublishRequest& request) {
  GANNET_RETURN_IF_ERROR(exchange::ValidatePublish(request));
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(Run * run, state_.CheckFence(request.run, request.leadership));
  if (domain::HasEnded(run->state)) {
    return absl::FailedPreconditionError(absl::StrCat("the run has ended, publish nothing more: ",
                                                      domain::RunStateName(run->state)));
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
  for (const base::UnitId id : request.consumed) {
    const Unit* unit = run->FindUnit(id);
    if (unit == nullptr || unit->round != run->open_round() ||
        unit->state != domain::UnitState::kDone) {
      return absl::AbortedError(
          absl::StrCat("consumed names a unit without a gradient of this round, read the run "
                       "again: ",
                       id.value()));
    }
  }
  std::vector<std::string> gradients;
  for (const base::UnitId id : request.consumed) {
    gradients.push_back(run->FindUnit(id)->gradient->payload.sha256);
  }
  if (!request.consumed_sha256.empty() &&
      request.consumed_sha256 != exchange::ConsumedSha256(gradients)) {
    return absl::AbortedError(
        absl::StrCat("other gradients than those consumed belong to these units, read the run "
                     "again: round ",
                     run->open_round().value()));
  }

  for (const base::UnitId id : request.consumed) {
    Unit& unit = *run->FindUnit(id);
    unit.consumed = true;
    int& rejected = run->workers[unit.gradient->worker].net_rejections;
    rejected = std::max(0, rejected - 1);
  }
  run->median_unit_time = State::MedianTaken(*run);
  std::vector<Unit> taken_along = State::CarryOverStragglers(*run, request);
  run->ForEachUnit(run->open_round(), [run](Unit& unit) {
    if (IsOpen(unit) || unit.state == domain::UnitState::kFailed)
      unit.state = domain::UnitState::kClosed;
    if (unit.gradient.has_value() && !unit.consumed) {
      run->workers[unit.gradient->worker].wasted_image_count += unit.image_count;
    }
    unit.image_indices = {};  // of no use any more, and a long run has many
  });
  run->version = base::WeightsVersion(request.expected_version.value() + 1);
  run->weights[run->version] = Weights{request.weights, request.keep};
  run->adam_state = request.adam_state;
  run->rounds.push_back(request.summary);
  state_.AddUnits(*run, run->open_round(), request.next_units);
  for (Unit& unit : taken_along) run->AddUnit(std::move(unit));
  if (request.finished) state_.SetState(*run, domain::RunState::kFinished, "");
  state_.work.Notify();
  return absl::OkStatus();
}

absl::StatusOr<int> MemoryStore::ReapExpiredLeases(base::RunId id,
                                                   const exchange::Leadership& leadership) {
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(Run * run, state_.CheckFence(id, leadership));
  const absl::Time now = state_.clock.Now();
  int count = 0;
  run->ForEachUnit(run->open_round(), [&](Unit& unit) ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu) {
    if (unit.state != domain::UnitState::kLeased || unit.lease_until > now) return;
    state_.RequeueUnit(*run, unit, domain::RequeueCause::kExpired, "", unit.holder);
    ++count;
  });
  return count;
}

absl::Status MemoryStore::ReclaimOldBlobs(base::RunId id, const exchange::Leadership& leadership,
                                          base::Round round) {
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(Run * run, state_.CheckFence(id, leadership));
  GANNET_RETURN_IF_ERROR(exchange::CheckReclaimOldBlobs(run->version, round));
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
  run->ended_leases.erase(
      run->ended_leases.begin(),
      run->ended_leases.upper_bound(base::Round(round.value() - exchange::kBlobRing)));
  for (auto it = run->weights.begin(); it != run->weights.end();) {
    const bool goes = makes_room(it->first.value()) && !it->second.keep;
    it = goes ? run->weights.erase(it) : std::next(it);
  }
  return absl::OkStatus();
}

absl::Status MemoryStore::ReclaimBlobs(base::RunId id, const exchange::Leadership& leadership) {
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(Run * run, state_.CheckFence(id, leadership));
  if (!domain::HasEnded(run->state)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the run has not ended, its bytes are needed: ", domain::RunStateName(run->state)));
  }
  for (const base::Round round : run->rounds_with_bytes) {
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

absl::Status MemoryStore::DeleteRun(base::RunId id) {
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
  if (!run->leader.value().empty() && run->leader_until > state_.clock.Now()) {
    return absl::FailedPreconditionError(
        absl::StrCat("a coordinator leads this run, stop it first: its leadership expires in ",
                     absl::FormatDuration(run->leader_until - state_.clock.Now())));
  }
  run->changes_signal.Notify();
  state_.runs.erase(id);
  state_.work.Notify();
  return absl::OkStatus();
}

absl::Status MemoryStore::SaveBest(base::RunId id, const exchange::Leadership& leadership,
                                   const exchange::BestWeights& best,
                                   const exchange::Payload& weights) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateSaveBest(best, weights));
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(Run * run, state_.CheckFence(id, leadership));
  GANNET_RETURN_IF_ERROR(exchange::CheckIsPublished(run->version, best.version));
  run->best = best;
  run->best_weights = weights;
  return absl::OkStatus();
}

absl::StatusOr<exchange::Store::BestSnapshot> MemoryStore::LoadBest(base::RunId id) {
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
  if (!run->best.has_value()) return absl::NotFoundError("no best weights are saved yet");
  return BestSnapshot{*run->best, run->best_weights};
}

absl::Status MemoryStore::SetRunState(base::RunId id, domain::RunState to,
                                      const std::string& reason) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateReason(reason));
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
  GANNET_RETURN_IF_ERROR(domain::CheckRunTransition(run->state, to));
  if (run->state == to) return absl::OkStatus();
  if (to == domain::RunState::kStopped) state_.CloseOpenUnits(*run);
  if (to == domain::RunState::kRunning) state_.ReopenFailedUnits(*run);
  state_.SetState(*run, to, to == domain::RunState::kRunning ? "" : reason);
  return absl::OkStatus();
}

absl::StatusOr<base::Round> MemoryStore::ChangeSettings(base::RunId id,
                                                        const domain::RunConfig& config,
                                                        const std::string& reason) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateReason(reason));
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
  if (domain::HasEnded(run->state)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the run has ended, nothing can change: ", domain::RunStateName(run->state)));
  }
  const base::Round from(run->open_round().value() + 1);
  GANNET_ASSIGN_OR_RETURN(domain::RunConfig changed,
                          domain::ChangeConfig(run->ConfigOf(run->open_round()),
                                               run->ConfigOf(from), config, from.value()));
  std::string reasons = reason;
  if (run->settings_round() == from) {
    reasons = exchange::JoinReasons(run->changes.back().reason, reason);
    run->changes.pop_back();
  }
  run->changes.push_back({from, std::move(changed), std::move(reasons)});
  // As the database counts, whose lower bits are drawn.
  run->settings_version += int64_t{1} << 24;
  run->changes_signal.Notify();
  return from;
}

absl::StatusOr<std::vector<exchange::SettingsChange>> MemoryStore::ListChanges(base::RunId id) {
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
  return run->changes;
}

absl::StatusOr<std::vector<exchange::RoundSummary>> MemoryStore::ListRounds(base::RunId id,
                                                                            base::Round after,
                                                                            int limit) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateListRounds(after, limit));
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
  std::vector<exchange::RoundSummary> page;
  for (const exchange::RoundSummary& summary : run->rounds) {
    if (page.size() == static_cast<size_t>(limit)) break;
    if (summary.round > after) page.push_back(summary);
  }
  return page;
}

absl::StatusOr<std::vector<exchange::WorkerSummary>> MemoryStore::ListWorkers(
    base::RunId id, const base::WorkerId& after, int limit) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateListWorkers(after, limit));
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
  std::vector<exchange::WorkerSummary> page;
  for (auto it = run->workers.upper_bound(after); it != run->workers.end(); ++it) {
    if (page.size() == static_cast<size_t>(limit)) break;
    page.push_back(SummaryOf(it->first, it->second));
  }
  return page;
}

absl::StatusOr<std::vector<exchange::WorkerRecord>> MemoryStore::ListWorkerRecords(base::RunId id) {
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(Run * run, state_.FindRun(id));
  std::vector<exchange::WorkerRecord> records;
  for (const auto& [worker_id, worker] : run->workers) {
    records.push_back({SummaryOf(worker_id, worker), worker.secret_sha256, worker.incarnation});
  }
  return records;
}

absl::Status MemoryStore::RequireWorker(const Run& run, const base::WorkerId& worker) {
  if (run.workers.count(worker) > 0) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("no such worker in this run: ", worker.value()));
}

}  // namespace gannet::memory
