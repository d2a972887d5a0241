#include "cli/resume.h"

#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "libs/base/status_macros.h"
#include "libs/base/training_choices.h"

namespace gannet {
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

// So many digits that reading them gives the same number.
std::string Exactly(double value) { return absl::StrFormat("%.17g", value); }

// What to do when the newest checkpoint cannot be read: the newest of the older ones that can, and
// how to go on with it.
absl::Status SuggestOlder(const absl::Status& damaged, const std::vector<std::string>& files) {
  for (auto older = files.rbegin() + 1; older != files.rend(); ++older) {
    const absl::StatusOr<Checkpoint> checkpoint = ReadCheckpointFile(*older);
    if (!checkpoint.ok()) continue;
    return absl::Status(
        damaged.code(),
        absl::StrCat(damaged.message(), "\nThe newest good checkpoint is of ",
                     checkpoint->version.value(), " updates; to go on from it: gannet train-local ",
                     "--resume ", ShellQuoted(*older)));
  }
  return absl::Status(
      damaged.code(),
      absl::StrCat(damaged.message(), files.size() == 1 ? "\nThere is no older checkpoint."
                                                        : "\nNone of the older ones is good."));
}

}  // namespace

std::vector<std::string> SettingsOf(const RunConfig& run) {
  std::vector<std::string> settings;
  const auto add = [&](const char* key, const auto& value) {
    settings.push_back(absl::StrCat(key, "=", value));
  };
  add("run.name", run.name);
  add("run.seed", run.seed);
  add("run.rounds", run.round_count);
  add("model.kind", run.model.kind);
  add("model.image_size", run.model.image_size);
  add("model.latent_dim", run.model.latent_dim);
  add("model.base_width", run.model.base_width);
  add("training.learning_rate", Exactly(run.adam.learning_rate));
  add("training.learning_rate_generator", Exactly(run.adam.learning_rate_generator));
  add("training.learning_rate_discriminator", Exactly(run.adam.learning_rate_discriminator));
  add("training.beta1", Exactly(run.adam.beta1));
  add("training.beta2", Exactly(run.adam.beta2));
  add("training.epsilon", Exactly(run.adam.epsilon));
  add("training.ema_decay", Exactly(run.adam.ema_decay));
  add("training.loss", run.objective.loss);
  add("training.real_label", Exactly(run.objective.real_label));
  add("training.augment", run.objective.augment);
  add("training.flip", run.objective.flip ? "true" : "false");
  add("training.images_per_unit", run.images_per_unit);
  add("training.units_per_round", run.units_per_round);
  add("training.micro_batch", run.micro_batch);
  add("training.lease", absl::FormatDuration(run.lease));
  add("training.gradient_codec", CodecName(run.gradient_codec));
  add("training.quorum", run.policy.quorum);
  add("training.round_deadline", absl::FormatDuration(run.policy.deadline));
  add("training.stale_weight", Exactly(run.policy.stale_weight));
  add("training.spare_after", Exactly(run.policy.spare_after));
  add("data.kind", run.data.kind);
  if (IsDrawnDataset(run.data.kind)) add("data.count", run.data.image_count);
  return settings;
}

absl::StatusOr<ResumePoint> FindResumePoint(const std::string& path) {
  ResumePoint point;
  std::error_code error;
  std::vector<std::string> files;  // of a folder
  if (fs::is_directory(path, error)) {
    files = ListCheckpoints(absl::StrCat(path, "/", kCheckpointsFolder));
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
  absl::StatusOr<Checkpoint> checkpoint = ReadCheckpointFile(point.checkpoint_path);
  if (!checkpoint.ok()) {
    return files.empty() ? checkpoint.status() : SuggestOlder(checkpoint.status(), files);
  }
  point.checkpoint = *std::move(checkpoint);
  const std::string settings = absl::StrCat(point.folder, "/", kSettingsFile);
  if (fs::is_regular_file(settings, error)) point.settings_path = settings;
  point.settings = SettingsOf(point.checkpoint.config);
  return point;
}

}  // namespace gannet
