#include "libs/base/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "libs/base/hex.h"

namespace gannet {
namespace {

// So that the new name outlives a power cut too. A file system that cannot do it has done its best.
void SyncFolderOf(const std::string& path) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  const int fd = open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

}  // namespace

absl::Status WriteFileAtomically(const std::string& path, absl::string_view bytes,
                                 Durability durability) {
  // In the same folder, because rename does not cross file systems; with a random name, because
  // two processes may write the same path.
  const std::string temporary = absl::StrCat(path, ".", RandomHex(8), ".tmp");
  const auto fail = [&](absl::string_view what, int error) {
    return absl::UnavailableError(
        absl::StrCat("file cannot be written (", what, "): ", std::strerror(error), ": ", path));
  };
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) return fail("open", errno);
  size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t count = write(fd, bytes.data() + written, bytes.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      const int error = count < 0 ? errno : EIO;
      close(fd);
      unlink(temporary.c_str());
      return fail("write", error);
    }
    written += static_cast<size_t>(count);
  }
  if (durability == Durability::kSynced && fsync(fd) != 0) {
    const int error = errno;
    close(fd);
    unlink(temporary.c_str());
    return fail("fsync", error);
  }
  if (close(fd) != 0) {
    const int error = errno;
    unlink(temporary.c_str());
    return fail("close", error);
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    unlink(temporary.c_str());
    return fail("rename", error);
  }
  if (durability == Durability::kSynced) SyncFolderOf(path);
  return absl::OkStatus();
}

}  // namespace gannet
