#include "libs/exchange/store.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/printable.h"
#include "libs/base/sha256.h"
#include "libs/exchange/validation.h"

namespace gannet::exchange {

const domain::RunConfig& ConfigOf(const domain::RunConfig& created,
                                  const std::vector<SettingsChange>& changes, base::Round round) {
  const domain::RunConfig* found = &created;
  for (const SettingsChange& change : changes) {
    if (change.round <= round) found = &change.config;
  }
  return *found;
}

std::string ConsumedSha256(const std::vector<std::string>& gradient_sha256s) {
  return base::Sha256(absl::StrJoin(gradient_sha256s, ""));
}

std::string JoinReasons(const std::string& first, const std::string& second) {
  if (first.empty() || second.empty()) return first.empty() ? second : first;
  return base::Printable(absl::StrCat(first, "; ", second), kMaxReasonChars);
}

std::string RejectionsReason(int rejections, const std::string& last_reason) {
  return base::Printable(
      absl::StrCat(rejections,
                   " more gradients were rejected than used, the last one: ", last_reason),
      kMaxReasonChars);
}

std::string FailedUnitReason(base::Round round, base::Slot slot, int failures,
                             const base::WorkerId& worker, const std::string& reason) {
  const std::string by = worker.value().empty() ? "" : absl::StrCat(" by worker ", worker.value());
  return base::Printable(absl::StrCat("round ", round.value(), " slot ", slot.value(), " failed ",
                                      failures, " times, last", by, ": ", reason),
                         kMaxReasonChars);
}

}  // namespace gannet::exchange
