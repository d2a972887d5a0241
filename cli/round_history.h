#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "libs/exchange/store.h"

namespace gannet::cli {

// All finished rounds of the run up to that version, oldest first, page by page.
// Errors: those of Store::ListRounds.
absl::StatusOr<std::vector<exchange::RoundSummary>> ReadHistory(exchange::Store& store,
                                                                base::RunId run,
                                                                base::WeightsVersion version);

}  // namespace gannet::cli
