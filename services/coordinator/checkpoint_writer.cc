#include "services/coordinator/checkpoint_writer.h"

#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/checkpoint/checkpoint.h"

namespace gannet::coordinator {
namespace {

// A state is three times as large as the weights.
constexpr size_t kMaxWaiting = 3;

}  // namespace

CheckpointWriter::CheckpointWriter(std::string directory, int keep, telemetry::Logger& log)
    : directory_(std::move(directory)),
      keep_(static_cast<size_t>(keep)),
      log_(log),
      queue_(kMaxWaiting, [this](const TrainingState& state) { WriteOffered(state); }) {}

void CheckpointWriter::Begin(base::WeightsVersion version) {
  queue_.Await();
  base::MutexLock lock(file_mu_);
  for (const std::string& file : checkpoint::ListCheckpoints(directory_)) {
    // Names have the order of their versions, longer ones being later.
    const std::string last = checkpoint::CheckpointPath(directory_, version);
    if (std::pair(file.size(), file) <= std::pair(last.size(), last)) continue;
    std::filesystem::path aside = file;
    aside.replace_filename("abandoned_" + aside.filename().string());
    std::error_code error;
    std::filesystem::rename(file, aside, error);
    if (error) {
      log_.Warning("a checkpoint of a later round cannot be quarantined",
                   {{"path", file}, {"reason", error.message()}});
    } else {
      log_.Warning("a checkpoint of a later round is quarantined", {{"path", aside.string()}});
    }
  }
}

void CheckpointWriter::Offer(TrainingState state) {
  const std::optional<TrainingState> left_out = queue_.Push(std::move(state));
  if (left_out.has_value()) {
    log_.Warning("checkpoint skipped, the disk is slower than the rounds",
                 {{"round", left_out->snapshot.version.value()}});
  }
}

absl::Status CheckpointWriter::Write(const TrainingState& state) {
  queue_.Await();
  return WriteFile(state);
}

void CheckpointWriter::WriteOffered(const TrainingState& state) {
  if (const absl::Status status = WriteFile(state); !status.ok()) {
    log_.Warning("checkpoint cannot be written, the older ones stay",
                 {{"round", state.snapshot.version.value()}, {"reason", status}});
  }
}

absl::Status CheckpointWriter::WriteFile(const TrainingState& state) {
  GANNET_ASSIGN_OR_RETURN(
      const checkpoint::Checkpoint checkpoint,
      checkpoint::CheckpointFromSnapshot(state.config, state.snapshot, state.history));
  base::MutexLock lock(file_mu_);
  std::error_code error;
  std::filesystem::create_directories(directory_, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("folder cannot be made: ", error.message(), ": ", directory_));
  }
  const std::string path = checkpoint::CheckpointPath(directory_, checkpoint.version);
  GANNET_RETURN_IF_ERROR(checkpoint::WriteCheckpointFile(path, checkpoint));
  log_.Info("checkpoint written", {{"path", path}});
  const std::vector<std::string> files = checkpoint::ListCheckpoints(directory_);
  for (size_t i = 0; i + keep_ < files.size(); ++i) std::filesystem::remove(files[i], error);
  return absl::OkStatus();
}

}  // namespace gannet::coordinator
