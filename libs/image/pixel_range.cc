#include "libs/image/pixel_range.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "libs/base/check.h"

namespace gannet::image {

void RgbToFloat(absl::Span<const uint8_t> rgb, absl::Span<float> out) {
  GANNET_CHECK(rgb.size() == out.size());
  for (size_t i = 0; i < rgb.size(); ++i) out[i] = static_cast<float>(rgb[i]) / 127.5f - 1.0f;
}

uint8_t FloatToByte(float value) {
  // Written so that NaN fails the first comparison.
  if (!(value > -1.0f)) return 0;
  if (value >= 1.0f) return 255;
  return static_cast<uint8_t>((value + 1.0f) * 127.5f + 0.5f);
}

}  // namespace gannet::image
