#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/data/dataset.h"
#include "libs/data/image_io.h"

namespace gannet {

// The data sets of kind "folder" and "zip": JPEG, PNG and WebP images, decoded and scaled when they
// are read. Returns: what OpenDataset returns.
absl::StatusOr<std::unique_ptr<Dataset>> OpenEncodedDataset(const DatasetOptions& options);

// Whether the square that `crop` asks for is in an image; with a crop of 0 it is. Pixels are those
// of the file, though the image may have been decoded smaller. Returns: DATA_LOSS - it is not, with
// both sizes and what to do; the caller names the file.
absl::Status CheckCrop(int crop, const RgbImage& image);

}  // namespace gannet
