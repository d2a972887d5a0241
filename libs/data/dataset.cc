#include "libs/data/dataset.h"

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/training_choices.h"
#include "libs/data/dataset_kind.h"
#include "libs/data/image_request.h"

namespace gannet::data {

absl::StatusOr<std::unique_ptr<Dataset>> OpenDataset(const DatasetOptions& options) {
  if (options.image_size < kMinDatasetImageSize || options.image_size > kMaxDatasetImageSize) {
    return absl::InvalidArgumentError(absl::StrCat("image_size must be ", kMinDatasetImageSize,
                                                   " to ", kMaxDatasetImageSize, ", got ",
                                                   options.image_size));
  }
  const DatasetKind* kind = FindDatasetKind(options.kind);
  if (kind == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        "data set kind must be one of ", base::JoinDatasetNames(), ", got '", options.kind, "'"));
  }
  if (options.crop < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("data.crop must be at least 0, got ", options.crop));
  }
  if (options.crop > 0 && !HasImageFiles(options.kind)) {
    return absl::InvalidArgumentError(
        absl::StrCat("data.crop is for pictures in files (data.kind ", JoinDatasetNamesWhere(true),
                     "), leave it at 0 with data.kind ", options.kind, ": got ", options.crop));
  }
  if (options.path.empty() && !base::IsDrawnDataset(options.kind)) {
    return absl::InvalidArgumentError(absl::StrCat("data set of kind ", options.kind,
                                                   " needs a path, that of ",
                                                   base::DatasetSource(options.kind)));
  }
  return kind->open(options);
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

}  // namespace gannet::data
