#pragma once

#include <cstdint>

#include "absl/types/span.h"

namespace gannet::image {

// Pixel values to the network's [-1, 1]: v / 127.5 - 1, exactly that expression in float.
void RgbToFloat(absl::Span<const uint8_t> rgb, absl::Span<float> out);

// A network's value in [-1, 1] as 0..255, rounded to nearest: undoes RgbToFloat exactly.
uint8_t FloatToByte(float value);

}  // namespace gannet::image
