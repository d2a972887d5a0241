#include "libs/base/atomic_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/hex.h"
#include "libs/base/status_macros.h"
#include "libs/base/temporary_files.h"

namespace gannet::base {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kNewFileMode = 0644;
constexpr int kMaxLinks = 40;  // as the kernel's limit
constexpr size_t kRandomBytes = 8;
constexpr absl::string_view kTemporaryEnding = ".tmp";

absl::Status Failed(absl::string_view what, int error, const std::string& path) {
  return absl::UnavailableError(
      absl::StrCat("file cannot be written (", what, "): ", std::strerror(error), ": ", path));
}

absl::Status Refused(absl::string_view why, const std::string& path) {
  return absl::FailedPreconditionError(absl::StrCat("file cannot be written: ", why, ": ", path));
}

std::string FolderOf(const std::string& path) {
  const fs::path folder = fs::path(path).parent_path();
  return folder.empty() ? "." : folder.string();
}

// So that the new name outlives a power cut too. A file system that cannot do it has done its best.
void SyncFolderOf(const std::string& path) {
  const int fd = open(FolderOf(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

// Links below /proc (what /dev/stdout leads to) name open files: they cannot be followed by name.
bool IsInProc(const std::string& path) {
  struct statfs info = {};
  return statfs(FolderOf(path).c_str(), &info) == 0 && info.f_type == PROC_SUPER_MAGIC;
}

// What a path leads to.
struct Destination {
  std::string path;                 // with links followed
  std::optional<mode_t> type = {};  // and permissions; empty: nothing is there
  bool open_file = false;           // a link below /proc
};

absl::StatusOr<Destination> Follow(const std::string& path) {
  Destination at{.path = path};
  for (int links = 0; links < kMaxLinks; ++links) {
    struct stat info = {};
    if (lstat(at.path.c_str(), &info) != 0) {
      if (errno == ENOENT) return at;
      return Failed("open", errno, path);
    }
    if (!S_ISLNK(info.st_mode)) {
      at.type = info.st_mode;
      return at;
    }
    if (IsInProc(at.path)) {
      if (stat(at.path.c_str(), &info) != 0) return Failed("open", errno, path);
      at.type = info.st_mode;
      at.open_file = true;
      return at;
    }
    std::string target(PATH_MAX, '\0');
    const ssize_t size = readlink(at.path.c_str(), target.data(), target.size());
    if (size < 0) return Failed("readlink", errno, path);
    target.resize(static_cast<size_t>(size));
    if (!fs::path(target).is_absolute()) target = (fs::path(FolderOf(at.path)) / target).string();
    at.path = std::move(target);
  }
  return Failed("readlink", ELOOP, path);
}

// Whether a file's name is PATH.16-digits.tmp.
bool IsTemporaryOf(absl::string_view name, absl::string_view file_name) {
  return absl::StartsWith(name, absl::StrCat(file_name, ".")) &&
         absl::EndsWith(name, kTemporaryEnding) &&
         name.size() == file_name.size() + 1 + 2 * kRandomBytes + kTemporaryEnding.size() &&
         IsHex(name.substr(file_name.size() + 1, 2 * kRandomBytes), 2 * kRandomBytes);
}

// Removes what processes that were killed have left of this file. Those that live hold a lock.
void RemoveLeftovers(const std::string& path) {
  const std::string file_name = fs::path(path).filename().string();
  std::error_code error;
  fs::directory_iterator it(FolderOf(path), error);
  for (; !error && it != fs::directory_iterator(); it.increment(error)) {
    if (!IsTemporaryOf(it->path().filename().string(), file_name)) continue;
    const int fd = open(it->path().c_str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) continue;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) unlink(it->path().c_str());
    close(fd);
  }
}

}  // namespace

struct AtomicFile::State {
  std::string path;  // as it was given, for messages
  std::string target;
  int fd = -1;
  bool direct = false;  // a pipe or a device: bytes are there at once
  bool committed = false;
  std::optional<mode_t> permissions;  // of the file that is replaced
  // The name that the bytes have until they get their own; none where the file system can keep a
  // file without any, which not even a killed process leaves behind.
  std::optional<TemporaryName> temporary;

  ~State() {
    if (fd >= 0) close(fd);
    if (temporary.has_value() && !committed) unlink(temporary->path().c_str());
  }

  absl::Status OpenDirect() {
    direct = true;
    // Without O_NONBLOCK a pipe that nobody reads would be waited for, maybe for ever.
    fd = open(target.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 && errno == ENXIO) {
      return Refused("nobody reads this pipe, start its reader first", path);
    }
    if (fd < 0) return Failed("open", errno, path);
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0) {
      return Failed("open", errno, path);
    }
    return absl::OkStatus();
  }

  std::string NewName() const {
    return absl::StrCat(target, ".", RandomHex(kRandomBytes), kTemporaryEnding);
  }

  // Whether the file system, and /proc, can do it.
  bool OpenWithoutName() {
    fd = open(FolderOf(target).c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, kNewFileMode);
    if (fd < 0) return false;
    if (access(ProcPath().c_str(), F_OK) == 0) {
      TakePermissions();
      return true;
    }
    close(fd);
    fd = -1;
    return false;
  }

  // In the same folder, because rename does not cross file systems; with a random name, because two
  // processes may write the same path.
  absl::Status OpenWithName() {
    RemoveLeftovers(target);
    while (true) {
      temporary.emplace(NewName());
      fd = open(temporary->path().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kNewFileMode);
      if (fd < 0) {
        const int error = errno;
        temporary.reset();
        return Failed("open", error, path);
      }
      // Somebody who clears up may have been faster than the lock. Where there are no locks, nobody
      // can clear up either.
      struct stat info = {};
      if (flock(fd, LOCK_EX) != 0 || fstat(fd, &info) != 0 || info.st_nlink > 0) break;
      close(fd);
      fd = -1;
    }
    TakePermissions();
    return absl::OkStatus();
  }

  // A file system without permissions has none to keep.
  void TakePermissions() const {
    if (permissions.has_value()) (void)!fchmod(fd, *permissions);
  }

  std::string ProcPath() const { return absl::StrCat("/proc/self/fd/", fd); }

  // Gives the bytes a temporary name. Some file systems can keep a file without a name, but not
  // name it later: then it is copied.
  absl::Status GiveName() {
    temporary.emplace(NewName());
    if (linkat(AT_FDCWD, ProcPath().c_str(), AT_FDCWD, temporary->path().c_str(),
               AT_SYMLINK_FOLLOW) == 0) {
      return absl::OkStatus();
    }
    if (errno == ENOSPC || errno == EDQUOT) return Failed("link", errno, path);
    const int nameless = std::exchange(fd, -1);
    absl::Status copied = OpenWithName();
    std::vector<char> part(size_t{1} << 20);
    for (off_t at = 0; copied.ok();) {
      const ssize_t count = pread(nameless, part.data(), part.size(), at);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) copied = Failed("read", errno, path);
      if (count <= 0) break;
      copied = Write({part.data(), static_cast<size_t>(count)}, -1);
      at += count;
    }
    close(nameless);
    if (copied.ok() && fsync(fd) != 0) copied = Failed("fsync", errno, path);
    return copied;
  }

