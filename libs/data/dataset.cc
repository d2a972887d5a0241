#include "libs/data/dataset.h"

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/data/cifar_dataset.h"
#include "libs/data/encoded_dataset.h"
#include "libs/data/idx_dataset.h"
#include "libs/data/image_request.h"
#include "libs/data/packed_dataset.h"
#include "libs/data/procedural_dataset.h"

namespace gannet {

absl::StatusOr<std::unique_ptr<Dataset>> OpenDataset(const DatasetOptions& options) {
  if (options.image_size < kMinDatasetImageSize || options.image_size > kMaxDatasetImageSize) {
    return absl::InvalidArgumentError(absl::StrCat("image_size must be ", kMinDatasetImageSize,
                                                   " to ", kMaxDatasetImageSize, ", got ",
                                                   options.image_size));
  }
  const bool encoded = options.kind == "folder" || options.kind == "zip";
  if (options.crop < 0 || (options.crop > 0 && !encoded)) {
    return absl::InvalidArgumentError(
        options.crop < 0
            ? absl::StrCat("data.crop must be at least 0, got ", options.crop)
            : absl::StrCat("data.crop is for folders and zips of images, leave it at 0 with "
                           "data.kind ",
                           options.kind, ": got ", options.crop));
  }
  if (options.kind == "procedural") return OpenProceduralDataset(options);
  if (!encoded && options.kind != "idx" && options.kind != "cifar10" && options.kind != "packed") {
    return absl::InvalidArgumentError(
        absl::StrCat("data set kind must be procedural, folder, zip, idx, cifar10 or packed, got '",
                     options.kind, "'"));
  }
  if (options.path.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("data set of kind ", options.kind, " needs a path"));
  }
  if (options.kind == "idx") return OpenIdxDataset(options);
  if (options.kind == "cifar10") return OpenCifarDataset(options);
  if (options.kind == "packed") return OpenPackedDataset(options);
  return OpenEncodedDataset(options);
}

const std::string& DigestKnownAs(const DatasetFingerprint& fingerprint, const std::string& digest) {
  const bool is_former = !fingerprint.former_digest.empty() && digest == fingerprint.former_digest;
  return is_former ? fingerprint.former_digest : fingerprint.digest;
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
