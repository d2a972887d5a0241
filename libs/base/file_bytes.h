#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gannet::base {

// Reads a regular file.
// Returns: NOT_FOUND - no such file; DATA_LOSS - it cannot be read, with the system's reason;
// RESOURCE_EXHAUSTED - larger than `max_bytes`. Messages do not name the file.
absl::StatusOr<std::string> ReadFileBytes(const std::string& path, int64_t max_bytes);

// The first `count` bytes of a regular file, or all of it if it is shorter, and its size.
struct FileHead {
  std::string bytes;
  int64_t size = 0;
};
absl::StatusOr<FileHead> ReadFileHead(const std::string& path, int64_t count);

}  // namespace gannet::base
