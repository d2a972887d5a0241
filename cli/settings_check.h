#pragma once

#include "absl/status/status.h"
#include "libs/config/config.h"

namespace gannet::cli {

// Whether every program would start with these settings, which have passed LoadConfig: runs what
// the programs themselves run at their start. With `files`, also reads the files and the data set
// that they name, as all programs on this machine would.
// Returns: every mistake, one per line, with where the setting came from; the code of the first.
absl::Status CheckSettings(const config::Config& config, bool files);

}  // namespace gannet::cli
