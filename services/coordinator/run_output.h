#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/domain/run_config.h"
#include "libs/exchange/store.h"
#include "libs/tensor/tensor_bundle.h"
#include "services/coordinator/history_file.h"
#include "services/coordinator/sample_writer.h"

namespace gannet {

struct RunOutputOptions {
  std::string directory;       // made if it does not exist
  int64_t sample_every = 100;  // rounds between sample grids; 0: only the first and the last
  int sample_count = 64;       // images in a grid
};

// What a run leaves behind for people, in a folder:
//   samples/round_000123.png, samples/latest.png   grids of generated images
//   history.csv                                    one line a round
//   weights.safetensors                            everything, at the end of the run
//   generator.safetensors                          the generator alone, named as PyTorch's
//   state_dict
//
// Nothing here delays or fails a round.
//
// Thread safety: latest_sample_path from any thread; the rest from one.
// Ownership and lifetime: everything passed by reference outlives it.
class RunOutput {
 public:
  // Returns: INVALID_ARGUMENT - the folder cannot be made or written to, with the system's reason.
  static absl::StatusOr<std::unique_ptr<RunOutput>> Create(const RunOutputOptions& options,
                                                           const RunConfig& config, Clock& clock,
                                                           Logger& log,
                                                           CoordinatorMetrics& metrics);

  // Somebody begins to lead at this version; AddPastRound gives the history so far.
  void Begin(WeightsVersion version, const Payload& weights);
  void AddPastRound(const RoundSummary& round) { history_.Append(round); }

  // A round has been published.
  void AddRound(const RoundSummary& round, const Payload& weights);

  // The run has ended: draws the last grid and writes the weights, and waits for both.
  // Returns: UNAVAILABLE - a file cannot be written.
  absl::Status End(WeightsVersion version, const Payload& weights, const TensorBundle& decoded);

  std::string latest_sample_path() { return samples_.latest_path(); }

 private:
  RunOutput(const RunOutputOptions& options, const RunConfig& config, Clock& clock, Logger& log,
            CoordinatorMetrics& metrics);

  const RunOutputOptions options_;
  const RunConfig config_;
  Logger& log_;
  HistoryFile history_;
  SampleWriter samples_;
};

// The tensors below `prefix`, named without it.
TensorBundle TensorsBelow(const TensorBundle& bundle, const std::string& prefix);

}  // namespace gannet
