#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/backoff.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/telemetry/log.h"

namespace gannet {

// Asks to stop, from any thread, and lets others wait for it.
class StopSignal {
 public:
  void Request();
  bool requested();
  // Waits until a stop is requested or `timeout` has passed; returns whether it is requested.
  bool AwaitFor(absl::Duration timeout);

 private:
  Mutex mu_;
  CondVar cv_;
  bool requested_ ABSL_GUARDED_BY(mu_) = false;
};

// Repeats calls that fail for a passing reason (IsRetryable, or a commit in doubt: every call of
// Exchange is idempotent), with back-off, for as long as it takes: a restart of gateway or database
// costs a worker nothing but time. Says what is awaited and for how long, when the wait begins, at
// growing intervals, and when it is over.
//
// Thread safety: all methods may be called from any thread.
class PatientCaller {
 public:
  // `peer` is what is awaited, for people: "the gateway at HOST:PORT".
  PatientCaller(std::string peer, Clock& clock, StopSignal& stop, Logger& log,
                BackoffPolicy policy = {});

  // Calls until OK or an error that repeating cannot mend, which is returned. CANCELLED - a stop
  // was requested during a wait.
  absl::Status Call(absl::string_view what, const std::function<absl::Status()>& call);

  // Beside the usual ones, repeats errors for which `also_retry` says so.
  absl::Status Call(absl::string_view what, const std::function<absl::Status()>& call,
                    const std::function<bool(const absl::Status&)>& also_retry);

 private:
  const std::string peer_;
  Clock& clock_;
  StopSignal& stop_;
  Logger& log_;
  const BackoffPolicy policy_;
};

}  // namespace gannet
