#include "services/coordinator/run_output.h"

#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/data/image_io.h"
#include "libs/tensor/safetensors.h"

namespace gannet {
namespace {

constexpr char kSamplesFolder[] = "samples";

}  // namespace

TensorBundle TensorsBelow(const TensorBundle& bundle, const std::string& prefix) {
  TensorBundle below;
  for (const Tensor& tensor : bundle.tensors()) {
    if (!absl::StartsWith(tensor.spec.name, prefix)) continue;
    Tensor renamed = tensor;
    renamed.spec.name = tensor.spec.name.substr(prefix.size());
    below.Add(std::move(renamed));
  }
  return below;
}

absl::StatusOr<std::unique_ptr<RunOutput>> RunOutput::Create(const RunOutputOptions& options,
                                                             const RunConfig& config, Clock& clock,
                                                             Logger& log,
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
  absolute.directory = directory.string();
  return std::unique_ptr<RunOutput>(new RunOutput(absolute, config, clock, log, metrics));
}

RunOutput::RunOutput(const RunOutputOptions& options, const RunConfig& config, Clock& clock,
                     Logger& log, CoordinatorMetrics& metrics)
    : options_(options),
      config_(config),
      log_(log),
      history_(absl::StrCat(options.directory, "/history.csv"), log),
      samples_(absl::StrCat(options.directory, "/", kSamplesFolder), config, options.sample_count,
               clock, log, metrics) {}

void RunOutput::Begin(WeightsVersion version, const Payload& weights) {
  history_.Begin();
  samples_.Offer(version, weights,
                 version == WeightsVersion(0) ? SampleNeed::kRequired : SampleNeed::kOptional);
}

void RunOutput::AddRound(const RoundSummary& round, const Payload& weights) {
  history_.Append(round);
  if (options_.sample_every > 0 && round.round.value() % options_.sample_every == 0) {
    samples_.Offer(WeightsVersion(round.round.value()), weights, SampleNeed::kOptional);
  }
}

absl::Status RunOutput::End(WeightsVersion version, const Payload& weights,
                            const TensorBundle& decoded) {
  samples_.Offer(version, weights, SampleNeed::kRequired);
  const std::map<std::string, std::string> metadata = {
      {"format", "pt"}, {"run", config_.name}, {"rounds", absl::StrCat(version.value())}};
  const std::string weights_path = absl::StrCat(options_.directory, "/weights.safetensors");
  const std::string generator_path = absl::StrCat(options_.directory, "/generator.safetensors");
  GANNET_RETURN_IF_ERROR(WriteFileAtomically(weights_path, EncodeSafetensors(decoded, metadata)));
  GANNET_RETURN_IF_ERROR(WriteFileAtomically(
      generator_path, EncodeSafetensors(TensorsBelow(decoded, "generator."), metadata)));
  samples_.Await();
  log_.Info("results written", {{"weights", weights_path},
                                {"generator", generator_path},
                                {"samples", samples_.latest_path()}});
  return absl::OkStatus();
}

}  // namespace gannet
