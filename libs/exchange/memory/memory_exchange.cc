#include "libs/exchange/memory/memory_exchange.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/sha256.h"
#include "libs/base/status_macros.h"
#include "libs/exchange/validation.h"

namespace gannet::memory {

absl::StatusOr<exchange::JoinResult> MemoryExchange::Join(const exchange::JoinRequest& request) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateJoin(request));
  base::MutexLock lock(state_.mu);
  Run* run = FindRunToJoin(request.run_name);
  if (run == nullptr) {
    return absl::NotFoundError(request.run_name.empty()
                                   ? std::string("no run that has not ended")
                                   : absl::StrCat("no such run: ", request.run_name));
  }
  const std::string secret_sha256 = base::Sha256(request.worker.secret);
  const auto known = run->workers.find(request.worker.id);
  if (known != run->workers.end() && known->second.secret_sha256 != secret_sha256) {
    return absl::UnauthenticatedError(
        absl::StrCat("the worker is known with another secret: ", request.worker.id.value()));
  }
  if (known != run->workers.end() && !known->second.removed_reason.empty()) {
    return exchange::RemovedWorkerStatus(known->second.removed_reason);
  }
  if (request.data.has_value()) {
    GANNET_RETURN_IF_ERROR(exchange::CheckFingerprint(run->config.data, *request.data));
    if (known == run->workers.end() &&
        run->workers.size() >= static_cast<size_t>(exchange::kMaxWorkersOfRun)) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the run has all the workers it may have: ", exchange::kMaxWorkersOfRun));
    }
    Worker& worker = run->workers[request.worker.id];
    if (known != run->workers.end() && worker.incarnation != request.worker.incarnation) {
      state_.RequeueUnitsOf(*run, request.worker.id, domain::RequeueCause::kTakenOver);
    }
    worker.secret_sha256 = secret_sha256;
    worker.incarnation = request.worker.incarnation;
    worker.display_name = request.display_name;
    worker.hardware = request.hardware;
    RecordLife(worker);
  }
  exchange::JoinResult result;
  result.run = run->id;
  result.config = run->ConfigOf(run->open_round());
  result.state = run->state;
  result.heartbeat_interval = domain::HeartbeatInterval(run->latest_config().lease);
  return result;
}

absl::StatusOr<exchange::RunDescription> MemoryExchange::Describe(
    const exchange::WorkerIdentity& worker, base::RunId run) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateDescribe(worker, run));
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(const AuthenticatedWorker caller, state_.Authenticate(worker, run));
  exchange::RunDescription description;
  description.run = caller.run.id;
  description.config = caller.run.ConfigOf(caller.run.open_round());
  description.state = caller.run.state;
  return description;
}

absl::StatusOr<exchange::ClaimResult> MemoryExchange::Claim(const exchange::ClaimRequest& request) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateClaim(request));
  base::RealClock wait_clock;
  const absl::Duration end = wait_clock.Steady() + request.wait;
  while (true) {
    const uint64_t generation = state_.work.generation();
    GANNET_ASSIGN_OR_RETURN(exchange::ClaimResult result, state_.TryClaim(request));
    const absl::Duration remaining = end - wait_clock.Steady();
    if (result.unit.has_value() || domain::HasEnded(result.state) ||
        remaining <= absl::ZeroDuration()) {
      return result;
    }
    // What only time changes (RequeueBackoff, speculative copies) tells nobody.
    state_.work.AwaitPast(generation, std::min(remaining, kPollInterval));
  }
}

absl::StatusOr<exchange::Payload> MemoryExchange::FetchWeights(
    const exchange::FetchWeightsRequest& request) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateFetchWeights(request));
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(AuthenticatedWorker caller,
                          state_.Authenticate(request.worker, request.run));
  const auto found = caller.run.weights.find(request.version);
  if (found == caller.run.weights.end()) {
    return absl::NotFoundError(
        absl::StrCat("weights of this version are not stored, fetch the current ones: current ",
                     caller.run.version.value(), ", got ", request.version.value()));
  }
  const exchange::Payload& weights = found->second.payload;
  if (!request.sha256.empty() && request.sha256 != weights.sha256) {
    return absl::NotFoundError(absl::StrCat(
        "other weights have this version, claim again: version ", request.version.value()));
  }
  return weights;
}

absl::StatusOr<domain::SubmitOutcome> MemoryExchange::Submit(
    const exchange::SubmitRequest& request) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateSubmit(request));
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(AuthenticatedWorker caller,
                          state_.Authenticate(request.worker, request.run));
  GANNET_RETURN_IF_ERROR(
      exchange::CheckCodec(caller.run.config.gradient_codec, request.payload.codec));
  Unit* unit = caller.run.FindUnit(request.unit);
  if (unit == nullptr) {
    return absl::NotFoundError(absl::StrCat("no such unit: ", request.unit.value()));
  }
  GANNET_RETURN_IF_ERROR(
      exchange::CheckUnitCounts(request.stats, unit->image_count, caller.run.config.micro_batch));
  GANNET_ASSIGN_OR_RETURN(
      const domain::SubmitOutcome outcome,
      domain::ClassifySubmit(ViewOf(caller.run, *unit, state_.clock.Now()), caller.id,
                             request.attempt, request.payload.sha256));
  State::CountWasted(caller, *unit, request.attempt, outcome);
  if (outcome != domain::SubmitOutcome::kAccepted && outcome != domain::SubmitOutcome::kLate)
    return outcome;

  unit->state = domain::UnitState::kDone;
  unit->gradient = Gradient{request.attempt, caller.id, request.stats,
                            state_.clock.Now() - unit->claimed_at, request.payload};
  caller.run.ForEachUnit(unit->round, [&](Unit& other) {
    const bool beside = other.slot == unit->slot && other.id != unit->id;
    if (beside && (IsOpen(other) || other.state == domain::UnitState::kFailed)) {
      other.state = domain::UnitState::kClosed;
    }
  });
  caller.run.rounds_with_bytes.insert(unit->round);
  caller.worker.accepted_unit_count += 1;
  caller.worker.accepted_image_count += unit->image_count;
  RecordLife(caller.worker);
  bool complete = true;
  caller.run.ForEachUnit(
      unit->round, [&](Unit& other) { complete &= !IsOpen(other) || other.stale_rounds > 0; });
  if (complete) caller.run.changes_signal.Notify();
  return outcome;
}

