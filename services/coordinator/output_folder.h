#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/telemetry/log.h"

namespace gannet::coordinator {

// The name of a run, which may be called anything, as part of a file's name.
std::string FileNameOfRun(const std::string& run_name);

// Makes the folder for results the run's for as long as what is returned lives, so that no two runs
// write into each other's files. Several coordinators of one run (a leader and its standby) may
// share it. What a former run has left there is moved to DIRECTORY/of_NAME first, with a warning.
//
// A file named .run in the folder holds the name, and a lock (flock): whoever writes there shares
// it.
// Returns: INVALID_ARGUMENT - the folder cannot be made or written, or a coordinator of another run
// writes there now.
absl::StatusOr<std::shared_ptr<void>> OwnOutputFolder(const std::string& directory,
                                                      const std::string& run_name,
                                                      telemetry::Logger& log);

}  // namespace gannet::coordinator
