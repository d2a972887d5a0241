#include "services/coordinator/checkpoint_writer.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/checkpoint/checkpoint.h"

namespace gannet {

CheckpointWriter::CheckpointWriter(std::string directory, int keep, Logger& log)
    : directory_(std::move(directory)),
      keep_(static_cast<size_t>(keep)),
      log_(log),
      thread_([this] { Loop(); }) {}

CheckpointWriter::~CheckpointWriter() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  thread_.join();
}

void CheckpointWriter::Offer(const RunConfig& config, const Store::Snapshot& snapshot,
                             const std::vector<RoundSummary>& history) {
  MutexLock lock(mu_);
  waiting_ = Job{config, snapshot, history};
  changed_.NotifyAll();
}

absl::Status CheckpointWriter::Write(const RunConfig& config, const Store::Snapshot& snapshot,
                                     const std::vector<RoundSummary>& history) {
  {
    MutexLock lock(mu_);
    waiting_.reset();
    while (busy_) changed_.Wait(mu_);
    busy_ = true;
  }
  absl::Status status = WriteJob({config, snapshot, history});
  MutexLock lock(mu_);
  busy_ = false;
  changed_.NotifyAll();
  return status;
}

void CheckpointWriter::Loop() {
  while (true) {
    Job job;
    {
      MutexLock lock(mu_);
      while (!stopping_ && (busy_ || !waiting_.has_value())) changed_.Wait(mu_);
      if (stopping_) return;
      job = *std::move(waiting_);
      waiting_.reset();
      busy_ = true;
    }
    const absl::Status status = WriteJob(job);
    if (!status.ok()) {
      log_.Warning("checkpoint cannot be written, the older ones stay",
                   {{"round", job.snapshot.version.value()}, {"reason", status}});
    }
    MutexLock lock(mu_);
    busy_ = false;
    changed_.NotifyAll();
  }
}

absl::Status CheckpointWriter::WriteJob(const Job& job) {
  GANNET_ASSIGN_OR_RETURN(const Checkpoint checkpoint,
                          CheckpointFromSnapshot(job.config, job.snapshot, job.history));
  std::error_code error;
  std::filesystem::create_directories(directory_, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("folder cannot be made: ", error.message(), ": ", directory_));
  }
  const std::string path = CheckpointPath(directory_, checkpoint.version);
  GANNET_RETURN_IF_ERROR(WriteCheckpointFile(path, checkpoint));
  log_.Info("checkpoint written", {{"path", path}});
  const std::vector<std::string> files = ListCheckpoints(directory_);
  for (size_t i = 0; i + keep_ < files.size(); ++i) std::filesystem::remove(files[i], error);
  return absl::OkStatus();
}

}  // namespace gannet
