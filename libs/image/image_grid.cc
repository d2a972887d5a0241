#include "libs/image/image_grid.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/image/pixel_range.h"

namespace gannet::image {

absl::StatusOr<RgbImage> MakeImageGrid(absl::Span<const uint8_t> images, int image_size,
                                       const ImageGridOptions& options) {
  if (image_size <= 0 || options.columns <= 0 || options.padding < 0 || options.scale <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("grid needs positive sizes, got image_size ", image_size, ", columns ",
                     options.columns, ", padding ", options.padding, ", scale ", options.scale));
  }
  const size_t side = static_cast<size_t>(image_size);
  const size_t plane = side * side;
  if (images.empty() || images.size() % (3 * plane) != 0) {
    return absl::InvalidArgumentError(absl::StrCat("grid needs whole images of 3x", side, "x", side,
                                                   " values, got ", images.size(), " values"));
  }
  const size_t count = images.size() / (3 * plane);
  const size_t columns = std::min(count, static_cast<size_t>(options.columns));
  const size_t rows = (count + columns - 1) / columns;
  const size_t padding = static_cast<size_t>(options.padding);
  const size_t scale = static_cast<size_t>(options.scale);
  const size_t cell = side + padding;
  const size_t width = (columns * cell + padding) * scale;
  const size_t height = (rows * cell + padding) * scale;
  if (width > kMaxImageSide || height > kMaxImageSide) {
    return absl::InvalidArgumentError(absl::StrCat("grid would be larger than ", kMaxImageSide,
                                                   " pixels a side: ", width, "x", height));
  }
  RgbImage grid;
  grid.width = static_cast<int>(width);
  grid.height = static_cast<int>(height);
  grid.pixels.assign(width * height * 3, options.background);
  for (size_t i = 0; i < count; ++i) {
    const size_t left = (padding + i % columns * cell) * scale;
    const size_t top = (padding + i / columns * cell) * scale;
    const uint8_t* image = images.data() + i * 3 * plane;
    for (size_t y = 0; y < side * scale; ++y) {
      for (size_t x = 0; x < side * scale; ++x) {
        uint8_t* out = grid.pixels.data() + ((top + y) * width + left + x) * 3;
        const size_t at = y / scale * side + x / scale;
        for (size_t c = 0; c < 3; ++c) out[c] = image[c * plane + at];
      }
    }
  }
  return grid;
}

absl::StatusOr<RgbImage> MakeImageGrid(absl::Span<const float> images, int image_size,
                                       const ImageGridOptions& options) {
  std::vector<uint8_t> bytes(images.size());
  std::transform(images.begin(), images.end(), bytes.begin(), FloatToByte);
  return MakeImageGrid(absl::Span<const uint8_t>(bytes), image_size, options);
}

}  // namespace gannet::image
