#pragma once

#include <cstddef>
#include <memory>

#include "absl/status/statusor.h"
#include "libs/data/dataset.h"

namespace gannet {

// One of label, and 3 x 32 x 32 of pixels.
inline constexpr size_t kCifarRecordBytes = 1 + 3 * 32 * 32;

// The data set of kind "cifar10" (Krizhevsky 2009, binary version): records of one byte of label
// and 32 x 32 pixels, planar. Returns: what OpenDataset returns.
absl::StatusOr<std::unique_ptr<Dataset>> OpenCifarDataset(const DatasetOptions& options);

}  // namespace gannet
