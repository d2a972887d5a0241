#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/image/image_io.h"

namespace gannet::image {

// Whether a file begins like a WebP.
bool LooksLikeWebp(absl::string_view bytes);

// Decodes a WebP, lossy or lossless; transparent pixels are laid over white. It is not turned
// upright here.
// Returns: DATA_LOSS - not a WebP, damaged or cut short, or an animation; RESOURCE_EXHAUSTED -
// larger than the limits.
absl::StatusOr<RgbImage> ReadWebp(absl::string_view bytes);

}  // namespace gannet::image
