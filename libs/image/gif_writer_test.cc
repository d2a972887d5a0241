#include "libs/image/gif_writer.h"

#include <gif_lib.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/image/image_grid.h"
#include "libs/image/testing/image_files.h"

namespace gannet::image {
namespace {

struct Input {
  absl::string_view bytes;
  size_t position = 0;
};

int ReadInput(GifFileType* gif, GifByteType* out, int count) {
  auto* input = static_cast<Input*>(gif->UserData);
  const size_t got = std::min(static_cast<size_t>(count), input->bytes.size() - input->position);
  std::memcpy(out, input->bytes.data() + input->position, got);
  input->position += got;
  return static_cast<int>(got);
}

struct DecodedGif {
  std::vector<RgbImage> frames;
  std::vector<int> delays;
};

DecodedGif Decode(const std::string& bytes) {
  DecodedGif out;
  Input input{bytes};
  int error = 0;
  GifFileType* gif = DGifOpen(&input, ReadInput, &error);
  EXPECT_NE(gif, nullptr);
  EXPECT_EQ(DGifSlurp(gif), GIF_OK);
  for (int i = 0; i < gif->ImageCount; ++i) {
    const SavedImage& saved = gif->SavedImages[i];
    RgbImage frame{saved.ImageDesc.Width, saved.ImageDesc.Height, {}};
    for (int p = 0; p < frame.width * frame.height; ++p) {
      const GifColorType c = saved.ImageDesc.ColorMap->Colors[saved.RasterBits[p]];
      frame.pixels.insert(frame.pixels.end(), {c.Red, c.Green, c.Blue});
    }
    out.frames.push_back(std::move(frame));
    GraphicsControlBlock control;
    EXPECT_EQ(DGifSavedExtensionToGCB(gif, i, &control), GIF_OK);
    out.delays.push_back(control.DelayTime);
  }
  DGifCloseFile(gif, &error);
  return out;
}

// Sixteen soft pictures of four kinds side by side: more colours than a palette holds.
RgbImage ColourfulGrid(int first) {
  std::vector<uint8_t> planar;
  for (int i = 0; i < 16; ++i) {
    const RgbImage image = SoftImage(32, 32, first + i % 4);
    for (size_t channel = 0; channel < 3; ++channel) {
      for (size_t p = 0; p < 32 * 32; ++p) planar.push_back(image.pixels[p * 3 + channel]);
    }
  }
  return *MakeImageGrid(absl::Span<const uint8_t>(planar), 32, {.columns = 4});
}

TEST(GifWriterTest, FramesDelaysAndTheLoopAreWritten) {
  const std::vector<RgbImage> frames = {PlainImage(6, 4, 10, 20, 30), PlainImage(6, 4, 0, 0, 0),
                                        PlainImage(6, 4, 255, 255, 255)};

  ASSERT_OK_AND_ASSIGN(
      const std::string bytes,
      EncodeGif(frames, {.delay_centiseconds = 7, .last_delay_centiseconds = 300}));

  EXPECT_EQ(bytes.substr(0, 6), "GIF89a");
  EXPECT_NE(bytes.find(std::string("NETSCAPE2.0\x03\x01\x00\x00\x00", 16)), std::string::npos);
  const DecodedGif gif = Decode(bytes);
  EXPECT_THAT(gif.delays, testing::ElementsAre(7, 7, 300));
  for (size_t i = 0; i < frames.size(); ++i) EXPECT_EQ(gif.frames[i].pixels, frames[i].pixels);
}

TEST(GifWriterTest, ScaleRepeatsPixels) {
  RgbImage frame = PlainImage(2, 1, 0, 0, 0);
  frame.pixels[3] = 200;

  ASSERT_OK_AND_ASSIGN(const std::string bytes, EncodeGif({frame}, {.scale = 3}));

  const DecodedGif gif = Decode(bytes);
  ASSERT_EQ(gif.frames[0].width, 6);
  ASSERT_EQ(gif.frames[0].height, 3);
  for (size_t p = 0; p < 18; ++p) EXPECT_EQ(gif.frames[0].pixels[p * 3], p % 6 < 3 ? 0 : 200);
}

TEST(GifWriterTest, FewColoursAreExact) {
  RgbImage frame = PlainImage(16, 16, 0, 0, 0);
  for (size_t i = 0; i < 256; ++i) {
    // 64 colours that differ in their upper six bits.
    frame.pixels[i * 3] = static_cast<uint8_t>(i % 8 * 30);
    frame.pixels[i * 3 + 2] = static_cast<uint8_t>(i / 8 % 8 * 36);
  }

  ASSERT_OK_AND_ASSIGN(const std::string bytes, EncodeGif({frame}));

  EXPECT_EQ(Decode(bytes).frames[0].pixels, frame.pixels);
}

TEST(GifWriterTest, ManyColoursAreKeptOnAverage) {
  const RgbImage grid = ColourfulGrid(0);

  ASSERT_OK_AND_ASSIGN(const std::string bytes, EncodeGif({grid}));

  const RgbImage decoded = Decode(bytes).frames[0];
  double difference = 0;
  double bias = 0;
  for (size_t i = 0; i < grid.pixels.size(); ++i) {
    difference += std::abs(decoded.pixels[i] - grid.pixels[i]);
    bias += decoded.pixels[i] - grid.pixels[i];
  }
  const double values = static_cast<double>(grid.pixels.size());
  EXPECT_LT(difference / values, 6.0);
  EXPECT_LT(std::abs(bias / values), 0.5) << "dithering keeps the average";
  for (int x = 0; x < grid.width * 3; ++x) {
    EXPECT_EQ(decoded.pixels[static_cast<size_t>(x)], 0) << "padding stays black";
  }
}

TEST(GifWriterTest, EveryFrameHasItsOwnPalette) {
  RgbImage reds = PlainImage(64, 64, 0, 0, 0);
  RgbImage blues = reds;
  for (size_t i = 0; i < 64 * 64; ++i) {
    reds.pixels[i * 3] = static_cast<uint8_t>(i % 64 * 4);
    blues.pixels[i * 3 + 2] = static_cast<uint8_t>(i % 64 * 4);
  }

  ASSERT_OK_AND_ASSIGN(const std::string bytes, EncodeGif({reds, blues}));

  const DecodedGif gif = Decode(bytes);
  EXPECT_EQ(gif.frames[0].pixels, reds.pixels);
  EXPECT_EQ(gif.frames[1].pixels, blues.pixels);
}

TEST(GifWriterTest, FilesAreWrittenWhole) {
  const TempFolder folder;

  ASSERT_OK(WriteGif(folder.path() + "/a.gif", {ColourfulGrid(0), ColourfulGrid(16)}));

  EXPECT_GT(std::filesystem::file_size(folder.path() + "/a.gif"), 1000u);
  EXPECT_THAT(WriteGif("/nonexistent/a.gif", {ColourfulGrid(0)}),
              base::StatusIs(absl::StatusCode::kUnavailable));
}

TEST(GifWriterTest, WrongInputIsRefused) {
  const auto refused = base::StatusIs(absl::StatusCode::kInvalidArgument);
  const RgbImage frame = PlainImage(4, 4, 1, 2, 3);
  RgbImage short_frame = frame;
  short_frame.pixels.pop_back();

  EXPECT_THAT(EncodeGif({}), refused);
  EXPECT_THAT(EncodeGif({frame, PlainImage(4, 5, 1, 2, 3)}), refused);
  EXPECT_THAT(EncodeGif({short_frame}), refused);
  EXPECT_THAT(EncodeGif({frame}, {.scale = 0}), refused);
  EXPECT_THAT(EncodeGif({frame}, {.scale = 20'000}), refused);
  EXPECT_THAT(EncodeGif({frame}, {.delay_centiseconds = 70'000}), refused);
}

}  // namespace
}  // namespace gannet::image
