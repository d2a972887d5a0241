#include "libs/domain/unit_state.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace gannet {

absl::StatusOr<SubmitOutcome> ClassifySubmit(const UnitView& unit, const WorkerId& worker,
                                             Attempt attempt, const std::string& sha256) {
  if (attempt < Attempt(1) || attempt > unit.attempt) {
    return absl::InvalidArgumentError(
        absl::StrCat("attempt was never issued: the unit's last one is ", unit.attempt.value(),
                     ", got ", attempt.value()));
  }
  if (unit.has_gradient && unit.gradient_attempt == attempt && unit.holder == worker) {
    if (unit.gradient_sha256 == sha256) return SubmitOutcome::kAlreadyAccepted;
    return absl::AlreadyExistsError(
        absl::StrCat("the same attempt was accepted with other bytes: attempt ", attempt.value()));
  }
  if (unit.state == UnitState::kClosed || unit.state == UnitState::kFailed) {
    return SubmitOutcome::kClosed;
  }
  if (attempt < unit.attempt || unit.state == UnitState::kDone || unit.holder.value().empty()) {
    return SubmitOutcome::kSuperseded;
  }
  if (unit.holder != worker) {
    return absl::FailedPreconditionError(
        absl::StrCat("the attempt belongs to another worker: attempt ", attempt.value()));
  }
  const bool on_time = unit.state == UnitState::kLeased && !unit.lease_expired;
  return on_time ? SubmitOutcome::kAccepted : SubmitOutcome::kLate;
}

RenewDecision DecideRenewal(const UnitView& unit, const WorkerId& worker, Attempt attempt,
                            absl::Duration since_progress, absl::Duration stall_limit) {
  if (unit.state != UnitState::kLeased) return {false, "the unit is not leased"};
  if (unit.holder != worker) return {false, "the unit is leased to another worker"};
  if (unit.attempt != attempt) {
    return {false, absl::StrCat("the unit is leased under another attempt: expected ",
                                unit.attempt.value(), ", got ", attempt.value())};
  }
  if (since_progress > stall_limit) {
    return {false,
            absl::StrCat("no progress for too long: at most ", absl::FormatDuration(stall_limit),
                         ", got ", absl::FormatDuration(since_progress))};
  }
  return {true, ""};
}

absl::Duration HeartbeatInterval(absl::Duration lease) {
  // More often than this tells nobody anything.
  constexpr absl::Duration kLongest = absl::Seconds(5);
  return std::min(kLongest, lease / 3);
}

absl::Duration StallLimit(absl::Duration lease) { return 3 * lease; }

ReturnDecision DecideReturn(int failures, ReturnCause cause) {
  if (cause != ReturnCause::kFailed && cause != ReturnCause::kRejected) {
    return {UnitState::kReady, failures};
  }
  ++failures;
  return {failures >= kMaxUnitFailures ? UnitState::kFailed : UnitState::kReady, failures};
}

}  // namespace gannet
