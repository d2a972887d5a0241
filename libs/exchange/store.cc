#include "libs/exchange/store.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/printable.h"
#include "libs/base/sha256.h"
#include "libs/exchange/validation.h"

namespace gannet {

const RunConfig& ConfigOf(const RunConfig& created, const std::vector<SettingsChange>& changes,
                          Round round) {
  const RunConfig* found = &created;
  for (const SettingsChange& change : changes) {
    if (change.round <= round) found = &change.config;
  }
  return *found;
}

std::string ConsumedSha256(const std::vector<std::string>& gradient_sha256s) {
  return Sha256(absl::StrJoin(gradient_sha256s, ""));
}

std::string JoinReasons(const std::string& first, const std::string& second) {
  if (first.empty() || second.empty()) return first.empty() ? second : first;
  return Printable(absl::StrCat(first, "; ", second), kMaxReasonChars);
}

std::string RejectionsReason(int rejections, const std::string& last_reason) {
  return Printable(
      absl::StrCat(rejections,
                   " more gradients were rejected than used, the last one: ", last_reason),
      kMaxReasonChars);
}

std::string FailedUnitReason(Round round, Slot slot, int failures, const WorkerId& worker,
                             const std::string& reason) {
  const std::string by = worker.value().empty() ? "" : absl::StrCat(" by worker ", worker.value());
  return Printable(absl::StrCat("round ", round.value(), " slot ", slot.value(), " failed ",
                                failures, " times, last", by, ": ", reason),
                   kMaxReasonChars);
}

}  // namespace gannet
