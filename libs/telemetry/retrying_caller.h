#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/backoff.h"
#include "libs/base/clock.h"
#include "libs/base/stop_signal.h"
#include "libs/telemetry/log.h"

namespace gannet::telemetry {

// Repeats calls that fail for a reason that may pass, with back-off, for as long as it takes: a
// restart of gateway or database costs whoever calls it nothing but time. Says what is awaited and
// for how long: when the wait begins, at growing intervals, and when it is over. Only for calls
// that may be repeated blindly: those that read, and those that are idempotent, as every call of
// Exchange is.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: everything passed by reference outlives it.
class RetryingCaller {
 public:
  // `peer` is what is awaited, for people: "the gateway at HOST:PORT". `on_change`, which may be
  // empty, is told when the peer is lost (false) and found (true).
  RetryingCaller(std::string peer, base::Clock& clock, base::StopSignal& stop, Logger& log,
                 base::BackoffPolicy policy = {}, std::function<void(bool up)> on_change = {});

  // Calls until OK or a permanent error, which is returned. `what` completes the
  // sentence "waiting for the peer to …".
  // Returns: CANCELLED - a stop was requested during a wait.
  absl::Status Call(absl::string_view what, const std::function<absl::Status()>& call);

  // Beside the usual ones, repeats errors for which `also_retry` says so.
  absl::Status Call(absl::string_view what, const std::function<absl::Status()>& call,
                    const std::function<bool(const absl::Status&)>& also_retry);

  // The same for a call with a result.
  template <typename Function>
  auto CallFor(absl::string_view what, Function call) -> decltype(call()) {
    return CallFor(what, std::move(call), [](const absl::Status&) { return false; });
  }
  template <typename Function>
  auto CallFor(absl::string_view what, Function call,
               const std::function<bool(const absl::Status&)>& also_retry) -> decltype(call()) {
    decltype(call()) result = absl::UnknownError("not called");
    absl::Status status = Call(
        what,
        [&] {
          result = call();
          return result.status();
        },
        also_retry);
    if (!status.ok()) return status;
    return result;
  }

  // Whether the error of a call that may be repeated is transient: IsRetryable, or a commit in
  // doubt.
  static bool IsTransient(const absl::Status& status);

 private:
  const std::string peer_;
  base::Clock& clock_;
  base::StopSignal& stop_;
  Logger& log_;
  const base::BackoffPolicy policy_;
  const uint64_t seed_;  // each process its own: workers do not retry in step
  const std::function<void(bool up)> on_change_;
};

}  // namespace gannet::telemetry
