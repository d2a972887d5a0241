#include "libs/checkpoint/weights_metadata.h"

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/exchange/proto_conversion.h"

namespace gannet {
namespace {

constexpr char kKind[] = "model_kind";
constexpr char kImageSize[] = "image_size";
constexpr char kLatentDim[] = "latent_dim";
constexpr char kBaseWidth[] = "base_width";

using Metadata = std::map<std::string, std::string>;

bool ReadNumber(const Metadata& metadata, const char* key, int& number) {
  const auto found = metadata.find(key);
  return found != metadata.end() && absl::SimpleAtoi(found->second, &number);
}

}  // namespace

Metadata WeightsMetadata(const RunConfig& config, WeightsVersion version) {
  return {{"format", "pt"},
          {"run", config.name},
          {"rounds", absl::StrCat(version.value())},
          {kKind, config.model.kind},
          {kImageSize, absl::StrCat(config.model.image_size)},
          {kLatentDim, absl::StrCat(config.model.latent_dim)},
          {kBaseWidth, absl::StrCat(config.model.base_width)}};
}

std::optional<ModelConfig> ModelOfMetadata(const Metadata& metadata) {
  if (const auto found = metadata.find(kRunConfigKey); found != metadata.end()) {
    const absl::StatusOr<RunConfig> config = RunConfigFromJson(found->second);
    if (config.ok()) return config->model;
  }
  ModelConfig model;
  const auto kind = metadata.find(kKind);
  if (kind == metadata.end() || !ReadNumber(metadata, kImageSize, model.image_size) ||
      !ReadNumber(metadata, kLatentDim, model.latent_dim) ||
      !ReadNumber(metadata, kBaseWidth, model.base_width)) {
    return std::nullopt;
  }
  model.kind = kind->second;
  return model;
}

}  // namespace gannet
