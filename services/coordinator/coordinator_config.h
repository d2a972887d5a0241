#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/config/config.h"
#include "libs/data/dataset.h"
#include "services/coordinator/coordinator.h"
#include "services/coordinator/coordinator_server.h"

namespace gannet::coordinator {

// Makes the run that the settings describe, on this data set.
domain::RunConfig MakeRunConfig(const config::Config& config, const data::DatasetFingerprint& data);

// Names the data set that the settings describe.
data::DatasetOptions DatasetOptionsFrom(const config::Config& config);

// Whether a coordinator, or a training on one machine, could start with these settings, as far as
// can be said without a look at the data, files or the network. LoadConfig has found most of it
// already; this is for settings that were changed after it, too.
// Returns: INVALID_ARGUMENT - every mistake, one per line, naming the setting.
absl::Status CheckCoordinatorSettings(const config::Config& config);

// Everything that a coordinator needs to know, from the settings: opens the data set for its size
// and fingerprint, reads the token of the admin service, draws a leader id.
// Returns: INVALID_ARGUMENT - a value is out of range, or the admin service would be open to other
// machines without a token; what OpenDataset and ReadTokenFile return.
absl::StatusOr<CoordinatorServerOptions> MakeCoordinatorServerOptions(const config::Config& config);

}  // namespace gannet::coordinator
