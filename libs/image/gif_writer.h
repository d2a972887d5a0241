#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "libs/image/image_io.h"

namespace gannet::image {

struct GifOptions {
  int delay_centiseconds = 12;
  int last_delay_centiseconds = 250;  // the last frame is what one wants to look at
  int scale = 1;                      // every pixel becomes scale x scale pixels
};

// An animated GIF of frames of one size, repeated for ever. Each frame has a palette of its own:
// its colours are split into 256 boxes where they vary most (median cut with the variance rule of
// Wan, Wong and Prusinkiewicz 1988), and what is lost is spread to neighbours (Floyd and Steinberg
// 1976), before `scale` is applied, so that enlarged pixels stay plain and compress well. A colour
// that the palette holds exactly, such as the padding of a grid, stays exactly that.
// Returns: INVALID_ARGUMENT - no frame, frames of different sizes, sizes beyond the format's
// 65,535, or an option out of range.
absl::StatusOr<std::string> EncodeGif(absl::Span<const RgbImage> frames,
                                      const GifOptions& options = {});

// Writes it, whole or not at all.
// Returns: also UNAVAILABLE - the file cannot be written.
absl::Status WriteGif(const std::string& path, absl::Span<const RgbImage> frames,
                      const GifOptions& options = {});

}  // namespace gannet::image
