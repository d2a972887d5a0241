#include "libs/image/resize.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "libs/base/check.h"

namespace gannet::image {
namespace {

constexpr int kWeightBits = 22;

// The input pixels that make one output pixel, and their weights (sum about 2^kWeightBits).
struct Window {
  int64_t first = 0;
  std::vector<int32_t> weights;
};

// Windows of the output pixels crop_start..crop_start+count-1 of a line of `in` pixels scaled to
// `out`.
std::vector<Window> MakeWindows(int64_t in, int64_t out, int64_t crop_start, int count) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double support = std::max(1.0, scale);
  std::vector<Window> windows(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    const double centre = (static_cast<double>(crop_start + i) + 0.5) * scale;
    const int64_t first = std::max<int64_t>(0, static_cast<int64_t>(centre - support + 0.5));
    const int64_t end = std::min<int64_t>(in, static_cast<int64_t>(centre + support + 0.5));
    std::vector<double> weights;
    double sum = 0;
    for (int64_t x = first; x < end; ++x) {
      const double distance = std::abs((static_cast<double>(x) - centre + 0.5) / support);
      weights.push_back(std::max(0.0, 1.0 - distance));
      sum = sum + weights.back();
    }
    Window& window = windows[static_cast<size_t>(i)];
    window.first = first;
    for (const double weight : weights) {
      window.weights.push_back(
          static_cast<int32_t>(weight / sum * static_cast<double>(1 << kWeightBits) + 0.5));
    }
  }
  return windows;
}

uint8_t Round(int32_t sum) {
  return static_cast<uint8_t>(std::min(255, (sum + (1 << (kWeightBits - 1))) >> kWeightBits));
}

// Where the centre cut of `size` begins on a line of `length`: half of the rest, and a half rounded
// to the even neighbour, as Python's round() does.
int64_t CropStart(int64_t length, int64_t size) {
  const int64_t rest = length - size;
  return rest % 4 == 3 ? rest / 2 + 1 : rest / 2;
}

}  // namespace

void ResizeAndCrop(const RgbImage& image, int image_size, absl::Span<uint8_t> planar) {
  GANNET_CHECK(image_size > 0 && image.width > 0 && image.height > 0);
  const size_t side = static_cast<size_t>(image_size);
  const size_t in_width = static_cast<size_t>(image.width);
  GANNET_CHECK(image.pixels.size() == in_width * static_cast<size_t>(image.height) * 3);
  GANNET_CHECK(planar.size() == 3 * side * side);
  const int64_t shorter = std::min(image.width, image.height);
  const int64_t width = int64_t{image_size} * image.width / shorter;
  const int64_t height = int64_t{image_size} * image.height / shorter;
  const std::vector<Window> columns =
      MakeWindows(image.width, width, CropStart(width, image_size), image_size);
  const std::vector<Window> rows =
      MakeWindows(image.height, height, CropStart(height, image_size), image_size);

  // Across first, for the rows that the cut needs.
  const size_t first_row = static_cast<size_t>(rows.front().first);
  const size_t end_row = static_cast<size_t>(rows.back().first) + rows.back().weights.size();
  std::vector<uint8_t> narrow((end_row - first_row) * side * 3);
  for (size_t y = first_row; y < end_row; ++y) {
    const uint8_t* in = image.pixels.data() + y * in_width * 3;
    uint8_t* out = narrow.data() + (y - first_row) * side * 3;
    for (size_t x = 0; x < side; ++x) {
      const Window& window = columns[x];
      const uint8_t* from = in + static_cast<size_t>(window.first) * 3;
      int32_t red = 0;
      int32_t green = 0;
      int32_t blue = 0;
      for (const int32_t weight : window.weights) {
        red += weight * from[0];
        green += weight * from[1];
        blue += weight * from[2];
        from += 3;
      }
      out[x * 3] = Round(red);
      out[x * 3 + 1] = Round(green);
      out[x * 3 + 2] = Round(blue);
    }
  }
  // Then down.
  std::vector<int32_t> sums(side * 3);
  for (size_t y = 0; y < side; ++y) {
    const Window& window = rows[y];
    std::fill(sums.begin(), sums.end(), 0);
    const uint8_t* from =
        narrow.data() + (static_cast<size_t>(window.first) - first_row) * side * 3;
    for (const int32_t weight : window.weights) {
      for (size_t i = 0; i < side * 3; ++i) sums[i] += weight * from[i];
      from += side * 3;
    }
    for (size_t x = 0; x < side; ++x) {
      for (size_t c = 0; c < 3; ++c) planar[(c * side + y) * side + x] = Round(sums[x * 3 + c]);
    }
  }
}

}  // namespace gannet::image
