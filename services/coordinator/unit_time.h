#pragma once

#include <vector>

#include "libs/exchange/store.h"

namespace gannet::coordinator {

// How long a usual unit of a round was computed: the median of what the workers say. Zero without a
// gradient. Beside RunStatus::median_unit_time, which the database measures from claim to accept,
// it tells how much of a unit's time went elsewhere: sending, receiving, waiting for images.
absl::Duration UsualComputeTime(const std::vector<exchange::GradientInfo>& gradients);

}  // namespace gannet::coordinator
