#include "libs/image/exif.h"

#include <cstdint>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/image/image_io.h"
#include "libs/image/testing/image_files.h"

namespace gannet::image {
namespace {

// 32 x 16 pixels: red, green, blue and white quarters, row by row.
RgbImage Quarters() {
  RgbImage image = PlainImage(32, 16, 0, 0, 0);
  for (size_t y = 0; y < 16; ++y) {
    for (size_t x = 0; x < 32; ++x) {
      uint8_t* pixel = image.pixels.data() + 3 * (y * 32 + x);
      const bool right = x >= 16, below = y >= 8;
      pixel[0] = right == below ? 255 : 0;
      pixel[1] = right ? 255 : 0;
      pixel[2] = below ? 255 : 0;
    }
  }
  return image;
}

char ColourAt(const RgbImage& image, int x, int y) {
  const uint8_t* pixel = image.pixels.data() + std::ptrdiff_t{3} * (y * image.width + x);
  if (pixel[0] > 128) return pixel[1] > 128 ? 'w' : 'r';
  return pixel[1] > 128 ? 'g' : 'b';
}

// The quarters of a picture, row by row.
std::string ColoursOf(const absl::StatusOr<RgbImage>& image) {
  if (!image.ok()) return image.status().ToString();
  const int left = image->width / 4, right = 3 * image->width / 4;
  const int top = image->height / 4, below = 3 * image->height / 4;
  return {ColourAt(*image, left, top), ColourAt(*image, right, top), ColourAt(*image, left, below),
          ColourAt(*image, right, below)};
}

// A chunk of a PNG with a right checksum is not needed before the decoder sees it, so it is put
// together by hand: libpng passes over an unknown damaged ancillary chunk with a warning.
std::string Chunk(absl::string_view name, const std::string& data, bool length_first) {
  std::string length;
  for (int i = 0; i < 4; ++i) {
    const int shift = 8 * (length_first ? 3 - i : i);
    length.push_back(static_cast<char>(data.size() >> shift));
  }
  return length_first ? length + std::string(name) + data : std::string(name) + length + data;
}

TEST(ExifTest, AllEightOrientationsBecomeUpright) {
  const std::string jpeg = EncodeJpeg(Quarters());
  const char* const expected[] = {"rgbw", "grwb", "wbgr", "bwrg", "rbgw", "brwg", "wgbr", "gwrb"};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    for (const bool big_endian : {true, false}) {
      const absl::StatusOr<RgbImage> image =
          DecodeImage(WithExif(jpeg, ExifBlock(orientation, big_endian)));

      EXPECT_EQ(ColoursOf(image), expected[orientation - 1]) << orientation;
      ASSERT_OK(image);
      EXPECT_EQ(image->width, orientation >= 5 ? 16 : 32) << orientation;
      EXPECT_EQ(image->height, orientation >= 5 ? 32 : 16) << orientation;
    }
  }
}

TEST(ExifTest, PngAndWebpAreTurnedToo) {
  std::string png = EncodePng(Quarters(), PngKind::kRgb);
  // Behind the header, which has 13 bytes in its chunk of 25; the checksum is that of these bytes.
  const std::string data = ExifBlock(6);
  png.insert(33, Chunk("eXIf", data, true) + std::string(4, '\0'));
  EXPECT_EQ(PngOrientation(png), 6);

  std::string webp = EncodeWebp(Quarters()) + Chunk("EXIF", ExifBlock(8, false), false);
  EXPECT_EQ(WebpOrientation(webp), 8);
  EXPECT_EQ(ColoursOf(DecodeImage(webp)), "gwrb");
  const std::string with_name = std::string("Exif\0\0", 6) + ExifBlock(3);
  EXPECT_EQ(WebpOrientation(EncodeWebp(Quarters()) + Chunk("EXIF", with_name, false)), 3);
}

TEST(ExifTest, WithoutANoteNothingIsTurned) {
  EXPECT_EQ(JpegOrientation(EncodeJpeg(Quarters())), 1);
  EXPECT_EQ(PngOrientation(EncodePng(Quarters(), PngKind::kRgb)), 1);
  EXPECT_EQ(WebpOrientation(EncodeWebp(Quarters())), 1);
  for (const int wrong : {0, 9, 255, 0x0600}) EXPECT_EQ(TiffOrientation(ExifBlock(wrong)), 1);
}

TEST(ExifTest, BlocksThatAreCutShortSayNothing) {
  const std::string jpeg = EncodeJpeg(Quarters());
  const std::string block = ExifBlock(6);
  for (size_t keep = 0; keep < block.size(); ++keep) {
    // The value ends at byte 20; what follows it is padding and the offset of the next directory,
    // but an entry has twelve bytes.
    EXPECT_EQ(TiffOrientation(block.substr(0, keep)), keep >= 22 ? 6 : 1) << keep;
    EXPECT_EQ(ColoursOf(DecodeImage(WithExif(jpeg, block.substr(0, keep)))),
              keep >= 22 ? "brwg" : "rgbw")
        << keep;
  }
  const std::string whole = WithExif(jpeg, block);
  for (size_t keep = 0; keep < 60; ++keep) {
    const int found = JpegOrientation(whole.substr(0, keep));
    EXPECT_TRUE(found == 1 || found == 6) << keep;
  }
}

// Offsets and counts that point anywhere must not be followed beyond the bytes.
TEST(ExifTest, ArbitraryBlocksAreSurvived) {
  const std::string jpeg = WithExif(EncodeJpeg(PlainImage(8, 8, 1, 2, 3)), ExifBlock(6));
  uint32_t random = 4711;
  const auto next = [&] { return random = random * 1664525 + 1013904223; };
  for (int round = 0; round < 20'000; ++round) {
    std::string block = ExifBlock(static_cast<int>(next() % 9), next() % 2 == 0);
    for (int change = 0; change < 3; ++change) {
      block[(next() >> 8) % block.size()] = static_cast<char>(next() >> 16);
    }
    const int found = TiffOrientation(block);
    EXPECT_TRUE(found >= 1 && found <= 8);
    std::string file = jpeg.substr(0, (next() >> 8) % 80);
    if (!file.empty()) file[(next() >> 8) % file.size()] = static_cast<char>(next() >> 16);
    for (const int orientation :
         {JpegOrientation(file), PngOrientation(file), WebpOrientation(file)}) {
      EXPECT_TRUE(orientation >= 1 && orientation <= 8);
    }
  }
  std::string far = ExifBlock(6);
  far.replace(4, 4, "\xff\xff\xff\xff");
  EXPECT_EQ(TiffOrientation(far), 1);
  std::string many = ExifBlock(6);
  many.replace(8, 4, "\xff\xff\x01\x00");  // 65,535 entries, the first of another tag
  EXPECT_EQ(TiffOrientation(many), 1);
}

}  // namespace
}  // namespace gannet::image
