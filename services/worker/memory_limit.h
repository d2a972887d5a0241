#pragma once

#include <cstdint>
#include <string>

namespace gannet::worker {

// The memory that this container may use, in bytes; 0: no limit is known. `folder` is where Linux
// shows control groups, version 2 or 1. Whoever exceeds it is killed without a last word.
int64_t MemoryLimit(const std::string& folder = "/sys/fs/cgroup");

// The most memory this process has used so far, in bytes.
int64_t PeakMemory();

}  // namespace gannet::worker
