#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"

namespace gannet::data {

// Whether image `index` of `image_count` may be written to `room` bytes.
// Returns: OUT_OF_RANGE - no such image; INVALID_ARGUMENT - the room is not 3 x image_size x
// image_size.
absl::Status CheckImageRequest(int64_t index, int64_t image_count, int image_size, size_t room);

}  // namespace gannet::data