  // At the end for a negative `at`.
  absl::Status Write(absl::string_view bytes, int64_t at) const {
    while (!bytes.empty()) {
      const ssize_t count = at < 0 ? write(fd, bytes.data(), bytes.size())
                                   : pwrite(fd, bytes.data(), bytes.size(), at);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return Failed("write", count < 0 ? errno : EIO, path);
      bytes.remove_prefix(static_cast<size_t>(count));
      if (at >= 0) at += count;
    }
    return absl::OkStatus();
  }
};

AtomicFile::AtomicFile(std::unique_ptr<State> state) : state_(std::move(state)) {}
AtomicFile::AtomicFile(AtomicFile&& other) noexcept = default;
AtomicFile& AtomicFile::operator=(AtomicFile&& other) noexcept = default;
AtomicFile::~AtomicFile() = default;

absl::StatusOr<AtomicFile> AtomicFile::Open(const std::string& path, FileKinds kinds) {
  GANNET_ASSIGN_OR_RETURN(const Destination destination, Follow(path));
  auto state = std::make_unique<State>();
  state->path = path;
  state->target = destination.path;
  AtomicFile file(std::move(state));
  State& opened = *file.state_;
  if (destination.type.has_value() && !S_ISREG(*destination.type)) {
    const mode_t type = *destination.type;
    if (S_ISDIR(type)) return Refused("this is a folder", path);
    if (S_ISBLK(type)) return Refused("this is a disk, not a file", path);
    if (S_ISSOCK(type)) return Refused("this is a socket, not a file", path);
    if (kinds == FileKinds::kRegularOnly) {
      return Refused(S_ISFIFO(type) ? "this is a pipe, and a file is needed"
                                    : "this is a device, and a file is needed",
                     path);
    }
    GANNET_RETURN_IF_ERROR(opened.OpenDirect());
    return file;
  }
  if (destination.open_file) {
    return Refused("this is a file that is open elsewhere, name the file itself", path);
  }
  if (destination.type.has_value()) opened.permissions = *destination.type & 07777;
  if (!opened.OpenWithoutName()) GANNET_RETURN_IF_ERROR(opened.OpenWithName());
  return file;
}

absl::Status AtomicFile::Append(absl::string_view bytes) { return state_->Write(bytes, -1); }

absl::Status AtomicFile::WriteAt(absl::string_view bytes, int64_t at) {
  return state_->Write(bytes, at);
}

absl::Status AtomicFile::Commit(Durability durability) {
  State& state = *state_;
  if (state.direct) {
    state.committed = true;
    return close(std::exchange(state.fd, -1)) == 0 ? absl::OkStatus()
                                                   : Failed("close", errno, state.path);
  }
  if (durability == Durability::kSynced && fsync(state.fd) != 0) {
    return Failed("fsync", errno, state.path);
  }
  // Some file systems of other machines say only now that they had no room; the descriptor itself
  // stays open for its lock.
  const int copy = dup(state.fd);
  if (copy < 0 || close(copy) != 0) return Failed("close", errno, state.path);
  if (!state.temporary.has_value()) GANNET_RETURN_IF_ERROR(state.GiveName());
  if (rename(state.temporary->path().c_str(), state.target.c_str()) != 0) {
    return Failed("rename", errno, state.path);
  }
  state.committed = true;
  if (durability == Durability::kSynced) SyncFolderOf(state.target);
  return absl::OkStatus();
}

absl::Status WriteFileAtomically(const std::string& path, absl::string_view bytes,
                                 Durability durability) {
  GANNET_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Open(path));
  GANNET_RETURN_IF_ERROR(file.Append(bytes));
  return file.Commit(durability);
}

}  // namespace gannet::base
