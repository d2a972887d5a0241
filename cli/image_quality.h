#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/config/config.h"
#include "libs/gan/gan.h"

namespace gannet {

// Real images to compare with: 3 x image_size x image_size floats in [-1, 1] each, one after the
// other.
struct RealImages {
  std::vector<float> pixels;
  int64_t count = 0;
  bool held_out = false;  // none of them was trained on
};

// Reads up to `count` images of the configured data set. Procedural faces come from beyond
// data.count, so no training has seen them: those from position `skip` there on. Of other data
// sets, which have nothing beyond, images spread evenly over all of them, `skip` positions further.
// Returns: as OpenDataset and ReadRgb.
absl::StatusOr<RealImages> ReadRealImages(const Config& config, int image_size, int64_t count,
                                          int64_t skip);

// The images of a batch, one after the other.
std::vector<float> Flattened(const ImageBatch& batch);

}  // namespace gannet
