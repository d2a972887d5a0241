#pragma once

#include <functional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/base/periodic_runner.h"
#include "libs/telemetry/log.h"

namespace gannet::gateway {

struct DatabaseWatchOptions {
  absl::Duration probe_interval = absl::Seconds(1);
  // A probe that does not come back counts as failed after this long. With the interval it stays
  // below the promised 5 s.
  absl::Duration silence_limit = absl::Milliseconds(3'500);
};

// Asks the database again and again whether it is there, and tells when that changes. It counts as
// down until the first good answer. A probe that hangs, as on a broken network, is noticed by a
// second thread.
//
// Ownership and lifetime: the destructor waits for a probe in progress.
class DatabaseWatch {
 public:
  // `probe` does something cheap; `on_change` gets true when the database has come, false when it
  // has gone. Both are called from threads of the watch, `on_change` from one only.
  DatabaseWatch(std::function<absl::Status()> probe, std::function<void(bool up)> on_change,
                base::Clock& clock, telemetry::Logger& log, const DatabaseWatchOptions& options);

  // No call of `on_change` after this, even while a probe hangs. Idempotent.
  void Stop();

 private:
  void Probe();
  void Judge();

  const std::function<absl::Status()> probe_;
  const std::function<void(bool up)> on_change_;
  base::Clock& clock_;
  telemetry::Logger& log_;
  const DatabaseWatchOptions options_;
  base::Mutex mu_;
  absl::Status last_answer_ ABSL_GUARDED_BY(mu_) = absl::UnavailableError("not asked yet");
  absl::Duration last_answer_at_ ABSL_GUARDED_BY(mu_);
  bool up_ = false;  // of the judging thread
  absl::Duration changed_at_;
  base::PeriodicRunner judge_;
  base::PeriodicRunner prober_;
};

}  // namespace gannet::gateway
