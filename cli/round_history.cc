#include "cli/round_history.h"

#include <cstddef>

#include "libs/base/status_macros.h"

namespace gannet::cli {

absl::StatusOr<std::vector<exchange::RoundSummary>> ReadHistory(exchange::Store& store,
                                                                base::RunId run,
                                                                base::WeightsVersion version) {
  std::vector<exchange::RoundSummary> history;
  while (true) {
    GANNET_ASSIGN_OR_RETURN(
        const std::vector<exchange::RoundSummary> page,
        store.ListRounds(run, history.empty() ? base::Round(0) : history.back().round,
                         exchange::kMaxPage));
    for (const exchange::RoundSummary& round : page) {
      // Rounds may have been published since the snapshot.
      if (round.round.value() <= version.value()) history.push_back(round);
    }
    if (page.size() < static_cast<size_t>(exchange::kMaxPage) ||
        page.back().round.value() >= version.value()) {
      return history;
    }
  }
}

}  // namespace gannet::cli
