#include "libs/base/file_bytes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"

namespace gannet::base {
namespace {

absl::Status ReadError(int error) {
  if (error == ENOENT || error == ENOTDIR) return absl::NotFoundError("no such file");
  return absl::DataLossError(absl::StrCat("file cannot be read: ", std::strerror(error)));
}

class OpenFile {
 public:
  // O_NONBLOCK, so that a pipe that is named like an image does not hang the reader.
  explicit OpenFile(const std::string& path)
      : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~OpenFile() {
    if (fd_ >= 0) close(fd_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

}  // namespace

absl::StatusOr<FileHead> ReadFileHead(const std::string& path, int64_t count) {
  const OpenFile file(path);
  if (file.fd() < 0) return ReadError(errno);
  struct stat info {};
  if (fstat(file.fd(), &info) != 0) return ReadError(errno);
  if (!S_ISREG(info.st_mode)) return absl::DataLossError("not a regular file");
  FileHead head;
  head.size = info.st_size;
  head.bytes.resize(static_cast<size_t>(std::min<int64_t>(count, info.st_size)));
  size_t done = 0;
  while (done < head.bytes.size()) {
    const ssize_t got = read(file.fd(), head.bytes.data() + done, head.bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ReadError(errno);
    if (got == 0) return absl::DataLossError("file became shorter while it was read");
    done += static_cast<size_t>(got);
  }
  return head;
}

absl::StatusOr<std::string> ReadFileBytes(const std::string& path, int64_t max_bytes) {
  GANNET_ASSIGN_OR_RETURN(FileHead head, ReadFileHead(path, max_bytes));
  if (head.size > max_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("file larger than the limit of ", max_bytes, " bytes: ", head.size, " bytes"));
  }
  return std::move(head.bytes);
}

}  // namespace gannet::base
