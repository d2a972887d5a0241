#include "libs/image/image_grid.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/image/pixel_range.h"

namespace gannet::image {
namespace {

// Planar images of one colour each.
std::vector<uint8_t> Images(const std::vector<std::vector<uint8_t>>& colours, int side) {
  std::vector<uint8_t> out;
  for (const auto& colour : colours) {
    for (const uint8_t channel : colour) {
      out.insert(out.end(), static_cast<size_t>(side) * static_cast<size_t>(side), channel);
    }
  }
  return out;
}

std::vector<int> PixelAt(const RgbImage& image, int x, int y) {
  const size_t at =
      (static_cast<size_t>(y) * static_cast<size_t>(image.width) + static_cast<size_t>(x)) * 3;
  return {image.pixels[at], image.pixels[at + 1], image.pixels[at + 2]};
}

TEST(ImageGridTest, ImagesStandInRowsWithPaddingAround) {
  const std::vector<uint8_t> images = Images({{10, 20, 30}, {40, 50, 60}, {70, 80, 90}}, 4);

  ASSERT_OK_AND_ASSIGN(const RgbImage grid,
                       MakeImageGrid(absl::Span<const uint8_t>(images), 4,
                                     {.columns = 2, .padding = 2, .scale = 1, .background = 7}));

  EXPECT_EQ(grid.width, 2 + 4 + 2 + 4 + 2);
  EXPECT_EQ(grid.height, 2 + 4 + 2 + 4 + 2);
  EXPECT_THAT(PixelAt(grid, 1, 1), testing::ElementsAre(7, 7, 7));
  EXPECT_THAT(PixelAt(grid, 2, 2), testing::ElementsAre(10, 20, 30));
  EXPECT_THAT(PixelAt(grid, 5, 5), testing::ElementsAre(10, 20, 30));
  EXPECT_THAT(PixelAt(grid, 6, 5), testing::ElementsAre(7, 7, 7));
  EXPECT_THAT(PixelAt(grid, 8, 2), testing::ElementsAre(40, 50, 60));
  EXPECT_THAT(PixelAt(grid, 2, 8), testing::ElementsAre(70, 80, 90));
  EXPECT_THAT(PixelAt(grid, 8, 8), testing::ElementsAre(7, 7, 7)) << "the last row is incomplete";
}

TEST(ImageGridTest, ScaleRepeatsPixels) {
  std::vector<uint8_t> image(3 * 2 * 2);
  std::iota(image.begin(), image.end(), uint8_t{1});

  ASSERT_OK_AND_ASSIGN(
      const RgbImage grid,
      MakeImageGrid(absl::Span<const uint8_t>(image), 2, {.columns = 8, .padding = 1, .scale = 3}));

  EXPECT_EQ(grid.width, 12);
  EXPECT_THAT(PixelAt(grid, 3, 3), testing::ElementsAre(1, 5, 9));
  EXPECT_THAT(PixelAt(grid, 5, 5), testing::ElementsAre(1, 5, 9));
  EXPECT_THAT(PixelAt(grid, 6, 3), testing::ElementsAre(2, 6, 10));
  EXPECT_THAT(PixelAt(grid, 8, 8), testing::ElementsAre(4, 8, 12));
}

TEST(ImageGridTest, BytesSurviveTheWayThroughTheNetworksRange) {
  std::vector<uint8_t> bytes(256);
  std::iota(bytes.begin(), bytes.end(), uint8_t{0});
  std::vector<float> floats(256);

  RgbToFloat(bytes, absl::MakeSpan(floats));

  for (size_t i = 0; i < bytes.size(); ++i) EXPECT_EQ(FloatToByte(floats[i]), bytes[i]);
  EXPECT_EQ(floats.front(), -1.0f);
  EXPECT_EQ(floats.back(), 1.0f);
}

TEST(ImageGridTest, ValuesOutsideTheRangeAreClamped) {
  EXPECT_EQ(FloatToByte(-5.0f), 0);
  EXPECT_EQ(FloatToByte(5.0f), 255);
  EXPECT_EQ(FloatToByte(std::numeric_limits<float>::infinity()), 255);
  EXPECT_EQ(FloatToByte(std::nanf("")), 0);
}

TEST(ImageGridTest, FloatsAndBytesGiveTheSameGrid) {
  const std::vector<uint8_t> images = Images({{10, 20, 30}, {250, 0, 255}}, 8);
  std::vector<float> floats(images.size());
  RgbToFloat(images, absl::MakeSpan(floats));

  ASSERT_OK_AND_ASSIGN(const RgbImage a, MakeImageGrid(absl::Span<const uint8_t>(images), 8));
  ASSERT_OK_AND_ASSIGN(const RgbImage b, MakeImageGrid(absl::Span<const float>(floats), 8));

  EXPECT_EQ(a.pixels, b.pixels);
}

TEST(ImageGridTest, RefusesWhatIsNotAWholeNumberOfImages) {
  const std::vector<uint8_t> bytes(3 * 4 * 4 + 1);
  const absl::Span<const uint8_t> all(bytes);

  EXPECT_THAT(MakeImageGrid(all, 4), base::StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(MakeImageGrid(all.subspan(0, 0), 4),
              base::StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(MakeImageGrid(all.subspan(1), 0), base::StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(MakeImageGrid(all.subspan(1), 4, {.scale = 100'000}),
              base::StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace gannet::image
