#include "libs/checkpoint/weights_metadata.h"

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/domain/run_settings.h"
#include "libs/exchange/proto_conversion.h"

namespace gannet::checkpoint {
namespace {

using Metadata = std::map<std::string, std::string>;

// The rows of ModelConfig.
std::vector<const domain::RunSetting*> ModelSettings() {
  std::vector<const domain::RunSetting*> rows;
  for (const domain::RunSetting& row : domain::RunSettings()) {
    if (absl::StartsWith(row.name, "model.")) rows.push_back(&row);
  }
  return rows;
}

// Names a row in the metadata: as in its section, but for a "kind" that would stand alone.
std::string MetadataKey(const domain::RunSetting& row) {
  if (row.name == "model.kind") return "model_kind";
  return row.name.substr(row.name.find('.') + 1);
}

}  // namespace

Metadata WeightsMetadata(const domain::RunConfig& config, base::WeightsVersion version) {
  Metadata metadata = {
      {"format", "pt"}, {"run", config.name}, {"rounds", absl::StrCat(version.value())}};
  for (const domain::RunSetting* row : ModelSettings()) {
    metadata[MetadataKey(*row)] = base::SettingText(*row, row->get(config));
  }
  return metadata;
}

std::optional<domain::ModelConfig> ModelOfMetadata(const Metadata& metadata) {
  if (const auto found = metadata.find(kRunConfigKey); found != metadata.end()) {
    const absl::StatusOr<domain::RunConfig> config = exchange::RunConfigFromJson(found->second);
    if (config.ok()) return config->model;
  }
  domain::RunConfig named;
  for (const domain::RunSetting* row : ModelSettings()) {
    const auto found = metadata.find(MetadataKey(*row));
    if (found == metadata.end()) return std::nullopt;
    const absl::StatusOr<base::SettingValue> value = base::ParseSetting(*row, found->second);
    if (!value.ok()) return std::nullopt;
    row->set(named, *value);
  }
  return named.model;
}

}  // namespace gannet::checkpoint
