#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/data/dataset.h"
#include "libs/image/image_io.h"

namespace gannet::data {

// Opens a data set of the kinds whose images are files (DatasetKind::open_files): JPEG, PNG and
// WebP images, decoded and scaled when they are read. Their index is the bytewise order of relative
// paths, in Unicode's form C where they are UTF-8. The digest is of the relative paths (without the
// folders that all of them share), the sizes and the SHA-256 of the bytes of every image, in order,
// and of the crop, where there is one. Returns: what OpenDataset returns.
absl::StatusOr<std::unique_ptr<Dataset>> OpenEncodedDataset(const DatasetOptions& options);

// Whether the square that `crop` asks for is in an image; with a crop of 0 it is. Pixels are those
// of the file, though the image may have been decoded smaller. Returns: DATA_LOSS - it is not, with
// both sizes and what to do; the caller names the file.
absl::Status CheckCrop(int crop, const image::RgbImage& image);

}  // namespace gannet::data
