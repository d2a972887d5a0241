#include "cli/resume.h"

#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"

namespace gannet {
namespace {

namespace fs = std::filesystem;

constexpr char kCheckpointsFolder[] = "checkpoints";

}  // namespace

absl::StatusOr<ResumePoint> FindResumePoint(const std::string& path) {
  ResumePoint point;
  std::error_code error;
  if (fs::is_directory(path, error)) {
    const std::vector<std::string> files =
        ListCheckpoints(absl::StrCat(path, "/", kCheckpointsFolder));
    if (files.empty()) {
      return absl::NotFoundError(
          absl::StrCat("no checkpoint in ", path, "/", kCheckpointsFolder,
                       " (expected the folder of a training, or a file round_….safetensors)"));
    }
    point.folder = path;
    point.checkpoint_path = files.back();
  } else {
    // FOLDER/checkpoints/round_000123.safetensors.
    const fs::path parent = fs::absolute(path, error).parent_path();
    point.folder =
        (parent.filename() == kCheckpointsFolder ? parent.parent_path() : parent).string();
    point.checkpoint_path = path;
  }
  GANNET_ASSIGN_OR_RETURN(point.checkpoint, ReadCheckpointFile(point.checkpoint_path));
  const std::string settings = absl::StrCat(point.folder, "/", kSettingsFile);
  if (fs::is_regular_file(settings, error)) point.settings_path = settings;
  return point;
}

}  // namespace gannet
