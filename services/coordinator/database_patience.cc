#include "services/coordinator/database_patience.h"

#include <algorithm>

namespace gannet {
namespace {

// Lines about one wait come after 0 s, 10 s, 20 s, 40 s, … and then every five minutes.
constexpr absl::Duration kFirstLineInterval = absl::Seconds(10);
constexpr absl::Duration kMaxLineInterval = absl::Minutes(5);

}  // namespace

void StopFlag::Raise() {
  MutexLock lock(mu_);
  raised_ = true;
  cv_.NotifyAll();
}

bool StopFlag::raised() {
  MutexLock lock(mu_);
  return raised_;
}

bool StopFlag::AwaitFor(absl::Duration timeout) {
  MutexLock lock(mu_);
  while (!raised_) {
    if (!cv_.WaitFor(mu_, timeout)) break;
  }
  return raised_;
}

DatabasePatience::DatabasePatience(Clock& clock, StopFlag& stop, Logger& log, BackoffPolicy policy,
                                   std::function<void(bool up)> on_change)
    : clock_(clock), stop_(stop), log_(log), policy_(policy), on_change_(std::move(on_change)) {}

bool DatabasePatience::IsPassing(const absl::Status& status) {
  return IsRetryable(status) || status.code() == absl::StatusCode::kUnknown;
}

void DatabasePatience::Tell(bool up) {
  if (on_change_) on_change_(up);
}

absl::Status DatabasePatience::Call(absl::string_view what,
                                    const std::function<absl::Status()>& call) {
  Backoff backoff(policy_);
  const absl::Duration start = clock_.Steady();
  absl::Duration next_line = absl::ZeroDuration();
  absl::Duration line_interval = kFirstLineInterval;
  bool waited = false;
  while (true) {
    absl::Status status = call();
    const absl::Duration so_far = clock_.Steady() - start;
    if (status.ok() || !IsPassing(status)) {
      if (waited) {
        log_.Info("the database answers again", {{"to", what}, {"waited", so_far}});
        Tell(true);
      }
      return status;
    }
    if (!waited) Tell(false);
    waited = true;
    if (so_far >= next_line) {
      log_.Warning("waiting for the database",
                   {{"to", what}, {"waited", so_far}, {"reason", status}});
      next_line = so_far + line_interval;
      line_interval = std::min(2 * line_interval, kMaxLineInterval);
    }
    if (stop_.AwaitFor(backoff.Next())) {
      return absl::CancelledError("asked to stop while waiting for the database");
    }
  }
}

}  // namespace gannet
