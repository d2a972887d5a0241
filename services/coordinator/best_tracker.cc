#include "services/coordinator/best_tracker.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "libs/base/atomic_file.h"
#include "libs/base/csv.h"
#include "libs/base/status_macros.h"
#include "libs/checkpoint/checkpoint.h"
#include "libs/gan/gan.h"
#include "libs/quality/sliced_wasserstein.h"
#include "libs/tensor/codec.h"
#include "services/coordinator/output_folder.h"
#include "services/coordinator/sample_writer.h"

namespace gannet::coordinator {
namespace {

struct Line {
  int64_t round = 0;
  double distance = 0;
};

// What can be read of a table: no file is one without lines.
std::vector<Line> ReadTable(const std::string& path) {
  std::vector<Line> lines;
  std::ifstream file(path);
  for (std::string text; std::getline(file, text);) {
    const std::vector<std::string> cells = absl::StrSplit(text, ',');
    Line line;
    if (cells.size() != 2 || !absl::SimpleAtoi(cells[0], &line.round) ||
        !absl::SimpleAtod(cells[1], &line.distance)) {
      continue;  // the heading, or a line that a crash cut short
    }
    lines.push_back(line);
  }
  return lines;
}

std::string TableLine(const Line& line) {
  return base::CsvLine({absl::StrCat(line.round), absl::StrFormat("%.9g", line.distance)});
}

std::string TableText(const std::vector<Line>& lines) {
  std::string text = base::CsvLine({"round", "distance"});
  for (const Line& line : lines) absl::StrAppend(&text, TableLine(line));
  return text;
}

// Whether the checkpoint is a state of this run.
bool IsOfRun(const checkpoint::Checkpoint& best, const domain::RunConfig& config) {
  return best.config.name == config.name && domain::CheckOnlyChangeable(best.config, config).ok();
}

// What the best weights in the folder are when they are not of this run.
const char* WhatIsThere(const absl::StatusOr<checkpoint::Checkpoint>& kept,
                        const domain::RunConfig& config) {
  if (!kept.ok()) return "the folder has best weights that cannot be read";
  if (kept->config.name != config.name) return "the folder has the best weights of another run";
  return "the folder has the best weights of this run under its earlier settings";
}

// More of that, for a field of the line.
std::string MoreOfWhatIsThere(const absl::StatusOr<checkpoint::Checkpoint>& kept,
                              const domain::RunConfig& config) {
  if (!kept.ok()) return std::string(kept.status().message());
  if (kept->config.name != config.name) return kept->config.name;
  return domain::DescribeDifference(kept->config, config);
}

}  // namespace

BestTracker::BestTracker(const std::string& directory,
                         std::shared_ptr<const quality::ReferenceImages> reference,
                         telemetry::Logger& log, CoordinatorMetrics& metrics)
    : table_path_(absl::StrCat(directory, "/quality.csv")),
      best_path_(absl::StrCat(directory, "/checkpoints/best.safetensors")),
      reference_(std::move(reference)),
      log_(log),
      metrics_(metrics),
      queue_(1, [this](const TrainingState& state) { MeasureOffered(state); }) {}

void BestTracker::Begin(const domain::RunConfig& config, base::WeightsVersion version,
                        const std::optional<exchange::BestWeights>& persisted, Persist persist) {
  Await();
  persist_ = std::move(persist);
  std::vector<Line> lines;
  const absl::StatusOr<checkpoint::Checkpoint> kept = checkpoint::ReadCheckpointFile(best_path_);
  const bool of_run = kept.ok() && IsOfRun(*kept, config);
  const bool is_ahead = of_run && kept->version > version;
  if (of_run) {
    lines = ReadTable(table_path_);
    std::erase_if(lines, [&](const Line& line) { return line.round > version.value(); });
  }
  if (is_ahead) {
    // The database was rolled back, or a training resumed from an older checkpoint.
    Quarantine("abandoned_best",
               "the folder has the best weights of a later state, which the run has left", "");
  } else if (!of_run && !absl::IsNotFound(kept.status())) {
    Quarantine(
        absl::StrCat("best.of_", kept.ok() ? FileNameOfRun(kept->config.name) : "unreadable"),
        WhatIsThere(kept, config), MoreOfWhatIsThere(kept, config));
  }
  double best = std::numeric_limits<double>::infinity();
  // What is quarantined may have taken the place of the best of these.
  if (!is_ahead) {
    for (const Line& line : lines) best = std::min(best, line.distance);
  }
  is_persisted_ =
      lines.empty() || is_ahead || (persisted.has_value() && persisted->distance <= best);
  if (persisted.has_value()) best = std::min(best, persisted->distance);
  if (const absl::Status written = base::WriteFileAtomically(table_path_, TableText(lines));
      !written.ok()) {
    log_.Warning("the table of image quality cannot be written", {{"reason", written}});
  }
  if (!lines.empty()) {
    metrics_.image_distance.Set(lines.back().distance);
    metrics_.best_image_distance.Set(best);
  }
  {
    base::MutexLock lock(mu_);
    best_ = best;
    measured_.reset();
    if (!lines.empty()) measured_ = base::WeightsVersion(lines.back().round);
  }
  PersistBest();
}

void BestTracker::Quarantine(const std::string& name, const std::string& why,
                             const std::string& what) {
  std::filesystem::path aside = best_path_;
  aside.replace_filename(absl::StrCat(name, ".safetensors"));
  std::error_code error;
  std::filesystem::rename(best_path_, aside, error);
  if (error) {
    log_.Warning(absl::StrCat(why, ", and they cannot be quarantined"),
                 {{"path", aside.string()}, {"reason", error.message()}, {"what", what}});
  } else {
    log_.Warning(absl::StrCat(why, ", they are quarantined"),
                 {{"path", aside.string()}, {"what", what}});
  }
}

void BestTracker::PersistBest() {
  if (is_persisted_ || !persist_) return;
  const absl::Status status = ReadAndPersist();
  is_persisted_ = status.ok();
  if (!status.ok()) {
    log_.Warning("the best weights are not in the database yet", {{"reason", status}});
  }
}

absl::Status BestTracker::ReadAndPersist() {
  double distance = 0;
  {
    base::MutexLock lock(mu_);
    distance = best_;
  }
  GANNET_ASSIGN_OR_RETURN(const checkpoint::Checkpoint best,
                          checkpoint::ReadCheckpointFile(best_path_));
  const tensor::TensorBundle shown = best.config.adam.keeps_average()
                                         ? gan::AveragedWeights(best.weights, best.adam_state)
                                         : best.weights;
  GANNET_ASSIGN_OR_RETURN(const exchange::Payload weights,
                          exchange::Payload::FromBundle(shown, tensor::Codec::kFp32));
  return persist_({best.version, distance}, weights);
}

void BestTracker::Offer(TrainingState state) {
  {
    base::MutexLock lock(mu_);
    if (measured_ == state.snapshot.version) return;
  }
  queue_.PushIfIdle(std::move(state));
}

void BestTracker::MeasureOffered(const TrainingState& state) {
  if (const absl::Status status = Measure(state); !status.ok()) {
    log_.Warning("image quality could not be measured",
                 {{"round", state.snapshot.version.value()}, {"reason", status}});
  }
  PersistBest();
}

absl::Status BestTracker::Measure(const TrainingState& state) {
  const domain::RunConfig& config = state.config;
  const int64_t round = state.snapshot.version.value();
  GANNET_ASSIGN_OR_RETURN(const tensor::TensorBundle weights,
                          WeightsToShow(config, state.snapshot));
  GANNET_ASSIGN_OR_RETURN(
      const gan::ImageBatch batch,
      gan::GenerateImages(config.model, weights, config.seed, static_cast<int>(reference_->count)));
  GANNET_ASSIGN_OR_RETURN(const double distance,
                          quality::ImageSetDistance(gan::Flattened(batch), reference_->pixels,
                                                    config.model.image_size));
  double best = 0;
  {
    base::MutexLock lock(mu_);
    best = best_;
  }
  const bool is_best = distance < best;
  if (is_best) {
    GANNET_ASSIGN_OR_RETURN(
        const checkpoint::Checkpoint checkpoint,
        checkpoint::CheckpointFromSnapshot(config, state.snapshot, state.history));
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(best_path_).parent_path(), error);
    GANNET_RETURN_IF_ERROR(checkpoint::WriteCheckpointFile(best_path_, checkpoint));
    is_persisted_ = false;
    base::MutexLock lock(mu_);
    best_ = best = distance;
  }
  metrics_.image_distance.Set(distance);
  metrics_.best_image_distance.Set(best);
  log_.Info(is_best ? "images are the best so far" : "images measured",
            {{"round", round},
             {"distance", absl::StrFormat("%.4f", distance)},
             {"best", absl::StrFormat("%.4f", best)}});
  std::ofstream table(table_path_, std::ios::app);
  table << TableLine({round, distance}) << std::flush;
  if (!table.good()) {
    return absl::UnavailableError(absl::StrCat("cannot be written: ", table_path_));
  }
  base::MutexLock lock(mu_);
  measured_ = state.snapshot.version;
  return absl::OkStatus();
}

}  // namespace gannet::coordinator
