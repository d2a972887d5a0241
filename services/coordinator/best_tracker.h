#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "libs/base/job_queue.h"
#include "libs/base/mutex.h"
#include "libs/domain/run_config.h"
#include "libs/quality/reference_images.h"
#include "libs/telemetry/log.h"
#include "services/coordinator/coordinator_metrics.h"
#include "services/coordinator/training_state.h"

namespace gannet::coordinator {

// Measures from time to time how far generated images are from real ones (ImageSetDistance: less is
// better), from a thread of its own, and keeps the checkpoint of the best state so far: a GAN may
// get worse again. Losses do not tell, as each network's depends on the other one.
//   DIRECTORY/quality.csv                   round,distance
//   DIRECTORY/checkpoints/best.safetensors  the state of the line with the least distance
// The weights that were measured are persisted, too, so that they outlive the folder. What cannot
// be measured, written or persisted costs a warning; persisting is tried again with the next state
// and the next Begin.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: everything passed by reference outlives it. The destructor waits for the
// measurement in progress and drops the next.
class BestTracker {
 public:
  // Where the best weights of a run are persisted (Store::SaveBest). Called from the thread.
  using Persist = std::function<absl::Status(const exchange::BestWeights& best,
                                             const exchange::Payload& weights)>;

  BestTracker(const std::string& directory,
              std::shared_ptr<const quality::ReferenceImages> reference, telemetry::Logger& log,
              CoordinatorMetrics& metrics);

  // Somebody begins to lead that run at this version. Files of the same run go on; lines beyond the
  // version are removed, and a best.safetensors of another run is quarantined as
  // best.of_NAME.safetensors, one from beyond the version as abandoned_best.safetensors. `best` is
  // what was persisted last by whoever led before, perhaps on another machine.
  void Begin(const domain::RunConfig& config, base::WeightsVersion version,
             const std::optional<exchange::BestWeights>& best, Persist persist);

  // Measures this state soon: of the generator's average where one is kept. Left out while another
  // one is being measured, and when it was the last one that was.
  void Offer(TrainingState state);

  // Waits until everything that was taken is measured.
  void Await() { queue_.Await(); }

 private:
  void MeasureOffered(const TrainingState& state);
  absl::Status Measure(const TrainingState& state);
  // Hands on what best.safetensors holds, if that has not been done.
  void PersistBest();
  // Makes room for this run's best, without losing anything.
  void Quarantine(const std::string& name, const std::string& why, const std::string& what);
  absl::Status ReadAndPersist();

  const std::string table_path_;
  const std::string best_path_;
  const std::shared_ptr<const quality::ReferenceImages> reference_;
  telemetry::Logger& log_;
  CoordinatorMetrics& metrics_;

  base::Mutex mu_;
  // Of the run; infinite before the first. Only changed while a state is measured, or by Begin.
  double best_ ABSL_GUARDED_BY(mu_) = std::numeric_limits<double>::infinity();
  std::optional<base::WeightsVersion> measured_ ABSL_GUARDED_BY(mu_);  // last
  // Only used while a state is measured, or by Begin.
  Persist persist_;
  bool is_persisted_ = true;  // nothing better than what was persisted last is in the file
  base::JobQueue<TrainingState> queue_;  // last, as its thread uses the others
};

}  // namespace gannet::coordinator
