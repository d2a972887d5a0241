#pragma once

#include <vector>

#include "libs/domain/run_config.h"
#include "libs/exchange/store.h"

namespace gannet::coordinator {

// A run as it stands after a round: everything that a checkpoint of it holds.
struct TrainingState {
  domain::RunConfig config;  // as it holds for the round after it
  exchange::Store::Snapshot snapshot;
  std::vector<exchange::RoundSummary> history;
};

}  // namespace gannet::coordinator
