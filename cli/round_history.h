#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "libs/exchange/store.h"

namespace gannet::cli {

// All finished rounds of the run up to that version, oldest first, page by page.
// Errors: those of Store::ListRounds.
absl::StatusOr<std::vector<RoundSummary>> ReadHistory(Store& store, RunId run,
                                                      WeightsVersion version);

}  // namespace gannet::cli
