#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/data/dataset.h"

namespace gannet::quality {

// Real images to compare generated ones with.
struct ReferenceImages {
  std::vector<float> pixels;  // planar, 3 x image_size x image_size in [-1, 1] each
  int64_t count = 0;
  bool held_out = false;                // none of them was trained on
  std::vector<int64_t> labels;          // one each; empty: none are known
  std::vector<std::string> label_bits;  // what their bits mean; empty: they are classes
};

// Reads up to `count` images of a data set. Procedural faces come from beyond options.count, so no
// training has seen them: those from position `skip` there on. Of other data sets, which have
// nothing beyond, images spread evenly over all of them; with a `skip`
// those that lie between the ones without, all others as long as there are 2 * `count`.
// Returns: as OpenDataset and ReadRgb.
absl::StatusOr<ReferenceImages> ReadReferenceImages(const data::DatasetOptions& options,
                                                    int64_t count, int64_t skip);

// The same for who has opened that data set already: opening one may read all of it.
absl::StatusOr<ReferenceImages> ReadReferenceImages(const data::Dataset& opened,
                                                    const data::DatasetOptions& options,
                                                    int64_t count, int64_t skip);

}  // namespace gannet::quality
