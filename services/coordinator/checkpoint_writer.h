#pragma once

#include <string>

#include "absl/status/status.h"
#include "libs/base/job_queue.h"
#include "libs/base/mutex.h"
#include "libs/telemetry/log.h"
#include "services/coordinator/training_state.h"

namespace gannet::coordinator {

// Writes checkpoints (libs/checkpoint) into a folder and keeps the newest, from a thread of its
// own, so that no round waits for a disk. One that cannot be written costs a warning, and those
// before it stay.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: the log outlives it. The destructor waits for the file in progress and
// drops the next.
class CheckpointWriter {
 public:
  // The folder is made when the first file is written. `keep` is at least 1.
  CheckpointWriter(std::string directory, int keep, telemetry::Logger& log);

  // A training begins at this version, or goes on from it. Checkpoints of later ones, which another
  // training has left, are put aside as abandoned_round_….safetensors: they are not what this one
  // goes on with.
  void Begin(base::WeightsVersion version);

  // Writes this state soon, after those offered before. Where the disk is slower than the rounds
  // are, the oldest that waits is left out, with a warning: never while fewer than three wait.
  void Offer(TrainingState state);

  // Writes this state now, after all that were offered.
  // Returns: UNAVAILABLE - it cannot be written, with the system's reason; INVALID_ARGUMENT - the
  // snapshot is not that of such a run.
  absl::Status Write(const TrainingState& state);

 private:
  void WriteOffered(const TrainingState& state);
  absl::Status WriteFile(const TrainingState& state);

  const std::string directory_;
  const size_t keep_;
  telemetry::Logger& log_;
  base::Mutex file_mu_;                  // held while a file is written
  base::JobQueue<TrainingState> queue_;  // last, as its thread uses the others
};

}  // namespace gannet::coordinator
