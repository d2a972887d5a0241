#include "libs/image/webp_reader.h"

#include <webp/decode.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "libs/base/status_macros.h"
#include "libs/image/image_limits.h"

namespace gannet::image {

bool LooksLikeWebp(absl::string_view bytes) {
  return bytes.substr(0, 4) == "RIFF" && bytes.size() >= 12 && bytes.substr(8, 4) == "WEBP";
}

absl::StatusOr<RgbImage> ReadWebp(absl::string_view bytes) {
  if (!LooksLikeWebp(bytes)) return absl::DataLossError("not a WebP");
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(data, bytes.size(), &features) != VP8_STATUS_OK) {
    return absl::DataLossError("damaged WebP: no header");
  }
  if (features.has_animation != 0) {
    return absl::DataLossError("animated WebP, save one of its pictures as an image of its own");
  }
  const auto width = static_cast<size_t>(features.width);
  const auto height = static_cast<size_t>(features.height);
  GANNET_RETURN_IF_ERROR(CheckImageSides(width, height));
  const bool has_alpha = features.has_alpha != 0;
  const size_t channels = has_alpha ? 4 : 3;
  std::vector<uint8_t> pixels(width * height * channels);
  const auto stride = static_cast<int>(width * channels);
  const uint8_t* decoded =
      has_alpha ? WebPDecodeRGBAInto(data, bytes.size(), pixels.data(), pixels.size(), stride)
                : WebPDecodeRGBInto(data, bytes.size(), pixels.data(), pixels.size(), stride);
  if (decoded == nullptr) return absl::DataLossError("damaged WebP, or cut short");
  RgbImage image{.width = features.width, .height = features.height, .pixels = {}};
  image.pixels = has_alpha ? OverWhite(pixels) : std::move(pixels);
  return image;
}

}  // namespace gannet::image
