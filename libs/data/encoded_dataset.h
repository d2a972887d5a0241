#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/data/dataset.h"

namespace gannet {

// The data sets of kind "folder" and "zip": JPEG and PNG images, decoded and scaled when they are
// read. Returns: what OpenDataset returns.
absl::StatusOr<std::unique_ptr<Dataset>> OpenEncodedDataset(const DatasetOptions& options);

// Whether the square that `crop` asks for is in an image of that size; with a crop of 0 it is.
// Returns: DATA_LOSS - it is not, with both sizes and what to do; the caller names the file.
absl::Status CheckCrop(int crop, int width, int height);

}  // namespace gannet
