#include "libs/checkpoint/weights_metadata.h"

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/domain/run_settings.h"
#include "libs/exchange/proto_conversion.h"

namespace gannet {
namespace {

using Metadata = std::map<std::string, std::string>;

// The rows of ModelConfig.
std::vector<const RunSetting*> ModelSettings() {
  std::vector<const RunSetting*> rows;
  for (const RunSetting& row : RunSettings()) {
    if (absl::StartsWith(row.name, "model.")) rows.push_back(&row);
  }
  return rows;
}

// Names a row in the metadata: as in its section, but for a "kind" that would stand alone.
std::string MetadataKey(const RunSetting& row) {
  if (row.name == "model.kind") return "model_kind";
  return row.name.substr(row.name.find('.') + 1);
}

}  // namespace

Metadata WeightsMetadata(const RunConfig& config, WeightsVersion version) {
  Metadata metadata = {
      {"format", "pt"}, {"run", config.name}, {"rounds", absl::StrCat(version.value())}};
  for (const RunSetting* row : ModelSettings()) {
    metadata[MetadataKey(*row)] = SettingText(*row, row->get(config));
  }
  return metadata;
}

std::optional<ModelConfig> ModelOfMetadata(const Metadata& metadata) {
  if (const auto found = metadata.find(kRunConfigKey); found != metadata.end()) {
    const absl::StatusOr<RunConfig> config = RunConfigFromJson(found->second);
    if (config.ok()) return config->model;
  }
  RunConfig named;
  for (const RunSetting* row : ModelSettings()) {
    const auto found = metadata.find(MetadataKey(*row));
    if (found == metadata.end()) return std::nullopt;
    const absl::StatusOr<SettingValue> value = ParseSetting(*row, found->second);
    if (!value.ok()) return std::nullopt;
    row->set(named, *value);
  }
  return named.model;
}

}  // namespace gannet
