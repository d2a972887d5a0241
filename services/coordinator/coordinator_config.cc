#include "services/coordinator/coordinator_config.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/hex.h"
#include "libs/base/status_macros.h"
#include "libs/domain/model_layout.h"
#include "libs/domain/run_settings.h"
#include "libs/exchange/validation.h"
#include "libs/rpc/address.h"
#include "libs/tensor/codec.h"

namespace gannet::coordinator {
namespace {

constexpr size_t kLeaderIdBytes = 16;

// As many as the distances in the comment of ImageSetDistance are of.
constexpr int64_t kReferenceImages = 256;

absl::Status CheckAdminAccess(const std::string& listen, const std::string& token) {
  GANNET_RETURN_IF_ERROR(rpc::ParseAddress(listen).status());
  if (config::IsLoopbackAddress(listen) || !token.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "the admin service would let anybody on the network steer the run: name a file with a token "
      "in coordinator.admin_token_file, or listen on a loopback address; got "
      "coordinator.admin_listen ",
      listen));
}

// A run whose gradients nobody would take is refused before it is created.
absl::Status CheckSizes(const config::Config& config, const domain::RunConfig& run) {
  const int64_t weights_bytes =
      EncodedDataBytes(domain::WeightsSpec(run.model), tensor::Codec::kFp32);
  if (weights_bytes > exchange::kMaxPayloadBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the network has ", weights_bytes >> 20, " MiB of weights, at most ",
        exchange::kMaxPayloadBytes >> 20, " MiB can be sent: make model.base_width smaller"));
  }
  const int64_t gradient_bytes = EncodedDataBytes(domain::GradientSpec(run.model),
                                                  static_cast<tensor::Codec>(run.gradient_codec));
  // Names and shapes come on top.
  constexpr int64_t kHeaderBytes = 64 << 10;
  if (gradient_bytes + kHeaderBytes > config.gateway.max_payload_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a gradient of this network has ", gradient_bytes,
                     " bytes, more than a gateway takes (", config.gateway.max_payload_bytes,
                     "): make model.base_width smaller, or raise gateway.max_payload_bytes"));
  }
  return absl::OkStatus();
}

}  // namespace

domain::RunConfig MakeRunConfig(const config::Config& config,
                                const data::DatasetFingerprint& data) {
  domain::RunConfig run = config.run;
  run.data = {data.kind, data.image_count, data.digest, data.description};
  return run;
}

data::DatasetOptions DatasetOptionsFrom(const config::Config& config) {
  return {.kind = config.data.kind,
          .path = config.data.path,
          .image_size = config.run.model.image_size,
          .crop = config.data.crop,
          .seed = config.data.seed,
          .count = config.data.count};
}

absl::Status CheckCoordinatorSettings(const config::Config& config) {
  std::vector<std::string> lines;
  for (const base::SettingMistake& mistake : domain::FindMistakes(config.run))
    lines.push_back(mistake.message);
  if (!lines.empty()) return absl::InvalidArgumentError(absl::StrJoin(lines, "\n"));
  return CheckSizes(config, config.run);
}

absl::StatusOr<CoordinatorServerOptions> MakeCoordinatorServerOptions(
    const config::Config& config) {
  GANNET_RETURN_IF_ERROR(CheckCoordinatorSettings(config));
  const config::Config::Coordinator& settings = config.coordinator;
  CoordinatorServerOptions options;
  options.admin_listen = settings.admin_listen;
  options.metrics_listen = settings.metrics_listen;
  if (!settings.admin_token_file.empty()) {
    GANNET_ASSIGN_OR_RETURN(
        options.admin_token,
        config::ReadTokenFile("coordinator.admin_token_file", settings.admin_token_file));
  }
  GANNET_RETURN_IF_ERROR(CheckAdminAccess(options.admin_listen, options.admin_token));

  const data::DatasetOptions data = DatasetOptionsFrom(config);
  GANNET_ASSIGN_OR_RETURN(const std::unique_ptr<data::Dataset> dataset, data::OpenDataset(data));
  CoordinatorOptions& coordinator = options.coordinator;
  coordinator.run = MakeRunConfig(config, dataset->fingerprint());
  coordinator.former_data_digest = dataset->fingerprint().former_digest;
  coordinator.over_network = true;
  coordinator.leader = base::LeaderId(base::RandomHex(kLeaderIdBytes));
  coordinator.output = RunOutputOptions{.directory = settings.output_dir,
                                        .sample_every = settings.sample_every,
                                        .sample_count = settings.sample_count,
                                        .checkpoint_every = settings.checkpoint_every,
                                        .checkpoint_keep = settings.checkpoint_keep,
                                        .evaluate_every = settings.evaluate_every,
                                        .reference = nullptr};
  if (settings.evaluate_every > 0) {
    GANNET_ASSIGN_OR_RETURN(quality::ReferenceImages reference,
                            quality::ReadReferenceImages(*dataset, data, kReferenceImages, 0));
    coordinator.output->reference =
        std::make_shared<quality::ReferenceImages>(std::move(reference));
  }
  coordinator.term.leadership_ttl = settings.leadership_ttl;
  coordinator.term.keep_every = settings.keep_every;
  return options;
}

}  // namespace gannet::coordinator
