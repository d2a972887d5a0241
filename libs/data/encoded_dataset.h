#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "libs/data/dataset.h"

namespace gannet {

// The data sets of kind "folder" and "zip": JPEG and PNG images, decoded and scaled when they are
// read. Returns: what OpenDataset returns.
absl::StatusOr<std::unique_ptr<Dataset>> OpenEncodedDataset(const DatasetOptions& options);

}  // namespace gannet
