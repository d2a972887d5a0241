#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/base/stop_signal.h"
#include "libs/checkpoint/checkpoint.h"
#include "libs/client/admin_client.h"
#include "libs/config/config.h"
#include "libs/exchange/memory_backend.h"
#include "libs/telemetry/log.h"
#include "libs/telemetry/metrics.h"
#include "services/coordinator/coordinator.h"
#include "services/coordinator/run_admin.h"
#include "services/worker/worker.h"

namespace gannet::cli {

// A whole class in one process: the same coordinator and worker as the services', over memory
// instead of a database. The weights are those that a class with these settings ends with.
//
// Thread safety: GetRun and RequestStop from any thread; Run once, from one.
// Ownership and lifetime: clock and log outlive it.
class LocalTraining {
 public:
  // Opens the data set and makes the folder for results (coordinator.output_dir). Begins anew, or
  // where `checkpoint` ended.
  // Returns: as OpenDataset; INVALID_ARGUMENT - a setting is out of range, the folder cannot be
  // made, or the checkpoint is of other networks or data, or has no update left to do.
  static absl::StatusOr<std::unique_ptr<LocalTraining>> Create(
      const config::Config& config, const std::optional<checkpoint::Checkpoint>& checkpoint,
      base::Clock& clock, telemetry::Logger& log);

  // Trains until the run ends, and writes the results.
  // Returns: what ended the coordinator or the worker, whichever gave up first.
  absl::StatusOr<coordinator::CoordinatorReport> Run();

  // The run so far; what `gannet watch` shows.
  // Returns: UNAVAILABLE - it has not begun; what ended Run, once it has failed.
  absl::StatusOr<client::RunReport> GetRun();

  // Every update so far, oldest first.
  absl::StatusOr<std::vector<exchange::RoundSummary>> History();

  // Ends the run after the round in progress. The results are written as at a regular end.
  void RequestStop();

 private:
  LocalTraining(const config::Config& config, base::Clock& clock, telemetry::Logger& log);

  absl::Status Begin(coordinator::CoordinatorOptions options,
                     const std::optional<checkpoint::Checkpoint>& checkpoint);
  absl::Status RunWorker();

  const config::Config config_;
  base::Clock& clock_;
  telemetry::Logger& log_;
  base::StopSignal stop_;         // of this object: somebody asked for the end
  base::StopSignal worker_stop_;  // of the worker's waits
  telemetry::Metrics metrics_;
  exchange::MemoryBackend backend_;
  std::unique_ptr<coordinator::Coordinator> coordinator_;
  std::unique_ptr<coordinator::RunAdmin> admin_;
  std::unique_ptr<worker::Worker> worker_;
  base::Mutex mu_;
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
};

}  // namespace gannet::cli
