#include "services/coordinator/run_output.h"

#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/atomic_file.h"
#include "libs/base/status_macros.h"
#include "libs/checkpoint/weights_metadata.h"
#include "libs/data/own_output.h"
#include "libs/tensor/safetensors.h"

namespace gannet::coordinator {
namespace {

constexpr char kSamplesFolder[] = "samples";
constexpr char kCheckpointsFolder[] = "checkpoints";

}  // namespace

tensor::TensorBundle TensorsBelow(const tensor::TensorBundle& bundle, const std::string& prefix) {
  tensor::TensorBundle below;
  for (const tensor::Tensor& tensor : bundle.tensors()) {
    if (!absl::StartsWith(tensor.spec.name, prefix)) continue;
    tensor::Tensor renamed = tensor;
    renamed.spec.name = tensor.spec.name.substr(prefix.size());
    below.Add(std::move(renamed));
  }
  return below;
}

absl::StatusOr<std::unique_ptr<RunOutput>> RunOutput::Create(const RunOutputOptions& options,
                                                             const domain::RunConfig& config,
                                                             base::Clock& clock,
                                                             telemetry::Logger& log,
                                                             CoordinatorMetrics& metrics) {
  RunOutputOptions absolute = options;
  std::error_code error;
  const std::filesystem::path directory = std::filesystem::absolute(options.directory, error);
  if (!error) std::filesystem::create_directories(directory / kSamplesFolder, error);
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat("folder for results cannot be made, choose another coordinator.output_dir: ",
                     options.directory, ": ", error.message()));
  }
  // A data set around it passes the folder over from now on. Where that cannot be, because somebody
  // else's images lie there too, the grids still say themselves what they are.
  data::MarkOutputFolder(directory.string()).IgnoreError();
  absolute.directory = directory.string();
  return std::unique_ptr<RunOutput>(new RunOutput(absolute, config, clock, log, metrics));
}

RunOutput::RunOutput(const RunOutputOptions& options, const domain::RunConfig& config,
                     base::Clock& clock, telemetry::Logger& log, CoordinatorMetrics& metrics)
    : options_(options),
      config_(config),
      log_(log),
      metrics_file_(absl::StrCat(options.directory, "/metrics.csv"), log),
      contributors_(absl::StrCat(options.directory, "/contributors.csv"), log),
      checkpoints_(absl::StrCat(options.directory, "/", kCheckpointsFolder),
                   options.checkpoint_keep, log),
      samples_(absl::StrCat(options.directory, "/", kSamplesFolder), config, options.sample_count,
               clock, log, metrics) {
  if (options.evaluate_every > 0) {
    best_.emplace(options.directory, options.reference, log, metrics);
  }
}

void RunOutput::Begin(const domain::RunConfig& config, const exchange::Store::Snapshot& snapshot,
                      const std::optional<exchange::BestWeights>& best,
                      BestTracker::Persist persist, ContributorsFile::List list_workers) {
  config_ = config;
  history_.clear();
  metrics_file_.Begin();
  contributors_.Begin(std::move(list_workers));
  checkpoints_.Begin(snapshot.version);
  if (best_.has_value()) {
    best_->Begin(config, snapshot.version, best, std::move(persist));
    // What untrained weights have shows later how far a training has come.
    if (snapshot.version == base::WeightsVersion(0)) best_->Offer({config, snapshot, history_});
  }
  samples_.Offer(snapshot, snapshot.version == base::WeightsVersion(0) ? SampleNeed::kRequired
                                                                       : SampleNeed::kOptional);
}

void RunOutput::AddPastRound(const exchange::RoundSummary& round) {
  history_.push_back(round);
  metrics_file_.Append(round);
}

void RunOutput::AddRound(const exchange::RoundSummary& round, const domain::RunConfig& config,
                         const exchange::Store::Snapshot& snapshot) {
  config_ = config;
  AddPastRound(round);
  const auto is_due = [&](int64_t every) { return every > 0 && round.round.value() % every == 0; };
  if (is_due(options_.sample_every)) {
    samples_.Offer(snapshot, SampleNeed::kOptional);
    contributors_.Offer();
  }
  if (is_due(options_.evaluate_every)) best_->Offer({config_, snapshot, history_});
  if (is_due(options_.checkpoint_every)) checkpoints_.Offer({config_, snapshot, history_});
}

absl::Status RunOutput::End(const exchange::Store::Snapshot& snapshot) {
  samples_.Offer(snapshot, SampleNeed::kRequired);
  contributors_.Offer();
  // A disk that has no room for a checkpoint may have some for the weights, a third of it.
  absl::Status status = checkpoints_.Write({config_, snapshot, history_});
  GANNET_ASSIGN_OR_RETURN(const tensor::TensorBundle weights, WeightsToShow(config_, snapshot));
  const auto metadata = checkpoint::WeightsMetadata(config_, snapshot.version);
  const std::string weights_path = absl::StrCat(options_.directory, "/weights.safetensors");
  const std::string generator_path = absl::StrCat(options_.directory, "/generator.safetensors");
  status.Update(
      base::WriteFileAtomically(weights_path, tensor::EncodeSafetensors(weights, metadata)));
  status.Update(base::WriteFileAtomically(
      generator_path, tensor::EncodeSafetensors(TensorsBelow(weights, "generator."), metadata)));
  if (best_.has_value()) {
    best_->Await();
    best_->Offer({config_, snapshot, history_});
    best_->Await();
  }
  samples_.Await();
  contributors_.Await();
  GANNET_RETURN_IF_ERROR(status);
  log_.Info("results written", {{"weights", weights_path},
                                {"generator", generator_path},
                                {"samples", samples_.latest_path()}});
  return absl::OkStatus();
}

}  // namespace gannet::coordinator
