#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace gannet::cli {

// What has arrived of a download so far, in OUT.part, and in OUT.part.etag of what it is a part.
// Held by one process at a time: two that append to one file would splice it.
class FetchPart {
 public:
  // Opens the part, or makes an empty one. One of another address is emptied.
  // Returns: ALREADY_EXISTS - `out` is there; FAILED_PRECONDITION - somebody else fetches it;
  // UNAVAILABLE - the part cannot be written.
  static absl::StatusOr<FetchPart> Open(const std::string& out, const std::string& url);

  FetchPart(FetchPart&& other) noexcept;
  FetchPart& operator=(FetchPart&&) = delete;
  // One with nothing in it is removed.
  ~FetchPart();

  const std::string& path() const { return path_; }

  // Bytes so far.
  int64_t size() const { return size_; }

  // The server's name (an ETag, or the time of the last change) for the version that the part is
  // of; empty: it has given none.
  const std::string& version() const { return version_; }

  // Methods below return: UNAVAILABLE - with the system's reason.
  absl::Status SetVersion(const std::string& version);
  absl::Status Append(absl::string_view bytes);
  absl::Status Empty();

  // The part becomes `out`, or vanishes; nothing else is called afterwards.
  absl::Status Finish();
  void Remove();

 private:
  FetchPart(std::string out, std::string url, int fd);

  absl::Status Failed(int error) const;

  std::string out_;
  std::string url_;
  std::string path_;
  std::string tag_path_;
  int fd_;
  int64_t size_ = 0;
  std::string version_;
};

}  // namespace gannet::cli
