#pragma once

#include <vector>

#include "libs/domain/run_config.h"
#include "libs/exchange/store.h"

namespace gannet::coordinator {

// A run as it stands after a round: everything that a checkpoint of it holds.
struct TrainingState {
  RunConfig config;  // as it holds for the round after it
  Store::Snapshot snapshot;
  std::vector<RoundSummary> history;
};

}  // namespace gannet::coordinator
