#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/backoff.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/telemetry/log.h"

namespace gannet {

// Asks a coordinator to stop, from any thread, and lets it wait for that.
//
// Thread safety: all methods may be called from any thread.
class StopFlag {
 public:
  void Raise();
  bool raised();
  // Waits until the flag is raised or `timeout` has passed; returns whether it is raised.
  bool AwaitFor(absl::Duration timeout);

 private:
  Mutex mu_;
  CondVar cv_;
  bool raised_ ABSL_GUARDED_BY(mu_) = false;
};

// Repeats calls to the database that fail because it cannot be reached, with back-off, for as long
// as it takes. Says what is awaited and for how long: when the wait begins, at growing intervals,
// and when it is over. Only for calls that may be repeated blindly: those that read, and those that
// are idempotent.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: everything passed by reference outlives it.
class DatabasePatience {
 public:
  // `on_change`, which may be empty, is told when the database is lost (false) and found (true).
  DatabasePatience(Clock& clock, StopFlag& stop, Logger& log, BackoffPolicy policy = {},
                   std::function<void(bool up)> on_change = {});

  // Calls until OK or an error that waiting cannot mend, which is returned. `what` completes the
  // sentence "waiting for the database to …".
  // Returns: CANCELLED - the flag was raised during a wait.
  absl::Status Call(absl::string_view what, const std::function<absl::Status()>& call);

  // The same for a call with a result.
  template <typename Function>
  auto CallFor(absl::string_view what, Function call) -> decltype(call()) {
    decltype(call()) result = absl::UnknownError("not called");
    const absl::Status status = Call(what, [&] {
      result = call();
      return result.status();
    });
    if (!status.ok()) return status;
    return result;
  }

  // Whether waiting can mend the error of a call that may be repeated. A commit in doubt can be.
  static bool IsPassing(const absl::Status& status);

 private:
  void Tell(bool up);

  Clock& clock_;
  StopFlag& stop_;
  Logger& log_;
  const BackoffPolicy policy_;
  const std::function<void(bool up)> on_change_;
};

}  // namespace gannet
