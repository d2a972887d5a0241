#include "libs/telemetry/retrying_caller.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"

namespace gannet::telemetry {
namespace {

// Lines about one wait come after 0 s, 10 s, 30 s, 70 s, … and then every five minutes.
constexpr absl::Duration kFirstLineInterval = absl::Seconds(10);
constexpr absl::Duration kMaxLineInterval = absl::Minutes(5);

}  // namespace

RetryingCaller::RetryingCaller(std::string peer, base::Clock& clock, base::StopSignal& stop,
                               Logger& log, base::BackoffPolicy policy,
                               std::function<void(bool up)> on_change)
    : peer_(std::move(peer)),
      clock_(clock),
      stop_(stop),
      log_(log),
      policy_(policy),
      seed_(std::random_device{}()),
      on_change_(std::move(on_change)) {}

bool RetryingCaller::IsTransient(const absl::Status& status) {
  return base::IsRetryable(status) || status.code() == absl::StatusCode::kUnknown;
}

absl::Status RetryingCaller::Call(absl::string_view what,
                                  const std::function<absl::Status()>& call) {
  return Call(what, call, [](const absl::Status&) { return false; });
}

absl::Status RetryingCaller::Call(absl::string_view what, const std::function<absl::Status()>& call,
                                  const std::function<bool(const absl::Status&)>& also_retry) {
  base::Backoff backoff(policy_, seed_);
  const absl::Duration start = clock_.Steady();
  absl::Duration next_line = absl::ZeroDuration();
  absl::Duration line_interval = kFirstLineInterval;
  bool waited = false;
  while (true) {
    absl::Status status = call();
    const absl::Duration so_far = clock_.Steady() - start;
    if (status.ok() || !(IsTransient(status) || also_retry(status))) {
      if (waited) {
        log_.Info("answers again", {{"peer", peer_}, {"to", what}, {"waited", so_far}});
        if (on_change_) on_change_(true);
      }
      return status;
    }
    if (!waited && on_change_) on_change_(false);
    waited = true;
    if (so_far >= next_line) {
      log_.Warning("waiting, will try again",
                   {{"peer", peer_}, {"to", what}, {"waited", so_far}, {"reason", status}});
      next_line = so_far + line_interval;
      line_interval = std::min(2 * line_interval, kMaxLineInterval);
    }
    if (stop_.AwaitFor(backoff.Next())) {
      return absl::CancelledError(absl::StrCat("asked to stop while waiting for ", peer_));
    }
  }
}

}  // namespace gannet::telemetry