absl::StatusOr<std::optional<domain::SubmitOutcome>> MemoryExchange::CheckSubmission(
    const exchange::SubmissionCheck& submission) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateRelease(submission.worker, submission.run,
                                                   submission.unit, submission.attempt));
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(AuthenticatedWorker caller,
                          state_.Authenticate(submission.worker, submission.run));
  Unit* unit = caller.run.FindUnit(submission.unit);
  if (unit == nullptr) {
    return absl::NotFoundError(absl::StrCat("no such unit: ", submission.unit.value()));
  }
  exchange::GradientStats counts;
  counts.image_count = submission.image_count;
  counts.micro_batch_count = submission.micro_batch_count;
  GANNET_RETURN_IF_ERROR(
      exchange::CheckUnitCounts(counts, unit->image_count, caller.run.config.micro_batch));
  GANNET_ASSIGN_OR_RETURN(const domain::SubmitOutcome outcome,
                          domain::ClassifySubmit(ViewOf(caller.run, *unit, state_.clock.Now()),
                                                 caller.id, submission.attempt, submission.sha256));
  if (outcome == domain::SubmitOutcome::kAccepted || outcome == domain::SubmitOutcome::kLate) {
    return std::optional<domain::SubmitOutcome>();
  }
  State::CountWasted(caller, *unit, submission.attempt, outcome);
  return std::optional<domain::SubmitOutcome>(outcome);
}

absl::StatusOr<exchange::HeartbeatResult> MemoryExchange::Heartbeat(
    const exchange::WorkerIdentity& worker, base::RunId run,
    const std::vector<exchange::UnitProgress>& held) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateHeartbeat(worker, run, held));
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(AuthenticatedWorker caller, state_.Authenticate(worker, run));
  RecordLife(caller.worker);
  const absl::Time now = state_.clock.Now();
  int leases = 0;
  caller.run.ForEachUnit(caller.run.open_round(), [&](const Unit& unit) {
    if (unit.state == domain::UnitState::kLeased && unit.holder == caller.id) ++leases;
  });
  std::vector<exchange::UnitProgress> by_unit = held;
  std::sort(by_unit.begin(), by_unit.end(),
            [](const exchange::UnitProgress& a, const exchange::UnitProgress& b) {
              return a.unit < b.unit;
            });
  exchange::HeartbeatResult result;
  for (const exchange::UnitProgress& progress : by_unit) {
    Unit* unit = caller.run.FindUnit(progress.unit);
    if (unit == nullptr || !State::Renew(caller.run, *unit, caller.id, progress, now, leases)) {
      result.dropped.push_back(progress.unit);
    }
  }
  result.state = caller.run.state;
  return result;
}

absl::Status MemoryExchange::Release(const exchange::WorkerIdentity& worker, base::RunId run,
                                     base::UnitId unit, base::Attempt attempt) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateRelease(worker, run, unit, attempt));
  return state_.ReleaseOrFail(worker, run, unit, attempt, domain::RequeueCause::kReleased, "");
}

absl::Status MemoryExchange::Fail(const exchange::WorkerIdentity& worker, base::RunId run,
                                  base::UnitId unit, base::Attempt attempt,
                                  const std::string& reason) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateFail(worker, run, unit, attempt, reason));
  return state_.ReleaseOrFail(worker, run, unit, attempt, domain::RequeueCause::kFailed, reason);
}

absl::Status MemoryExchange::Leave(const exchange::WorkerIdentity& worker, base::RunId run) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateLeave(worker, run));
  base::MutexLock lock(state_.mu);
  GANNET_ASSIGN_OR_RETURN(AuthenticatedWorker caller, state_.Authenticate(worker, run));
  state_.RequeueUnitsOf(caller.run, caller.id, domain::RequeueCause::kReleased);
  caller.worker.has_left = true;
  return absl::OkStatus();
}

Run* MemoryExchange::FindRunToJoin(const std::string& name) {
  for (auto it = state_.runs.rbegin(); it != state_.runs.rend(); ++it) {
    Run& run = *it->second;
    if (name.empty() ? !domain::HasEnded(run.state) : run.config.name == name) return &run;
  }
  return nullptr;
}

void MemoryExchange::RecordLife(Worker& worker) {
  worker.last_seen = state_.clock.Now();
  worker.has_left = false;
}

}  // namespace gannet::memory
