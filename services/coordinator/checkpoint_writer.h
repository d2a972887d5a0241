#pragma once

#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/mutex.h"
#include "libs/domain/run_config.h"
#include "libs/exchange/store.h"
#include "libs/telemetry/log.h"

namespace gannet {

// Writes checkpoints (libs/checkpoint) into a folder and keeps the newest, from a thread of its
// own, so that no round waits for a disk. One that cannot be written costs a warning, and those
// before it stay.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: the log outlives it. The destructor waits for the file in work and drops
// the next.
class CheckpointWriter {
 public:
  // The folder is made when the first file is written.
  CheckpointWriter(std::string directory, int keep, Logger& log);
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // Writes this state soon, with the settings that hold for the round after it. While one is being
  // written the newest offered waits.
  void Offer(const RunConfig& config, const Store::Snapshot& snapshot,
             const std::vector<RoundSummary>& history);

  // Writes this state now, after what is in work, and drops what waits.
  // Returns: UNAVAILABLE - it cannot be written, with the system's reason; INVALID_ARGUMENT - the
  // snapshot is not that of such a run.
  absl::Status Write(const RunConfig& config, const Store::Snapshot& snapshot,
                     const std::vector<RoundSummary>& history);

 private:
  struct Job {
    RunConfig config;
    Store::Snapshot snapshot;
    std::vector<RoundSummary> history;
  };

  void Loop();
  absl::Status WriteJob(const Job& job);

  const std::string directory_;
  const size_t keep_;
  Logger& log_;

  Mutex mu_;
  CondVar changed_;
  std::optional<Job> waiting_ ABSL_GUARDED_BY(mu_);
  bool busy_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace gannet
