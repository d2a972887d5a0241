#include "services/worker/patient_caller.h"

#include <algorithm>
#include <utility>

namespace gannet {

void StopSignal::Request() {
  MutexLock lock(mu_);
  requested_ = true;
  cv_.NotifyAll();
}

bool StopSignal::requested() {
  MutexLock lock(mu_);
  return requested_;
}

bool StopSignal::AwaitFor(absl::Duration timeout) {
  MutexLock lock(mu_);
  while (!requested_) {
    if (!cv_.WaitFor(mu_, timeout)) break;
  }
  return requested_;
}

PatientCaller::PatientCaller(std::string peer, Clock& clock, StopSignal& stop, Logger& log,
                             BackoffPolicy policy)
    : peer_(std::move(peer)), clock_(clock), stop_(stop), log_(log), policy_(policy) {}

absl::Status PatientCaller::Call(absl::string_view what,
                                 const std::function<absl::Status()>& call) {
  return Call(what, call, [](const absl::Status&) { return false; });
}

absl::Status PatientCaller::Call(absl::string_view what, const std::function<absl::Status()>& call,
                                 const std::function<bool(const absl::Status&)>& also_retry) {
  Backoff backoff(policy_);
  const absl::Duration start = clock_.Steady();
  // The next line comes at once, then after 10 s, 20 s, 40 s, … of waiting.
  absl::Duration next_line = absl::ZeroDuration();
  bool waited = false;
  while (true) {
    absl::Status status = call();
    const absl::Duration so_far = clock_.Steady() - start;
    if (status.ok()) {
      if (waited) log_.Info("reached again", {{"peer", peer_}, {"call", what}, {"waited", so_far}});
      return status;
    }
    const bool passing =
        IsRetryable(status) || status.code() == absl::StatusCode::kUnknown || also_retry(status);
    if (!passing) return status;
    if (so_far >= next_line) {
      log_.Warning("waiting, will try again",
                   {{"peer", peer_}, {"call", what}, {"waited", so_far}, {"reason", status}});
      next_line = std::max(absl::Seconds(10), next_line * 2);
      waited = true;
    }
    if (stop_.AwaitFor(backoff.Next())) {
      return absl::CancelledError("a stop was requested while waiting");
    }
  }
}

}  // namespace gannet
