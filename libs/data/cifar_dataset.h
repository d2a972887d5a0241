#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "libs/data/dataset.h"

namespace gannet {

// The data set of kind "cifar10" (Krizhevsky 2009, binary version): records of one byte of label
// and 32 x 32 pixels, planar. Returns: what OpenDataset returns.
absl::StatusOr<std::unique_ptr<Dataset>> OpenCifarDataset(const DatasetOptions& options);

}  // namespace gannet
