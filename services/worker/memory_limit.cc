#include "services/worker/memory_limit.h"

#include <sys/resource.h>

#include <fstream>

#include "absl/strings/numbers.h"

namespace gannet::worker {
namespace {

// Version 1 writes a number of this size where there is no limit.
constexpr int64_t kNoLimit = int64_t{1} << 60;

}  // namespace

int64_t MemoryLimit(const std::string& folder) {
  for (const char* file : {"/memory.max", "/memory/memory.limit_in_bytes"}) {
    std::ifstream in(folder + file);
    std::string text;
    int64_t bytes = 0;
    if (in >> text && absl::SimpleAtoi(text, &bytes) && bytes > 0 && bytes < kNoLimit) return bytes;
  }
  return 0;
}

int64_t PeakMemory() {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  return int64_t{1024} * usage.ru_maxrss;
}

}  // namespace gannet::worker
