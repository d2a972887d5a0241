#include "libs/image/image_io.h"

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/file_bytes.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/image/testing/image_files.h"

namespace gannet::image {
namespace {

using testing::AllOf;
using testing::HasSubstr;

int LargestDifference(const RgbImage& a, const RgbImage& b) {
  if (a.width != b.width || a.height != b.height) return 256;
  int largest = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) {
    largest = std::max(largest, std::abs(a.pixels[i] - b.pixels[i]));
  }
  return largest;
}

// The picture in grey, as the helpers make it: the green channel.
RgbImage Grey(RgbImage image) {
  for (size_t i = 0; i < image.pixels.size(); i += 3) {
    image.pixels[i] = image.pixels[i + 2] = image.pixels[i + 1];
  }
  return image;
}

TEST(ImageIoTest, WhatIsWrittenIsReadBack) {
  const TempFolder folder;
  const RgbImage image = SoftImage(13, 7, 1);
  const std::string path = folder.path() + "/a.png";

  ASSERT_OK(WritePngRgb(path, image));

  ASSERT_OK_AND_ASSIGN(const std::string bytes, base::ReadFileBytes(path, 1 << 20));
  ASSERT_OK_AND_ASSIGN(const RgbImage read, ReadPng(bytes));
  EXPECT_EQ(LargestDifference(read, image), 0);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1)
      << "a temporary file was left";
}

TEST(ImageIoTest, WritingReplacesTheOldFile) {
  const TempFolder folder;
  const std::string path = folder.Write("a.png", "old");

  ASSERT_OK(WritePngRgb(path, SoftImage(4, 4, 1)));

  ASSERT_OK_AND_ASSIGN(const std::string bytes, base::ReadFileBytes(path, 1 << 20));
  EXPECT_OK(ReadPng(bytes));
}

