#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "libs/data/dataset.h"

namespace gannet::data {

// A data set of decoded images in one file, so that no epoch decodes or scales anything and no
// memory is needed to keep it:
//
//   4,096 bytes   "GANNETPK", the length of a JSON object (uint32, little-endian), the object
//                 (version, image_size, fingerprint of what was packed, label bits, SHA-256 of all
//                 that follows), zeros
//   images        image_count x 3 x image_size x image_size bytes, planar RGB
//   labels        image_count x int64, little-endian; only where labels are known
//
// Images are read from where they are, one system call each (datasets/packed.cc).

// Writes `dataset`, which was opened with `image_size`, whole or not at all.
// `progress`, which may be empty, is called now and then with the number of images done.
// Returns: as AtomicFile - the file cannot be written; what reading an image returned.
absl::Status WritePackedDataset(const Dataset& dataset, int image_size, const std::string& path,
                                const std::function<void(int64_t done)>& progress);

}  // namespace gannet::data
