#include "libs/image/resize.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/image/testing/image_files.h"

namespace gannet::image {
namespace {

using testing::Each;
using testing::ElementsAre;

std::vector<int> Resize(const RgbImage& image, int size) {
  std::vector<uint8_t> out(3 * static_cast<size_t>(size) * static_cast<size_t>(size));
  ResizeAndCrop(image, size, absl::MakeSpan(out));
  return {out.begin(), out.end()};
}

// A grey picture of the given rows.
RgbImage Rows(const std::vector<std::vector<uint8_t>>& rows) {
  RgbImage image{static_cast<int>(rows[0].size()), static_cast<int>(rows.size()), {}};
  for (const auto& row : rows) {
    for (const uint8_t v : row) image.pixels.insert(image.pixels.end(), 3, v);
  }
  return image;
}

// The red plane only.
std::vector<int> ResizeGrey(const RgbImage& image, int size) {
  std::vector<int> out = Resize(image, size);
  out.resize(out.size() / 3);
  return out;
}

TEST(ResizeTest, TheSameSizeIsTheIdentity) {
  const RgbImage image = SoftImage(8, 8, 1);

  const std::vector<int> out = Resize(image, 8);

  for (size_t i = 0; i < 64; ++i) {
    for (size_t c = 0; c < 3; ++c) EXPECT_EQ(out[c * 64 + i], image.pixels[i * 3 + c]);
  }
}

TEST(ResizeTest, PlainStaysPlain) {
  EXPECT_THAT(Resize(PlainImage(178, 218, 77, 77, 77), 64), Each(77));
  EXPECT_THAT(Resize(PlainImage(5, 3, 255, 255, 255), 32), Each(255));
  EXPECT_THAT(Resize(PlainImage(3, 1000, 1, 1, 1), 8), Each(1));
}

TEST(ResizeTest, ChannelsAreNotMixed) {
  const std::vector<int> out = Resize(PlainImage(100, 100, 10, 20, 30), 8);

  EXPECT_EQ(out[0], 10);
  EXPECT_EQ(out[64], 20);
  EXPECT_EQ(out[128], 30);
}

// Worked by hand: an output pixel at half the size weighs its four nearest pixels 1, 3, 3, 1.
TEST(ResizeTest, HalvingWeighsNeighboursLinearly) {
  const std::vector<uint8_t> row = {0, 0, 80, 160, 0, 0, 0, 0};

  const std::vector<int> out = ResizeGrey(Rows(std::vector<std::vector<uint8_t>>(8, row)), 4);

  // At the left edge the fourth neighbour is missing: (0*3 + 0*3 + 80) / 7 = 11.4.
  EXPECT_THAT(std::vector<int>(out.begin(), out.begin() + 4), ElementsAre(11, 90, 20, 0));
}

TEST(ResizeTest, DoublingInterpolates) {
  const std::vector<uint8_t> row = {0, 100};

  const std::vector<int> out = ResizeGrey(Rows({row, row}), 4);

  EXPECT_THAT(std::vector<int>(out.begin(), out.begin() + 4), ElementsAre(0, 25, 75, 100));
}

TEST(ResizeTest, TheCentreIsCutOutOfTheLongerSide) {
  std::vector<std::vector<uint8_t>> rows(8, std::vector<uint8_t>(14, 0));
  for (auto& row : rows) {
    for (size_t x = 3; x < 11; ++x) row[x] = 200;
  }

  EXPECT_THAT(ResizeGrey(Rows(rows), 8), Each(200));
}

// torchvision rounds half of an odd rest to the even neighbour: (11 - 8) / 2 = 1.5 becomes 2, and
// (9 - 8) / 2 = 0.5 becomes 0.
TEST(ResizeTest, OddRestsAreCutAsTorchvisionDoes) {
  std::vector<uint8_t> eleven;
  for (int i = 0; i < 11; ++i) eleven.push_back(static_cast<uint8_t>(10 * i));
  const std::vector<uint8_t> nine(eleven.begin(), eleven.begin() + 9);

  EXPECT_EQ(ResizeGrey(Rows(std::vector<std::vector<uint8_t>>(8, eleven)), 8)[0], 20);
  EXPECT_EQ(ResizeGrey(Rows(std::vector<std::vector<uint8_t>>(8, nine)), 8)[0], 0);
}

TEST(ResizeTest, ExtremeShapesAreFine) {
  EXPECT_THAT(Resize(PlainImage(kMaxImageSide, 1, 9, 9, 9), 16), Each(9));
  EXPECT_THAT(Resize(PlainImage(1, kMaxImageSide, 9, 9, 9), 16), Each(9));
  EXPECT_THAT(Resize(PlainImage(1, 1, 255, 255, 255), 1024), Each(255));
}

}  // namespace
}  // namespace gannet::image
