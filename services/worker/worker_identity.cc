#include "services/worker/worker_identity.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "libs/base/hex.h"
#include "libs/base/status_macros.h"

namespace gannet::worker {
namespace {

absl::Status FileError(absl::string_view what, const std::string& path, int error) {
  const std::string message = absl::StrCat(what, " ", path, ": ", std::strerror(error),
                                           "; choose another place with worker.state_file "
                                           "(--worker.state_file, GANNET_WORKER_STATE_FILE)");
  return error == EACCES || error == EPERM || error == EROFS ? absl::PermissionDeniedError(message)
                                                             : absl::UnavailableError(message);
}

absl::StatusOr<exchange::WorkerIdentity> Parse(const std::string& text, const std::string& path) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  exchange::WorkerIdentity identity;
  if (json.is_object() && json.contains("worker_id") && json["worker_id"].is_string() &&
      json.contains("secret") && json["secret"].is_string()) {
    identity.id = base::WorkerId(json["worker_id"].get<std::string>());
    identity.secret = json["secret"].get<std::string>();
  }
  if (!base::IsHex(identity.id.value(), 32) || !base::IsHex(identity.secret, 64)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the worker's state file is not one that gannet-worker wrote; move it away to "
                     "start as a new worker: ",
                     path));
  }
  return identity;
}

// Writes a whole file, readable by its owner alone, under its name only when it is complete. When
// two processes race, the first one's file stays.
absl::Status WriteNew(const std::string& path, const std::string& text) {
  const std::string temporary = absl::StrCat(path, ".", base::RandomHex(4));
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return FileError("cannot write the worker's state file", temporary, errno);
  const ssize_t written = write(fd, text.data(), text.size());
  const int write_error =
      written == static_cast<ssize_t>(text.size()) && fsync(fd) == 0 ? 0 : errno;
  close(fd);
  // link refuses an existing name, rename would replace it.
  const int link_error = write_error == 0 && link(temporary.c_str(), path.c_str()) != 0 ? errno : 0;
  unlink(temporary.c_str());
  if (write_error != 0)
    return FileError("cannot write the worker's state file", temporary, write_error);
  if (link_error != 0 && link_error != EEXIST) {
    return FileError("cannot write the worker's state file", path, link_error);
  }
  return absl::OkStatus();
}

constexpr int kMaxWorkers = 256;

// Where state files are kept when no setting says so.
std::string StateFolder() {
  const char* state_home = std::getenv("XDG_STATE_HOME");
  if (state_home != nullptr && state_home[0] == '/') return absl::StrCat(state_home, "/gannet");
  const char* home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') return absl::StrCat(home, "/.local/state/gannet");
  return absl::StrCat(std::filesystem::temp_directory_path().string(), "/gannet-", getuid());
}

std::string NumberedFile(const std::string& folder, int number) {
  return number == 1 ? absl::StrCat(folder, "/worker.json")
                     : absl::StrCat(folder, "/worker-", number, ".json");
}

// Whether an earlier version may have named a state file so: worker-HOST.json. Numbers alone are
// files of today.
bool HasNameOfBefore(absl::string_view file) {
  int number = 0;
  return absl::ConsumePrefix(&file, "worker-") && absl::ConsumeSuffix(&file, ".json") &&
         !file.empty() && !(absl::SimpleAtoi(file, &number) && number <= kMaxWorkers);
}

// State files of an earlier version, those first that are to be taken over first.
std::vector<std::string> FilesOfBefore(const std::string& folder) {
  // Whether a gradient waits, when it was written, which.
  std::vector<std::tuple<bool, std::filesystem::file_time_type, std::string>> found;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (!HasNameOfBefore(entry->path().filename().string())) continue;
    const std::string path = entry->path().string();
    std::error_code ignored;
    found.emplace_back(std::filesystem::exists(SpoolPathOf(path), ignored),
                       std::filesystem::last_write_time(path, ignored), path);
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<std::string> paths;
  paths.reserve(found.size());
  for (auto& [has_gradient, written, path] : found) paths.push_back(std::move(path));
  return paths;
}

// Gives an identity of an earlier version, with its gradient, the name `to`, which nobody has yet.
// Another process that is as far keeps what it has: nothing is ever replaced.
void TakeOver(const std::string& folder, const std::string& to) {
  for (const std::string& from : FilesOfBefore(folder)) {
    const absl::StatusOr<OwnedIdentity> old = OwnIdentity(from);
    if (!old.ok()) continue;  // in use, or none
    // link refuses an existing name, rename would replace it.
    if (link(from.c_str(), to.c_str()) != 0) return;
    std::error_code ignored;
    std::filesystem::rename(SpoolPathOf(from), SpoolPathOf(to), ignored);
    unlink(from.c_str());
    return;
  }
}

}  // namespace

absl::StatusOr<OwnedIdentity> OwnIdentity(const std::string& state_file) {
  if (!std::filesystem::exists(state_file)) {
    const std::filesystem::path parent = std::filesystem::path(state_file).parent_path();
    std::error_code error;
    if (!parent.empty()) std::filesystem::create_directories(parent, error);
    if (error) {
      return FileError("cannot make the folder of the worker's state file", parent.string(),
                       error.value());
    }
    const nlohmann::json json = {{"worker_id", base::RandomHex(16)},
                                 {"secret", base::RandomHex(32)}};
    GANNET_RETURN_IF_ERROR(WriteNew(state_file, json.dump(2) + "\n"));
  }
  const int fd = open(state_file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FileError("cannot read the worker's state file", state_file, errno);
  OwnedIdentity owned;
  owned.state_file = state_file;
  // The descriptor's end is the lock's end.
  owned.lock = std::shared_ptr<void>(nullptr, [fd](void*) { close(fd); });
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("another worker on this machine uses this identity; give this one another "
                     "file with worker.state_file: ",
                     state_file));
  }
  std::ifstream in(state_file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  GANNET_ASSIGN_OR_RETURN(owned.worker, Parse(text.str(), state_file));
  // Above those of the starts before, as long as the clock goes forward.
  owned.worker.incarnation = base::Incarnation(absl::ToUnixMicros(absl::Now()));
  return owned;
}

absl::StatusOr<OwnedIdentity> OwnDefaultIdentity() {
  const std::string folder = StateFolder();
  for (int number = 1; number <= kMaxWorkers; ++number) {
    const std::string file = NumberedFile(folder, number);
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored)) TakeOver(folder, file);
    absl::StatusOr<OwnedIdentity> owned = OwnIdentity(file);
    if (owned.status().code() == absl::StatusCode::kFailedPrecondition) continue;
    if (owned.ok()) owned->number = number;
    return owned;
  }
  return absl::ResourceExhaustedError(
      absl::StrCat(kMaxWorkers, " workers run on this machine already"));
}

std::string SpoolPathOf(const std::string& state_file) {
  return absl::StrCat(state_file, ".gradient");
}

}  // namespace gannet::worker
