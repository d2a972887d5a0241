// In place of image_io.cc and gif_writer.cc where GANNET_IMAGE_CODECS is off: a machine that only
// computes, on images that need no decoding.
#include "libs/image/gif_writer.h"
#include "libs/image/image_io.h"

namespace gannet::image {
namespace {

absl::Status NoCodecs() {
  return absl::UnimplementedError(
      "this program was built without image codecs (GANNET_IMAGE_CODECS)");
}

}  // namespace

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

}  // namespace gannet::image
