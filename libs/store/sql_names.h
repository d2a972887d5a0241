#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "libs/domain/run_state.h"

namespace gannet::store {

// The run state that the database calls `name`.
// Returns: INTERNAL - it calls none so.
absl::StatusOr<domain::RunState> RunStateFromName(const std::string& name);

}  // namespace gannet::store
