#include "libs/exchange/store.h"

#include "absl/strings/str_cat.h"

namespace gannet {

std::string FailedUnitReason(Round round, Slot slot, int failures, const std::string& reason) {
  return absl::StrCat("round ", round.value(), " slot ", slot.value(), " failed ", failures,
                      " times, last: ", reason);
}

}  // namespace gannet
