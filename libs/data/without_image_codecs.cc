// In place of image_io.cc, gif_writer.cc, unicode_names.cc and zip_source.cc where
// GANNET_IMAGE_CODECS is off: a machine that only computes, on procedural faces, idx, CIFAR-10 or
// packed data.
#include "libs/data/gif_writer.h"
#include "libs/data/image_io.h"
#include "libs/data/image_names.h"
#include "libs/data/image_source.h"

namespace gannet {
namespace {

absl::Status NoCodecs() {
  return absl::UnimplementedError(
      "this program was built without image codecs (GANNET_IMAGE_CODECS): use a data set of kind "
      "procedural, idx, cifar10 or packed");
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

absl::StatusOr<std::unique_ptr<ImageSource>> OpenZipSource(
    const std::string& /*path*/, const std::set<std::string>& /*excluded*/) {
  return NoCodecs();
}

}  // namespace gannet
