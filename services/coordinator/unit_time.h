#pragma once

#include <vector>

#include "libs/exchange/store.h"

namespace gannet::coordinator {

// The median compute time of a round's units, as the workers report it. Zero without a
// gradient. Beside RunStatus::median_unit_time, which the database measures from claim to accept,
// it tells how much of a unit's time went elsewhere: sending, receiving, waiting for images.
absl::Duration MedianComputeTime(const std::vector<exchange::GradientInfo>& gradients);

}  // namespace gannet::coordinator
