#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace gannet::cli {

// The numbers of a list such as "1,5,10-19", in its order.
// Returns: INVALID_ARGUMENT - not such a list, or one of more than 4,096 numbers.
absl::StatusOr<std::vector<uint64_t>> ParseSeedList(const std::string& text);

}  // namespace gannet::cli
