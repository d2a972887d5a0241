#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace gannet::image {

// What the readers of all formats share.

// Whether a picture of that size, as its header says, may be decoded as a whole.
// Returns: DATA_LOSS - without pixels, or a line rather than a picture; RESOURCE_EXHAUSTED - larger
// than the limits of image_io.h.
absl::Status CheckImageSides(uint64_t width, uint64_t height);

// RGBA pixels over white: RGB.
std::vector<uint8_t> OverWhite(absl::Span<const uint8_t> rgba);

// (value + 127) / 255 for products of two bytes.
inline uint8_t DivideBy255(int value) { return static_cast<uint8_t>((value + 127) / 255); }

}  // namespace gannet::image
