#include "cli/fetch_part.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"

namespace gannet::cli {
namespace {

namespace fs = std::filesystem;

// Attempts to meet a part that is not being renamed at the same moment.
constexpr int kMaxOpenings = 100;

// Without what follows a question mark: keys that a site makes anew for every visit.
std::string PlaceOf(const std::string& url) { return url.substr(0, url.find_first_of("?#")); }

absl::Status IsThere(const std::string& out) {
  return absl::AlreadyExistsError(absl::StrCat("there is a file ", out, " already"));
}

}  // namespace

FetchPart::FetchPart(std::string out, std::string url, int fd)
    : out_(std::move(out)),
      url_(std::move(url)),
      path_(out_ + ".part"),
      tag_path_(path_ + ".etag"),
      fd_(fd) {}

FetchPart::FetchPart(FetchPart&& other) noexcept
    : out_(std::move(other.out_)),
      url_(std::move(other.url_)),
      path_(std::move(other.path_)),
      tag_path_(std::move(other.tag_path_)),
      fd_(std::exchange(other.fd_, -1)),
      size_(other.size_),
      version_(std::move(other.version_)) {}

FetchPart::~FetchPart() {
  if (fd_ < 0) return;
  if (size_ == 0) {
    Remove();
  } else {
    ::close(fd_);
  }
}

absl::Status FetchPart::Failed(int error) const {
  return absl::UnavailableError(
      absl::StrCat("file cannot be written: ", std::strerror(error), ": ", path_));
}

absl::StatusOr<FetchPart> FetchPart::Open(const std::string& out, const std::string& url) {
  std::error_code error;
  for (int opening = 0; opening < kMaxOpenings; ++opening) {
    if (fs::exists(fs::symlink_status(out, error))) return IsThere(out);
    FetchPart part(out, url, -1);
    const int fd = ::open(part.path_.c_str(),
                          O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
    if (fd < 0) return part.Failed(errno);
    part.fd_ = fd;
    struct stat held {};
    if (fstat(fd, &held) != 0) return part.Failed(errno);
    if (!S_ISREG(held.st_mode)) {
      part.fd_ = -1;
      ::close(fd);
      return absl::UnavailableError(
          absl::StrCat("file cannot be written: not a regular file: ", part.path_));
    }
    // So that a part that is not ours is not removed on the way out.
    part.size_ = 1;
    // Some file systems have no locks: then nobody is kept out.
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      return absl::FailedPreconditionError(
          absl::StrCat("another program is fetching ", out, " at this moment"));
    }
    // Who had it before has named it, or removed it.
    struct stat named {};
    const bool is_named = ::stat(part.path_.c_str(), &named) == 0 && named.st_ino == held.st_ino &&
                          named.st_dev == held.st_dev;
    if (!is_named) continue;
    if (fs::exists(fs::symlink_status(out, error))) {
      part.size_ = held.st_size;
      return IsThere(out);
    }
    part.size_ = held.st_size;
    std::ifstream tag(part.tag_path_);
    std::string place;
    std::getline(tag, part.version_);
    // A part without a note of its address is of an earlier version of Gannet.
    if (std::getline(tag, place) && place != PlaceOf(url)) {
      GANNET_RETURN_IF_ERROR(part.Empty());
    }
    return part;
  }
  return absl::FailedPreconditionError(
      absl::StrCat("another program is fetching ", out, " at this moment"));
}

absl::Status FetchPart::SetVersion(const std::string& version) {
  version_ = version;
  std::ofstream tag(tag_path_, std::ios::trunc);
  tag << version << "\n" << PlaceOf(url_) << "\n";
  tag.close();
  return tag ? absl::OkStatus() : Failed(errno);
}

absl::Status FetchPart::Append(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return Failed(written < 0 ? errno : EIO);
    bytes.remove_prefix(static_cast<size_t>(written));
    size_ += written;
  }
  return absl::OkStatus();
}

absl::Status FetchPart::Empty() {
  if (::ftruncate(fd_, 0) != 0) return Failed(errno);
  size_ = 0;
  version_.clear();
  return absl::OkStatus();
}

absl::Status FetchPart::Finish() {
  if (std::rename(path_.c_str(), out_.c_str()) != 0) {
    return absl::UnavailableError(
        absl::StrCat("file cannot be named: ", std::strerror(errno), ": ", out_));
  }
  std::error_code error;
  fs::remove(tag_path_, error);
  ::close(std::exchange(fd_, -1));
  return absl::OkStatus();
}

void FetchPart::Remove() {
  std::error_code error;
  fs::remove(path_, error);
  fs::remove(tag_path_, error);
  ::close(std::exchange(fd_, -1));
}

}  // namespace gannet::cli
