#include "libs/domain/unit_state.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace gannet::domain {

absl::StatusOr<SubmitOutcome> ClassifySubmit(const UnitView& unit, const base::WorkerId& worker,
                                             base::Attempt attempt, const std::string& sha256) {
  if (attempt < base::Attempt(1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("attempt must be at least 1: got ", attempt.value()));
  }
  if (unit.has_gradient && unit.gradient_attempt == attempt && unit.holder == worker) {
    if (unit.gradient_sha256 == sha256) return SubmitOutcome::kAlreadyAccepted;
    return absl::AlreadyExistsError(
        absl::StrCat("the same attempt was accepted with other bytes: attempt ", attempt.value()));
  }
  if (unit.slot_filled && attempt == unit.attempt && unit.holder == worker) {
    return SubmitOutcome::kDuplicate;
  }
  if (unit.state == UnitState::kClosed || unit.state == UnitState::kFailed) {
    return SubmitOutcome::kClosed;
  }
  if (attempt != unit.attempt || unit.state == UnitState::kDone || unit.holder != worker) {
    return SubmitOutcome::kSuperseded;
  }
  const bool lease_valid = unit.state == UnitState::kLeased && !unit.lease_expired;
  return lease_valid ? SubmitOutcome::kAccepted : SubmitOutcome::kLate;
}

RenewDecision DecideRenewal(const UnitView& unit, const base::WorkerId& worker,
                            base::Attempt attempt, absl::Duration since_progress,
                            absl::Duration stall_limit) {
  const bool reaped = unit.state == UnitState::kReady && unit.reaped;
  if (unit.state != UnitState::kLeased && !reaped) return {false, "the unit is not leased"};
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

absl::Duration StallLimit(absl::Duration lease) { return kLeasesOfStall * lease; }

absl::Duration UnitLease(absl::Duration configured, absl::Duration median) {
  if (median <= absl::ZeroDuration()) return configured;
  return std::min(configured, std::max(kMinUnitLease, kLeaseMultiplier * median));
}

absl::Duration SpeculationDelay(double speculation_multiplier, absl::Duration median,
                                absl::Duration lease) {
  if (speculation_multiplier <= 0) return absl::InfiniteDuration();
  if (median <= absl::ZeroDuration()) return StallLimit(lease);
  // Whole microseconds, as the database computes it.
  const double micros =
      speculation_multiplier * static_cast<double>(absl::ToInt64Microseconds(median));
  return std::max(kMinSpeculationDelay,
                  absl::Microseconds(static_cast<int64_t>(std::floor(micros))));
}

double StaleWeight(double stale_weight, int stale_rounds) {
  return std::pow(stale_weight, stale_rounds);
}

RequeueDecision DecideRequeue(int failures, RequeueCause cause, bool is_speculative,
                              int stale_rounds) {
  // Rejected ones were done, and so the only one left in their slot; but for a stale one nobody
  // waits.
  const bool counts = cause == RequeueCause::kFailed || cause == RequeueCause::kRejected;
  if ((is_speculative && cause != RequeueCause::kRejected) || stale_rounds > 0) {
    return {UnitState::kClosed, failures + (counts ? 1 : 0)};
  }
  if (!counts) {
    return {UnitState::kReady, failures};
  }
  ++failures;
  return {failures >= kMaxUnitFailures ? UnitState::kFailed : UnitState::kReady, failures};
}

absl::Duration RequeueBackoff(base::Attempt attempt, RequeueCause cause) {
  if (cause == RequeueCause::kReleased || cause == RequeueCause::kTakenOver ||
      attempt.value() < 2) {
    return absl::ZeroDuration();
  }
  const int doublings = std::min(attempt.value() - 2, kMaxRequeueDoublings);
  return std::min(kMaxRequeueBackoff, (1 << doublings) * kFirstRequeueBackoff);
}

}  // namespace gannet::domain