TEST(ImageIoTest, WritingSaysWhyItFails) {
  EXPECT_THAT(WritePngRgb("/nonexistent/a.png", SoftImage(4, 4, 1)),
              base::StatusIs(absl::StatusCode::kUnavailable, HasSubstr("/nonexistent/a.png")));
  EXPECT_THAT(WritePngRgb("/nonexistent/a.png", 4, 4, std::vector<uint8_t>(3)),
              base::StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(ImageIoTest, EveryKindOfPngBecomesRgb) {
  const RgbImage image = SoftImage(16, 12, 2);

  for (const PngKind kind :
       {PngKind::kRgb, PngKind::kPalette, PngKind::kRgba, PngKind::kRgb16, PngKind::kInterlaced}) {
    ASSERT_OK_AND_ASSIGN(const RgbImage read, DecodeImage(EncodePng(image, kind)));
    EXPECT_EQ(LargestDifference(read, image), 0) << "kind " << static_cast<int>(kind);
  }
  ASSERT_OK_AND_ASSIGN(const RgbImage grey, DecodeImage(EncodePng(image, PngKind::kGrey)));
  EXPECT_EQ(LargestDifference(grey, Grey(image)), 0);
}

TEST(ImageIoTest, OneBitGreyBecomesBlackAndWhite) {
  RgbImage image = PlainImage(9, 2, 0, 0, 0);
  for (size_t c = 0; c < 3; ++c) image.pixels[8 * 3 + c] = 255;

  ASSERT_OK_AND_ASSIGN(const RgbImage read, DecodeImage(EncodePng(image, PngKind::kGrey1Bit)));

  EXPECT_EQ(LargestDifference(read, image), 0);
}

TEST(ImageIoTest, TransparencyLiesOverWhite) {
  const RgbImage image = PlainImage(4, 4, 100, 0, 200);

  ASSERT_OK_AND_ASSIGN(const RgbImage half, DecodeImage(EncodePng(image, PngKind::kRgba, 51)));
  ASSERT_OK_AND_ASSIGN(const RgbImage none, DecodeImage(EncodePng(image, PngKind::kRgba, 0)));

  // A fifth of the colour and four fifths of white.
  EXPECT_EQ(LargestDifference(half, PlainImage(4, 4, 224, 204, 244)), 0);
  EXPECT_EQ(LargestDifference(none, PlainImage(4, 4, 255, 255, 255)), 0);
}

TEST(ImageIoTest, EveryKindOfJpegBecomesRgb) {
  const RgbImage image = SoftImage(48, 40, 2);

  for (const JpegKind kind :
       {JpegKind::kColour, JpegKind::kProgressive, JpegKind::kCmyk, JpegKind::kAdobeCmyk}) {
    ASSERT_OK_AND_ASSIGN(const RgbImage read, DecodeImage(EncodeJpeg(image, kind)));
    EXPECT_LT(LargestDifference(read, image), 14) << "kind " << static_cast<int>(kind);
  }
  ASSERT_OK_AND_ASSIGN(const RgbImage grey, DecodeImage(EncodeJpeg(image, JpegKind::kGrey)));
  EXPECT_LT(LargestDifference(grey, Grey(image)), 6);
}

TEST(ImageIoTest, DamageIsAnErrorEvenWhereDecodersOnlyWarn) {
  const RgbImage image = SoftImage(64, 64, 3);
  for (const std::string& whole :
       {EncodeJpeg(image), EncodeJpeg(image, JpegKind::kProgressive),
        EncodePng(image, PngKind::kRgb), EncodePng(image, PngKind::kInterlaced)}) {
    ASSERT_OK(DecodeImage(whole));
    for (size_t keep = 0; keep + 12 < whole.size(); keep += 1 + whole.size() / 40) {
      EXPECT_THAT(DecodeImage(whole.substr(0, keep)), base::StatusIs(absl::StatusCode::kDataLoss))
          << keep << " of " << whole.size() << " bytes";
    }
  }
}

TEST(ImageIoTest, AChangedByteInAPngIsNoticed) {
  std::string bytes = EncodePng(SoftImage(64, 64, 3), PngKind::kRgb);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);

  EXPECT_THAT(DecodeImage(bytes), base::StatusIs(absl::StatusCode::kDataLoss));
}

// Bytes changed at will must never crash a decoder; whether it notices does not matter.
TEST(ImageIoTest, ArbitraryDamageIsSurvived) {
  const RgbImage image = SoftImage(40, 40, 3);
  for (const std::string& whole :
       {EncodeJpeg(image), EncodeJpeg(image, JpegKind::kProgressive),
        EncodeJpeg(image, JpegKind::kAdobeCmyk), EncodePng(SoftImage(16, 16, 3), PngKind::kPalette),
        EncodePng(image, PngKind::kInterlaced)}) {
    uint32_t random = 12345;
    for (int round = 0; round < 300; ++round) {
      std::string bytes = whole;
      for (int change = 0; change < 3; ++change) {
        random = random * 1664525 + 1013904223;
        bytes[(random >> 8) % bytes.size()] = static_cast<char>(random);
      }
      const absl::StatusOr<RgbImage> read = DecodeImage(bytes);
      if (read.ok()) {
        EXPECT_EQ(read->pixels.size(),
                  static_cast<size_t>(read->width) * static_cast<size_t>(read->height) * 3);
      }
    }
  }
}

TEST(ImageIoTest, OtherFilesAreNoImages) {
  EXPECT_THAT(DecodeImage(""), base::StatusIs(absl::StatusCode::kDataLoss, HasSubstr("empty")));
  EXPECT_THAT(DecodeImage("GIF89a and more"),
              base::StatusIs(absl::StatusCode::kDataLoss,
                             HasSubstr("neither a JPEG nor a PNG or WebP, it begins like a GIF")));
  EXPECT_THAT(ReadPng(EncodeJpeg(SoftImage(4, 4, 1))), base::StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(ReadJpeg(EncodePng(SoftImage(4, 4, 1), PngKind::kRgb)),
              base::StatusIs(absl::StatusCode::kDataLoss));
}

TEST(ImageIoTest, HugePicturesAreRefusedByTheirHeader) {
  // The header of a small PNG, made to promise 16,384 x 16,384 pixels.
  std::string png = EncodePng(SoftImage(4, 4, 1), PngKind::kRgb);
  png.replace(16, 8, std::string("\x00\x00\x40\x00\x00\x00\x40\x00", 8));
  // The same for a JPEG: height and width stand five bytes behind the marker FFC0.
  std::string jpeg = EncodeJpeg(SoftImage(4, 4, 1));
  const size_t frame = jpeg.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  jpeg.replace(frame + 5, 4, "\x40\x01\x40\x01");
  std::string flat = EncodeJpeg(SoftImage(4, 4, 1));
  flat.replace(frame + 5, 4, "\x01\x01\x41\x01");

  EXPECT_THAT(DecodeImage(png),
              base::StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("16384x16384")));
  EXPECT_THAT(CheckImageHead(absl::string_view(png).substr(0, kImageHeadBytes)),
              base::StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(DecodeImage(jpeg),
              base::StatusIs(absl::StatusCode::kResourceExhausted,
                             AllOf(HasSubstr("256 million"), HasSubstr("16385x16385"))));
  EXPECT_THAT(DecodeImage(flat), base::StatusIs(absl::StatusCode::kDataLoss,
                                                HasSubstr("a line rather than a picture")));
}

TEST(ImageIoTest, AJpegBeyondTheLimitsIsDecodedSmaller) {
  const RgbImage image = PlainImage(16'400, 300, 10, 200, 90);

  ASSERT_OK_AND_ASSIGN(const RgbImage read, DecodeImage(EncodeJpeg(image)));

  EXPECT_EQ(read.reduced_by, 2);
  EXPECT_EQ(read.width, 8'200);
  EXPECT_EQ(read.height, 150);
  EXPECT_LT(LargestDifference(read, PlainImage(8'200, 150, 10, 200, 90)), 6);
}

TEST(ImageIoTest, LinesAreNoPictures) {
  EXPECT_THAT(DecodeImage(EncodePng(PlainImage(1, 65, 1, 2, 3), PngKind::kRgb)),
              base::StatusIs(absl::StatusCode::kDataLoss, HasSubstr("1x65")));
  EXPECT_OK(DecodeImage(EncodePng(PlainImage(1, 64, 1, 2, 3), PngKind::kRgb)));
  EXPECT_OK(DecodeImage(EncodePng(PlainImage(1, 1, 1, 2, 3), PngKind::kRgb)));
}

TEST(ImageIoTest, AProgressiveJpegThatNeedsTooMuchMemoryIsRefused) {
  // Its header is made to promise 16,000 x 16,000 pixels, all of whose coefficients a decoder of
  // progressive pictures has to keep.
  std::string jpeg = EncodeJpeg(SoftImage(16, 16, 1), JpegKind::kProgressive);
  const size_t frame = jpeg.find("\xff\xc2");
  ASSERT_NE(frame, std::string::npos);
  jpeg.replace(frame + 5, 4, "\x3e\x80\x3e\x80");

  EXPECT_THAT(DecodeImage(jpeg),
              base::StatusIs(absl::StatusCode::kResourceExhausted,
                             AllOf(HasSubstr("progressive"), HasSubstr("16000x16000"))));
}

TEST(ImageIoTest, WebpIsReadWithAndWithoutTransparency) {
  const RgbImage image = SoftImage(33, 17, 4);

  ASSERT_OK_AND_ASSIGN(const RgbImage opaque, DecodeImage(EncodeWebp(image)));
  EXPECT_EQ(LargestDifference(opaque, image), 0);
  ASSERT_OK_AND_ASSIGN(const RgbImage half,
                       DecodeImage(EncodeWebp(PlainImage(4, 4, 100, 0, 200), 51)));
  EXPECT_EQ(LargestDifference(half, PlainImage(4, 4, 224, 204, 244)), 0);
}

TEST(ImageIoTest, DamagedWebpIsAnErrorAndSurvived) {
  const std::string whole = EncodeWebp(SoftImage(40, 40, 3));
  for (size_t keep = 0; keep + 1 < whole.size(); keep += 1 + whole.size() / 60) {
    EXPECT_THAT(DecodeImage(whole.substr(0, keep)), base::StatusIs(absl::StatusCode::kDataLoss))
        << keep;
  }
  uint32_t random = 99;
  for (int round = 0; round < 1000; ++round) {
    std::string bytes = whole;
    for (int change = 0; change < 3; ++change) {
      random = random * 1664525 + 1013904223;
      bytes[(random >> 8) % bytes.size()] = static_cast<char>(random);
    }
    DecodeImage(bytes).IgnoreError();
  }
}

TEST(ImageIoTest, HeadsTellImagesFromOtherFiles) {
  EXPECT_OK(CheckImageHead(EncodeJpeg(SoftImage(4, 4, 1)).substr(0, kImageHeadBytes)));
  EXPECT_OK(CheckImageHead(EncodePng(SoftImage(4, 4, 1), PngKind::kRgb).substr(0, 32)));
  EXPECT_THAT(CheckImageHead(""), base::StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(CheckImageHead("\x89PNG\r\n\x1a\n"), base::StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(CheckImageHead("hello"), base::StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace gannet::image
