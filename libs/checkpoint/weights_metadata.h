#pragma once

#include <map>
#include <optional>
#include <string>

#include "libs/base/typed_id.h"
#include "libs/domain/run_config.h"

namespace gannet::checkpoint {

// Where a checkpoint has its run's settings: the JSON of gannet.v1.RunConfig.
inline constexpr char kRunConfigKey[] = "run_config";

// What a file of weights says of itself, in the metadata of the safetensors format: of which run
// and round, and of which networks, because shapes need not tell.
std::map<std::string, std::string> WeightsMetadata(const domain::RunConfig& config,
                                                   base::WeightsVersion version);

// The networks that the metadata of a file of weights, or of a checkpoint, names; empty when it
// names none, as in files of other programs. Not checked against anything.
std::optional<domain::ModelConfig> ModelOfMetadata(
    const std::map<std::string, std::string>& metadata);

}  // namespace gannet::checkpoint
