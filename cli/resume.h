#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/checkpoint/checkpoint.h"
#include "libs/domain/run_config.h"

namespace gannet::cli {

// The settings of a training, beside its results, so that it can go on without naming them again.
inline constexpr char kSettingsFile[] = "config.yaml";

// Where a training can go on.
struct ResumePoint {
  checkpoint::Checkpoint checkpoint;
  std::string checkpoint_path;
  std::string folder;         // of the training's results
  std::string settings_path;  // empty: there is no such file
  // What the checkpoint itself says, as "section.key=value", for where there is no such file. Which
  // images they were it says by their number and digest only.
  std::vector<std::string> settings;
};

// The settings that make a run of this configuration (MakeRunConfig), but for its images.
std::vector<std::string> SettingsOf(const domain::RunConfig& run);

// Finds the newest checkpoint of a training's folder, or reads the checkpoint that `path` names.
// Returns: NOT_FOUND - nothing there, saying what was expected; otherwise as ReadCheckpointFile,
// for a folder with the command that goes on from its newest checkpoint that can be read.
absl::StatusOr<ResumePoint> FindResumePoint(const std::string& path);

}  // namespace gannet::cli
