#pragma once

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/mutex.h"
#include "libs/data/reference_images.h"
#include "libs/domain/run_config.h"
#include "libs/exchange/store.h"
#include "libs/telemetry/log.h"
#include "services/coordinator/coordinator_metrics.h"

namespace gannet {

// Measures from time to time how far generated images are from real ones (ImageSetDistance: less is
// better), from a thread of its own, and keeps the checkpoint of the best state so far: a GAN may
// get worse again. Losses do not tell, as each network's depends on the other one.
//   DIRECTORY/quality.csv                   round,distance
//   DIRECTORY/checkpoints/best.safetensors  the state of the line with the least distance
// What cannot be measured or written costs a warning.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: everything passed by reference outlives it. The destructor waits for the
// measurement in work and drops the next.
class BestKeeper {
 public:
  BestKeeper(const std::string& directory, std::shared_ptr<const ReferenceImages> reference,
             Logger& log, CoordinatorMetrics& metrics);
  ~BestKeeper();
  BestKeeper(const BestKeeper&) = delete;
  BestKeeper& operator=(const BestKeeper&) = delete;

  // Somebody begins to lead that run at this version. Files of the same run go on; lines beyond the
  // version, and files of another run, are removed.
  void Begin(const RunConfig& config, WeightsVersion version);

  // Measures this state soon: of the generator's average where one is kept. Left out while another
  // one is being measured, and when it was the last one that was.
  void Offer(const RunConfig& config, const Store::Snapshot& snapshot,
             const std::vector<RoundSummary>& history);

  // Waits until everything that was taken is measured.
  void Await();

 private:
  struct Job {
    RunConfig config;
    Store::Snapshot snapshot;
    std::vector<RoundSummary> history;
  };

  void Loop();
  absl::Status Measure(const Job& job);

  const std::string table_path_;
  const std::string best_path_;
  const std::shared_ptr<const ReferenceImages> reference_;
  Logger& log_;
  CoordinatorMetrics& metrics_;

  Mutex mu_;
  CondVar changed_;
  std::optional<Job> waiting_ ABSL_GUARDED_BY(mu_);
  bool busy_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  // Of the run; infinite before the first. Only changed while busy, or by Begin.
  double best_ ABSL_GUARDED_BY(mu_) = std::numeric_limits<double>::infinity();
  std::optional<WeightsVersion> measured_ ABSL_GUARDED_BY(mu_);  // last
  std::thread thread_;
};

}  // namespace gannet
