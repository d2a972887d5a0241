#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/domain/run_config.h"
#include "libs/exchange/store.h"
#include "libs/quality/reference_images.h"
#include "libs/tensor/tensor_bundle.h"
#include "services/coordinator/best_tracker.h"
#include "services/coordinator/checkpoint_writer.h"
#include "services/coordinator/contributors_file.h"
#include "services/coordinator/history_file.h"
#include "services/coordinator/sample_writer.h"

namespace gannet::coordinator {

struct RunOutputOptions {
  std::string directory;         // made if it does not exist
  int64_t sample_every = 100;    // rounds between sample grids; 0: only the first and the last
  int sample_count = 64;         // images in a grid
  int64_t checkpoint_every = 0;  // rounds between checkpoints; 0: only one, at the end
  int checkpoint_keep = 3;       // the newest
  int64_t evaluate_every = 0;    // rounds between measurements of image quality; 0: none
  std::shared_ptr<const quality::ReferenceImages> reference =
      nullptr;  // what they are compared with, then
};

// What a run leaves behind for people, in a folder:
//   samples/round_000123.png, samples/latest.png   grids of generated images
//   metrics.csv                                    one line a round
//   contributors.csv                               one line a worker, with every sample grid
//   checkpoints/round_000123.safetensors           what the training goes on from
//   quality.csv, checkpoints/best.safetensors      see BestTracker
//   weights.safetensors                            both networks, at the end of the run
//   generator.safetensors                          the generator alone, named as PyTorch's
//                                                  state_dict
//
// Where the generator's average is kept, grids, weights and generator are that; checkpoints hold
// both.
//
// Nothing here delays or fails a round.
//
// Thread safety: latest_sample_path from any thread; the rest from one.
// Ownership and lifetime: everything passed by reference outlives it.
class RunOutput {
 public:
  // Returns: INVALID_ARGUMENT - the folder cannot be made or written to, with the system's reason.
  static absl::StatusOr<std::unique_ptr<RunOutput>> Create(const RunOutputOptions& options,
                                                           const domain::RunConfig& config,
                                                           base::Clock& clock,
                                                           telemetry::Logger& log,
                                                           CoordinatorMetrics& metrics);

  // Somebody begins to lead at this version; AddPastRound gives the history so far. `config` is
  // what holds for the round after it; `best` and `persist` are for BestTracker, `list_workers` for
  // ContributorsFile.
  void Begin(const domain::RunConfig& config, const exchange::Store::Snapshot& snapshot,
             const std::optional<exchange::BestWeights>& best, BestTracker::Persist persist,
             ContributorsFile::List list_workers);
  void AddPastRound(const exchange::RoundSummary& round);

  // A round has been published; `config` is what holds for the next one.
  void AddRound(const exchange::RoundSummary& round, const domain::RunConfig& config,
                const exchange::Store::Snapshot& snapshot);

  // The run has ended: draws the last grid and writes checkpoint and weights, and waits for all.
  // Returns: UNAVAILABLE - a file cannot be written.
  absl::Status End(const exchange::Store::Snapshot& snapshot);

  std::string latest_sample_path() { return samples_.latest_path(); }

 private:
  RunOutput(const RunOutputOptions& options, const domain::RunConfig& config, base::Clock& clock,
            telemetry::Logger& log, CoordinatorMetrics& metrics);

  const RunOutputOptions options_;
  domain::RunConfig config_;  // as it holds for the round after the snapshot offered last
  telemetry::Logger& log_;
  std::vector<exchange::RoundSummary> history_;
  HistoryFile metrics_file_;
  ContributorsFile contributors_;
  CheckpointWriter checkpoints_;
  SampleWriter samples_;
  std::optional<BestTracker> best_;
};

// The tensors below `prefix`, named without it.
tensor::TensorBundle TensorsBelow(const tensor::TensorBundle& bundle, const std::string& prefix);

}  // namespace gannet::coordinator
