#pragma once

#include <cstddef>
#include <vector>

namespace gannet::cli {

// At most `max` > 0 of the positions 0..count-1, rising and evenly spread; the last one is among
// them, and the first one when `max` > 1.
std::vector<size_t> ChooseFrames(size_t count, size_t max);

}  // namespace gannet::cli
