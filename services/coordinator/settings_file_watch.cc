#include "services/coordinator/settings_file_watch.h"

#include <utility>

#include "absl/status/statusor.h"
#include "libs/base/file_bytes.h"
#include "libs/base/sha256.h"

namespace gannet::coordinator {
namespace {

constexpr int64_t kMaxBytes = 1 << 20;

std::string DigestOf(const std::string& path) {
  if (path.empty()) return "";
  const absl::StatusOr<std::string> bytes = base::ReadFileBytes(path, kMaxBytes);
  return bytes.ok() ? base::Sha256(*bytes) : "";
}

}  // namespace

SettingsFileWatch::SettingsFileWatch(std::string path)
    : path_(std::move(path)), sha256_(DigestOf(path_)) {}

bool SettingsFileWatch::Changed() {
  std::string now = DigestOf(path_);
  if (now.empty() || now == sha256_) return false;
  sha256_ = std::move(now);
  return true;
}

}  // namespace gannet::coordinator
