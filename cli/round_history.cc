#include "cli/round_history.h"

#include <cstddef>

#include "libs/base/status_macros.h"

namespace gannet::cli {

absl::StatusOr<std::vector<RoundSummary>> ReadHistory(Store& store, RunId run,
                                                      WeightsVersion version) {
  std::vector<RoundSummary> history;
  while (true) {
    GANNET_ASSIGN_OR_RETURN(
        const std::vector<RoundSummary> page,
        store.ListRounds(run, history.empty() ? Round(0) : history.back().round, kMaxPage));
    for (const RoundSummary& round : page) {
      // Rounds may have been published since the snapshot.
      if (round.round.value() <= version.value()) history.push_back(round);
    }
    if (page.size() < static_cast<size_t>(kMaxPage) ||
        page.back().round.value() >= version.value()) {
      return history;
    }
  }
}

}  // namespace gannet::cli
