#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/file_bytes.h"
#include "libs/base/hex.h"
#include "libs/base/sha256.h"
#include "libs/base/status_macros.h"
#include "libs/data/dataset_kind.h"
#include "libs/data/image_request.h"
#include "libs/image/image_io.h"
#include "libs/image/resize.h"

namespace gannet::data {
namespace {

namespace fs = std::filesystem;

constexpr int kSide = 32;
constexpr size_t kPixels = size_t{kSide} * kSide;
// One of label, and three planes of pixels.
constexpr size_t kRecordBytes = 1 + 3 * kPixels;
constexpr uint8_t kClasses = 10;
constexpr int64_t kMaxFileBytes = int64_t{1} << 30;
constexpr int kTrainFiles = 5;
constexpr char kFolder[] = "cifar-10-batches-bin";

// The files that `path` means, in order.
absl::StatusOr<std::vector<std::string>> FindFiles(const std::string& path) {
  std::error_code error;
  if (!fs::exists(path, error)) {
    return absl::NotFoundError(absl::StrCat("data set of kind cifar10 does not exist: ", path));
  }
  if (!fs::is_directory(path, error)) return std::vector<std::string>{path};
  for (const std::string& folder : {path, absl::StrCat(path, "/", kFolder)}) {
    std::vector<std::string> files;
    for (int i = 1; i <= kTrainFiles; ++i) {
      files.push_back(absl::StrCat(folder, "/data_batch_", i, ".bin"));
      if (!fs::exists(files.back(), error)) break;
    }
    if (fs::exists(files.back(), error)) return files;
    if (files.size() > 1) {
      return absl::FailedPreconditionError(
          absl::StrCat("CIFAR-10 is not complete, there is no ", files.back()));
    }
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "folder holds no data_batch_1.bin to data_batch_5.bin (the binary version of CIFAR-10; the "
      "one for Python cannot be read): ",
      path));
}

class CifarDataset final : public Dataset {
 public:
  CifarDataset(std::string records, int image_size, DatasetFingerprint fingerprint)
      : records_(std::move(records)),
        image_size_(image_size),
        fingerprint_(std::move(fingerprint)) {}

  int64_t size() const override { return static_cast<int64_t>(records_.size() / kRecordBytes); }
  const DatasetFingerprint& fingerprint() const override { return fingerprint_; }
  std::string NameOf(int64_t index) const override { return absl::StrCat("image ", index); }
  bool has_labels() const override { return true; }

  int64_t LabelOf(int64_t index) const override {
    return index < 0 || index >= size() ? 0 : Record(index)[0];
  }

  absl::Status ReadRgb(int64_t index, absl::Span<uint8_t> out) const override {
    GANNET_RETURN_IF_ERROR(CheckImageRequest(index, size(), image_size_, out.size()));
    const uint8_t* planes = Record(index) + 1;
    if (image_size_ == kSide) {
      std::copy(planes, planes + 3 * kPixels, out.begin());
      return absl::OkStatus();
    }
    image::RgbImage image{
        .width = kSide, .height = kSide, .pixels = std::vector<uint8_t>(3 * kPixels)};
    for (size_t i = 0; i < kPixels; ++i) {
      for (size_t c = 0; c < 3; ++c) image.pixels[3 * i + c] = planes[c * kPixels + i];
    }
    image::ResizeAndCrop(image, image_size_, out);
    return absl::OkStatus();
  }

 private:
  const uint8_t* Record(int64_t index) const {
    return reinterpret_cast<const uint8_t*>(records_.data()) +
           static_cast<size_t>(index) * kRecordBytes;
  }

  const std::string records_;
  const int image_size_;
  const DatasetFingerprint fingerprint_;
};

absl::StatusOr<std::unique_ptr<Dataset>> Open(const DatasetOptions& options) {
  GANNET_ASSIGN_OR_RETURN(const std::vector<std::string> files, FindFiles(options.path));
  std::string records;
  for (const std::string& file : files) {
    const absl::StatusOr<std::string> bytes = base::ReadFileBytes(file, kMaxFileBytes);
    if (!bytes.ok()) {
      return absl::FailedPreconditionError(
          absl::StrCat("CIFAR-10 file cannot be read: ", bytes.status().message(), ": ", file));
    }
    if (bytes->empty() || bytes->size() % kRecordBytes != 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("CIFAR-10 file is cut short or none: expected records of ", kRecordBytes,
                       " bytes, got ", bytes->size(), " bytes: ", file));
    }
    for (size_t at = 0; at < bytes->size(); at += kRecordBytes) {
      const auto label = static_cast<uint8_t>((*bytes)[at]);
      if (label >= kClasses) {
        return absl::FailedPreconditionError(absl::StrCat("not a file of CIFAR-10: image ",
                                                          at / kRecordBytes, " has the label ",
                                                          label, ", expected 0 to 9: ", file));
      }
    }
    records += *bytes;
  }
  DatasetFingerprint fingerprint;
  fingerprint.kind = "cifar10";
  fingerprint.image_count = static_cast<int64_t>(records.size() / kRecordBytes);
  fingerprint.digest = base::Sha256Hex(records);
  fingerprint.description =
      absl::StrCat(fingerprint.image_count, " images of CIFAR-10 in ", options.path);
  return std::make_unique<CifarDataset>(std::move(records), options.image_size,
                                        std::move(fingerprint));
}

// Nothing tells such a file but its size and its first label. The brightest images may look like
// text.
bool MayLookLikeText(const std::string& path, absl::string_view head) {
  std::error_code error;
  const std::uintmax_t bytes = fs::file_size(path, error);
  return !error && !head.empty() && bytes % kRecordBytes == 0 &&
         static_cast<unsigned char>(head.front()) < kClasses;
}

}  // namespace

// CIFAR-10's binary version (Krizhevsky 2009): the folder of data_batch_1.bin to data_batch_5.bin,
// the folder above it, or one such file. Records of one byte of label and 32 x 32 pixels, planar;
// an image is known by its position. The digest is of the files, one after the other.
const DatasetKind datasets::cifar10 = {.open = Open, .may_look_like_text = MayLookLikeText};

}  // namespace gannet::data
