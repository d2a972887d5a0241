#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "libs/image/image_io.h"

namespace gannet::image {

struct ImageGridOptions {
  int columns = 8;
  int padding = 2;         // pixels around and between images, before `scale`
  int scale = 1;           // every pixel becomes scale x scale pixels
  uint8_t background = 0;  // grey level of the padding
};

// Lays planar images (each 3 x image_size x image_size, one after the other) out in rows of
// `columns`; the last row may be incomplete.
// Returns: INVALID_ARGUMENT - no image, a size or option that is not positive, or a number of
// values that is not a whole number of images.
absl::StatusOr<RgbImage> MakeImageGrid(absl::Span<const uint8_t> images, int image_size,
                                       const ImageGridOptions& options = {});

// The same from network output in [-1, 1]; values outside are clamped, NaN becomes black.
absl::StatusOr<RgbImage> MakeImageGrid(absl::Span<const float> images, int image_size,
                                       const ImageGridOptions& options = {});

}  // namespace gannet::image
