#pragma once

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "libs/image/gif_writer.h"

namespace gannet::cli {

struct TrainingGifReport {
  size_t grids = 0;   // found
  size_t frames = 0;  // of them in the GIF
};

// Makes an animated GIF of the numbered sample grids in `folder`; first and last are always in it.
// Returns: NOT_FOUND - no folder, no grids, or one that cannot be read; otherwise as ReadPng and
// WriteGif.
absl::StatusOr<TrainingGifReport> WriteTrainingGif(const std::string& folder,
                                                   const std::string& out, int max_frames,
                                                   const image::GifOptions& options);

}  // namespace gannet::cli
