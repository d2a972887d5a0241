#include "services/coordinator/output_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "libs/base/file_bytes.h"
#include "libs/base/status_macros.h"

namespace gannet::coordinator {
namespace {

namespace fs = std::filesystem;

// Everything that RunOutput and what it owns write.
constexpr const char* kResults[] = {
    "metrics.csv",         "quality.csv",           "samples",         "checkpoints",
    "weights.safetensors", "generator.safetensors", "contributors.csv"};

constexpr int64_t kMaxNameBytes = 1024;

absl::Status Unusable(const std::string& directory, const std::string& why) {
  return absl::InvalidArgumentError(
      absl::StrCat("the folder for results cannot be used, choose another "
                   "coordinator.output_dir: ",
                   directory, ": ", why));
}

// DIRECTORY/of_NAME, or the first of_NAME_2, of_NAME_3, … that is not there yet.
fs::path PlaceFor(const std::string& directory, const std::string& run_name) {
  const fs::path first = fs::path(directory) / absl::StrCat("of_", FileNameOfRun(run_name));
  fs::path place = first;
  for (int i = 2; fs::exists(place); ++i) place = absl::StrCat(first.string(), "_", i);
  return place;
}

absl::Status MoveAside(const std::string& directory, const std::string& run_name,
                       telemetry::Logger& log) {
  std::error_code error;
  const fs::path place = PlaceFor(directory, run_name);
  bool moved = false;
  for (const char* name : kResults) {
    const fs::path from = fs::path(directory) / name;
    if (!fs::exists(from)) continue;
    if (!moved) fs::create_directory(place, error);
    if (!error) fs::rename(from, place / name, error);
    if (error) return Unusable(directory, error.message());
    moved = true;
  }
  if (moved) {
    log.Warning("the folder held the results of another run, they are moved",
                {{"run", run_name}, {"path", place.string()}});
  }
  return absl::OkStatus();
}

absl::Status WriteName(int fd, const std::string& directory, const std::string& run_name) {
  const auto size = static_cast<ssize_t>(run_name.size());
  if (ftruncate(fd, 0) != 0 || pwrite(fd, run_name.data(), run_name.size(), 0) != size) {
    return Unusable(directory, std::strerror(errno));
  }
  return absl::OkStatus();
}

}  // namespace

std::string FileNameOfRun(const std::string& run_name) {
  return absl::CEscape(absl::StrReplaceAll(run_name, {{"/", "_"}}));
}

absl::StatusOr<std::shared_ptr<void>> OwnOutputFolder(const std::string& directory,
                                                      const std::string& run_name,
                                                      telemetry::Logger& log) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return Unusable(directory, error.message());
  const std::string path = absl::StrCat(directory, "/.run");
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return Unusable(directory, std::strerror(errno));
  // The descriptor's end is the lock's end.
  std::shared_ptr<void> lock(nullptr, [fd](void*) { close(fd); });

  // Alone there: nobody writes, and the folder can be made this run's.
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
    GANNET_ASSIGN_OR_RETURN(const std::string before, base::ReadFileBytes(path, kMaxNameBytes));
    if (!before.empty() && before != run_name) {
      GANNET_RETURN_IF_ERROR(MoveAside(directory, before, log));
    }
    GANNET_RETURN_IF_ERROR(WriteName(fd, directory, run_name));
  }
  // Waits only for somebody who is alone there, for a moment.
  if (flock(fd, LOCK_SH) != 0) return Unusable(directory, std::strerror(errno));
  GANNET_ASSIGN_OR_RETURN(const std::string owner, base::ReadFileBytes(path, kMaxNameBytes));
  if (owner != run_name) {
    return Unusable(directory, absl::StrCat("a coordinator of run ", owner, " writes there"));
  }
  return lock;
}

}  // namespace gannet::coordinator
