#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "libs/checkpoint/checkpoint.h"

namespace gannet {

// The settings of a training, beside its results, so that it can go on without naming them again.
inline constexpr char kSettingsFile[] = "config.yaml";

// Where a training can go on.
struct ResumePoint {
  Checkpoint checkpoint;
  std::string checkpoint_path;
  std::string folder;         // of the training's results
  std::string settings_path;  // empty: there is no such file
};

// Finds the newest checkpoint of a training's folder, or reads the checkpoint that `path` names.
// Returns: NOT_FOUND - nothing there, saying what was expected; otherwise as ReadCheckpointFile.
absl::StatusOr<ResumePoint> FindResumePoint(const std::string& path);

}  // namespace gannet
