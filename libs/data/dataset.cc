#include "libs/data/dataset.h"

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/data/encoded_dataset.h"
#include "libs/data/idx_dataset.h"
#include "libs/data/image_request.h"
#include "libs/data/procedural_dataset.h"

namespace gannet {

absl::StatusOr<std::unique_ptr<Dataset>> OpenDataset(const DatasetOptions& options) {
  if (options.image_size < kMinDatasetImageSize || options.image_size > kMaxDatasetImageSize) {
    return absl::InvalidArgumentError(absl::StrCat("image_size must be ", kMinDatasetImageSize,
                                                   " to ", kMaxDatasetImageSize, ", got ",
                                                   options.image_size));
  }
  if (options.kind == "procedural") return OpenProceduralDataset(options);
  if (options.kind != "folder" && options.kind != "zip" && options.kind != "idx") {
    return absl::InvalidArgumentError(absl::StrCat(
        "data set kind must be procedural, folder, zip or idx, got '", options.kind, "'"));
  }
  if (options.path.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("data set of kind ", options.kind, " needs a path"));
  }
  return options.kind == "idx" ? OpenIdxDataset(options) : OpenEncodedDataset(options);
}

absl::Status CheckImageRequest(int64_t index, int64_t image_count, int image_size, size_t room) {
  if (index < 0 || index >= image_count) {
    return absl::OutOfRangeError(
        absl::StrCat("no such image: index ", index, " of ", image_count, " images"));
  }
  const size_t side = static_cast<size_t>(image_size);
  if (room != 3 * side * side) {
    return absl::InvalidArgumentError(absl::StrCat("room for an image of 3x", side, "x", side,
                                                   " bytes expected, got ", room, " bytes"));
  }
  return absl::OkStatus();
}

void RgbToFloat(absl::Span<const uint8_t> rgb, absl::Span<float> out) {
  GANNET_CHECK(rgb.size() == out.size());
  for (size_t i = 0; i < rgb.size(); ++i) out[i] = static_cast<float>(rgb[i]) / 127.5f - 1.0f;
}

}  // namespace gannet
