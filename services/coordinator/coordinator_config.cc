#include "services/coordinator/coordinator_config.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "libs/base/hex.h"
#include "libs/base/status_macros.h"
#include "libs/base/training_choices.h"
#include "libs/config/schema.h"
#include "libs/domain/model_layout.h"
#include "libs/exchange/validation.h"
#include "libs/rpc/address.h"
#include "libs/tensor/codec.h"

namespace gannet {
namespace {

constexpr size_t kLeaderIdBytes = 16;

// As many as the distances in the comment of ImageSetDistance are of.
constexpr int64_t kReferenceImages = 256;

absl::Status CheckAdminAccess(const std::string& listen, const std::string& token) {
  GANNET_RETURN_IF_ERROR(ParseAddress(listen).status());
  if (IsLoopbackAddress(listen) || !token.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "the admin service would let anybody on the network steer the run: name a file with a token "
      "in coordinator.admin_token_file, or listen on a loopback address; got "
      "coordinator.admin_listen ",
      listen));
}

// The setting that a run's value of that name comes from.
std::string KeyOf(absl::string_view name) {
  static const auto& others = *new std::map<absl::string_view, absl::string_view>{
      {"name", "run.name"}, {"round_count", "run.rounds"}, {"model kind", "model.kind"}};
  if (const auto found = others.find(name); found != others.end()) {
    return std::string(found->second);
  }
  for (const absl::string_view section : {"run.", "model.", "training."}) {
    std::string key = absl::StrCat(section, name);
    if (FindKey(key) != nullptr) return key;
  }
  return std::string(name);
}

// What is wrong with a run, said of the settings: "training.quorum must be …", one per line.
absl::Status SayOfSettings(const absl::Status& status) {
  absl::string_view text = status.message();
  if (status.ok() || !absl::ConsumePrefix(&text, "values out of range: ")) return status;
  std::vector<std::string> lines;
  for (const absl::string_view problem : absl::StrSplit(text, "; ")) {
    const size_t end = problem.find(absl::StartsWith(problem, "model kind ") ? " must" : " ");
    const size_t name_size = std::min(end, problem.size());
    lines.push_back(absl::StrCat(KeyOf(problem.substr(0, name_size)), problem.substr(name_size)));
  }
  return absl::InvalidArgumentError(absl::StrJoin(lines, "\n"));
}

// A run whose gradients nobody would take is refused before it is created.
absl::Status CheckSizes(const Config& config, const RunConfig& run) {
  const int64_t weights_bytes = EncodedDataBytes(WeightsSpec(run.model), Codec::kFp32);
  if (weights_bytes > kMaxPayloadBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the network has ", weights_bytes >> 20, " MiB of weights, at most ",
                     kMaxPayloadBytes >> 20, " MiB can be sent: make model.base_width smaller"));
  }
  const int64_t gradient_bytes =
      EncodedDataBytes(GradientSpec(run.model), static_cast<Codec>(run.gradient_codec));
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

absl::StatusOr<RunConfig> MakeRunConfig(const Config& config, const DatasetFingerprint& data) {
  RunConfig run;
  run.name = config.run.name;
  run.seed = config.run.seed;
  run.model = {.image_size = config.model.image_size,
               .latent_dim = config.model.latent_dim,
               .base_width = config.model.base_width,
               .kind = config.model.kind};
  run.adam = {.learning_rate = config.training.learning_rate,
              .beta1 = config.training.beta1,
              .beta2 = config.training.beta2,
              .epsilon = config.training.epsilon,
              .learning_rate_generator = config.training.learning_rate_generator,
              .learning_rate_discriminator = config.training.learning_rate_discriminator,
              .ema_decay = config.training.ema_decay};
  run.objective = {.loss = config.training.loss,
                   .real_label = config.training.real_label,
                   .augment = config.training.augment,
                   .flip = config.training.flip == "true"};
  run.images_per_unit = config.training.images_per_unit;
  run.units_per_round = config.training.units_per_round;
  run.micro_batch = config.training.micro_batch;
  run.round_count = config.run.rounds;
  run.lease = config.training.lease;
  run.gradient_codec = CodecNumber(config.training.gradient_codec);
  run.policy = {.quorum = config.training.quorum,
                .deadline = config.training.round_deadline,
                .stale_weight = config.training.stale_weight,
                .spare_after = config.training.spare_after};
  run.data = {data.kind, data.image_count, data.digest, data.description};
  GANNET_RETURN_IF_ERROR(SayOfSettings(ValidateRunConfig(run)));
  return run;
}

absl::Status CheckCoordinatorSettings(const Config& config) {
  // Any data will do: what is said here is said of settings.
  const DatasetFingerprint some{.kind = config.data.kind,
                                .image_count = 1,
                                .digest = std::string(64, '0'),
                                .description = "any"};
  GANNET_ASSIGN_OR_RETURN(const RunConfig run, MakeRunConfig(config, some));
  return CheckSizes(config, run);
}

absl::StatusOr<CoordinatorServerOptions> MakeCoordinatorServerOptions(const Config& config) {
  GANNET_RETURN_IF_ERROR(CheckCoordinatorSettings(config));
  const Config::Coordinator& settings = config.coordinator;
  CoordinatorServerOptions options;
  options.admin_listen = settings.admin_listen;
  options.metrics_listen = settings.metrics_listen;
  if (!settings.admin_token_file.empty()) {
    GANNET_ASSIGN_OR_RETURN(options.admin_token, ReadTokenFile("coordinator.admin_token_file",
                                                               settings.admin_token_file));
  }
  GANNET_RETURN_IF_ERROR(CheckAdminAccess(options.admin_listen, options.admin_token));

  const DatasetOptions data = {.kind = config.data.kind,
                               .path = config.data.path,
                               .image_size = config.model.image_size,
                               .crop = config.data.crop,
                               .seed = config.data.seed,
                               .count = config.data.count};
  GANNET_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset, OpenDataset(data));
  CoordinatorOptions& coordinator = options.coordinator;
  GANNET_ASSIGN_OR_RETURN(coordinator.run, MakeRunConfig(config, dataset->fingerprint()));
  coordinator.former_data_digest = dataset->fingerprint().former_digest;
  coordinator.over_network = true;
  coordinator.leader = LeaderId(RandomHex(kLeaderIdBytes));
  coordinator.output = RunOutputOptions{.directory = settings.output_dir,
                                        .sample_every = settings.sample_every,
                                        .sample_count = settings.sample_count,
                                        .checkpoint_every = settings.checkpoint_every,
                                        .checkpoint_keep = settings.checkpoint_keep,
                                        .evaluate_every = settings.evaluate_every,
                                        .reference = nullptr};
  if (settings.evaluate_every > 0) {
    GANNET_ASSIGN_OR_RETURN(ReferenceImages reference,
                            ReadReferenceImages(*dataset, data, kReferenceImages, 0));
    coordinator.output->reference = std::make_shared<ReferenceImages>(std::move(reference));
  }
  coordinator.term.leadership_ttl = settings.leadership_ttl;
  coordinator.term.keep_every = settings.keep_every;
  return options;
}

}  // namespace gannet
