#include "cli/resume.h"

#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "libs/base/status_macros.h"
#include "libs/base/training_choices.h"
#include "libs/domain/run_settings.h"

namespace gannet::cli {
namespace {

namespace fs = std::filesystem;

constexpr char kCheckpointsFolder[] = "checkpoints";

// As one word of a command line.
std::string ShellQuoted(const std::string& text) {
  constexpr const char* kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./+:,=@%";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string::npos) return text;
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

// What to do when the newest checkpoint cannot be read: the newest of the older ones that can, and
// how to go on with it.
absl::Status SuggestOlder(const absl::Status& damaged, const std::vector<std::string>& files) {
  for (auto older = files.rbegin() + 1; older != files.rend(); ++older) {
    const absl::StatusOr<checkpoint::Checkpoint> checkpoint =
        checkpoint::ReadCheckpointFile(*older);
    if (!checkpoint.ok()) continue;
    return absl::Status(damaged.code(),
                        absl::StrCat(damaged.message(), "\nThe newest good checkpoint is of ",
                                     checkpoint->version.value(),
                                     " updates; to resume from it: gannet train-local ",
                                     "--resume ", ShellQuoted(*older)));
  }
  return absl::Status(
      damaged.code(),
      absl::StrCat(damaged.message(), files.size() == 1 ? "\nThere is no older checkpoint."
                                                        : "\nNone of the older ones is good."));
}

}  // namespace

std::vector<std::string> SettingsOf(const domain::RunConfig& run) {
  std::vector<std::string> settings;
  for (const domain::RunSetting& row : domain::RunSettings()) {
    settings.push_back(absl::StrCat(row.name, "=", base::SettingText(row, row.get(run))));
  }
  settings.push_back(absl::StrCat("data.kind=", run.data.kind));
  if (base::IsDrawnDataset(run.data.kind)) {
    settings.push_back(absl::StrCat("data.count=", run.data.image_count));
  }
  return settings;
}

absl::StatusOr<ResumePoint> FindResumePoint(const std::string& path) {
  ResumePoint point;
  std::error_code error;
  std::vector<std::string> files;  // of a folder
  if (fs::is_directory(path, error)) {
    files = checkpoint::ListCheckpoints(absl::StrCat(path, "/", kCheckpointsFolder));
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
  absl::StatusOr<checkpoint::Checkpoint> checkpoint =
      checkpoint::ReadCheckpointFile(point.checkpoint_path);
  if (!checkpoint.ok()) {
    return files.empty() ? checkpoint.status() : SuggestOlder(checkpoint.status(), files);
  }
  point.checkpoint = *std::move(checkpoint);
  const std::string settings = absl::StrCat(point.folder, "/", kSettingsFile);
  if (fs::is_regular_file(settings, error)) point.settings_path = settings;
  point.settings = SettingsOf(point.checkpoint.config);
  return point;
}

}  // namespace gannet::cli
