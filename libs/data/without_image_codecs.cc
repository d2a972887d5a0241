// In place of image_io.cc, gif_writer.cc, unicode_names.cc and datasets/zip.cc where
// GANNET_IMAGE_CODECS is off: a machine that only computes, on images that need no decoding.
#include "absl/strings/str_cat.h"
#include "libs/data/dataset_kind.h"
#include "libs/data/encoded_dataset.h"
#include "libs/data/gif_writer.h"
#include "libs/data/image_io.h"
#include "libs/data/image_names.h"
#include "libs/data/image_source.h"

namespace gannet {
namespace {

absl::Status NoCodecs() {
  return absl::UnimplementedError(
      absl::StrCat("this program was built without image codecs (GANNET_IMAGE_CODECS): use a data "
                   "set of one of the kinds ",
                   JoinDatasetNamesWhere(false)));
}

absl::StatusOr<std::unique_ptr<ImageSource>> OpenFiles(const std::string& /*path*/,
                                                       const std::set<std::string>& /*excluded*/) {
  return NoCodecs();
}

}  // namespace

// Nothing that has names is read here.
std::string NormalizedName(absl::string_view name) { return std::string(name); }

absl::StatusOr<RgbImage> ReadPng(absl::string_view /*bytes*/) { return NoCodecs(); }
absl::StatusOr<RgbImage> ReadJpeg(absl::string_view /*bytes*/) { return NoCodecs(); }
absl::StatusOr<RgbImage> DecodeImage(absl::string_view /*bytes*/) { return NoCodecs(); }
absl::Status CheckImageHead(absl::string_view /*head*/) { return NoCodecs(); }

absl::Status WritePngRgb(const std::string& /*path*/, int /*width*/, int /*height*/,
                         absl::Span<const uint8_t> /*rgb*/) {
  return NoCodecs();
}

absl::Status WritePngRgb(const std::string& /*path*/, const RgbImage& /*image*/) {
  return NoCodecs();
}

absl::StatusOr<std::string> EncodePngRgb(int /*width*/, int /*height*/,
                                         absl::Span<const uint8_t> /*rgb*/) {
  return NoCodecs();
}

absl::StatusOr<std::string> EncodeGif(absl::Span<const RgbImage> /*frames*/,
                                      const GifOptions& /*options*/) {
  return NoCodecs();
}

absl::Status WriteGif(const std::string& /*path*/, absl::Span<const RgbImage> /*frames*/,
                      const GifOptions& /*options*/) {
  return NoCodecs();
}

const DatasetKind datasets::zip = {.open = OpenEncodedDataset, .open_files = OpenFiles};

}  // namespace gannet
