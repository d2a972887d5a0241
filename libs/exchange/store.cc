#include "libs/exchange/store.h"

#include "absl/strings/str_cat.h"

namespace gannet {

const RunConfig& ConfigOf(const RunConfig& created, const std::vector<SettingsChange>& changes,
                          Round round) {
  const RunConfig* found = &created;
  for (const SettingsChange& change : changes) {
    if (change.round <= round) found = &change.config;
  }
  return *found;
}

std::string FailedUnitReason(Round round, Slot slot, int failures, const std::string& reason) {
  return absl::StrCat("round ", round.value(), " slot ", slot.value(), " failed ", failures,
                      " times, last: ", reason);
}

}  // namespace gannet
