#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/base/job_queue.h"
#include "libs/base/mutex.h"
#include "libs/domain/run_config.h"
#include "libs/exchange/store.h"
#include "libs/telemetry/log.h"
#include "libs/tensor/tensor_bundle.h"
#include "services/coordinator/coordinator_metrics.h"

namespace gannet::coordinator {

enum class SampleNeed {
  kOptional,  // skipped while another one is being drawn
  kRequired,  // the first and the last
};

// Draws grids of generated images from a thread of its own, so that they never delay a round:
// DIRECTORY/round_000123.png, and the newest again as DIRECTORY/latest.png. The noise is that of
// the run, so that the same faces are seen to grow. Files appear whole or not at all; what cannot
// be drawn or written costs a warning.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: everything passed by reference outlives it. The destructor waits for the
// grid in progress and drops the others.
class SampleWriter {
 public:
  SampleWriter(std::string directory, const domain::RunConfig& config, int image_count,
               base::Clock& clock, telemetry::Logger& log, CoordinatorMetrics& metrics);

  // Draws the grid of this state soon: of the generator's average where one is kept.
  void Offer(const exchange::Store::Snapshot& snapshot, SampleNeed need);

  // Waits until everything that was taken is drawn.
  void Await() { queue_.Await(); }

  // Empty before the first.
  std::string latest_path();

 private:
  void DrawOffered(const exchange::Store::Snapshot& snapshot);
  absl::Status Draw(const exchange::Store::Snapshot& snapshot, std::string& path);

  const std::string directory_;
  const domain::RunConfig config_;
  const int image_count_;
  base::Clock& clock_;
  telemetry::Logger& log_;
  CoordinatorMetrics& metrics_;

  base::Mutex mu_;
  std::string latest_path_ ABSL_GUARDED_BY(mu_);
  base::JobQueue<exchange::Store::Snapshot> queue_;  // last, as its thread uses the others
};

// The weights in a snapshot to draw from and to give away: with the generator's average where one
// is kept.
// Returns: INVALID_ARGUMENT - its bytes are damaged.
absl::StatusOr<tensor::TensorBundle> WeightsToShow(const domain::RunConfig& config,
                                                   const exchange::Store::Snapshot& snapshot);

// Path of the grid of a version.
std::string SamplePath(const std::string& directory, base::WeightsVersion version);

}  // namespace gannet::coordinator
