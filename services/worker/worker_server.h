#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/config/config.h"
#include "libs/telemetry/log.h"
#include "libs/telemetry/retrying_caller.h"
#include "services/worker/worker.h"

namespace gannet::worker {

// Whether a worker could start with these settings, as far as can be said without a look at files
// or the network.
// Returns: INVALID_ARGUMENT - every mistake, one per line, naming its setting.
absl::Status CheckWorkerSettings(const config::Config& config);

// Whether the certificate and the secrets that the settings name can be used; for main, which ends
// with another code when not. Returns: as CheckWorkerSettings, GatewayConnectionFrom and
// CheckNamedFiles.
absl::Status CheckWorkerFiles(const config::Config& config);

// A worker as its process runs it: the parts that the settings ask for (metrics, identity, the way
// to the run, images, computation), put together.
//
// Thread safety: RequestStop from any thread; Run once, from one.
// Ownership and lifetime: clock and log outlive it.
class WorkerServer {
 public:
  WorkerServer(config::Config config, base::Clock& clock, telemetry::Logger& log);

  // Works until the run ends or a stop is asked for, and logs a summary.
  // Returns: as Worker::Run, OwnIdentity and the way to the run (an unusable address, a schema this
  // binary does not know).
  absl::StatusOr<WorkerReport> Run();

  void RequestStop();

 private:
  const config::Config config_;
  base::Clock& clock_;
  telemetry::Logger& log_;
  base::StopSignal stop_;
  base::Mutex mu_;
  Worker* worker_ ABSL_GUARDED_BY(mu_) = nullptr;  // while it runs
};

}  // namespace gannet::worker
