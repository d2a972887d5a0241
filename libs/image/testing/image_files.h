#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/image/image_io.h"

namespace gannet::image {

// A folder of a test's own, removed with everything in it.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::string& path() const { return path_; }

  // Writes a file below the folder, with the folders on the way, and returns its path.
  std::string Write(const std::string& name, absl::string_view bytes) const;

 private:
  std::string path_;
};

// A picture of one colour.
RgbImage PlainImage(int width, int height, uint8_t red, uint8_t green, uint8_t blue);

// A soft picture without sharp edges, other for every `variant`: what JPEG keeps well.
RgbImage SoftImage(int width, int height, int variant);

enum class JpegKind { kColour, kGrey, kCmyk, kAdobeCmyk, kProgressive };

// The picture as a JPEG of quality 95; kGrey keeps the green channel only.
std::string EncodeJpeg(const RgbImage& image, JpegKind kind = JpegKind::kColour);

enum class PngKind { kRgb, kGrey, kGrey1Bit, kPalette, kRgba, kRgb16, kInterlaced };

// The picture as a PNG. kGrey and kGrey1Bit keep the green channel, kPalette has at most 256
// colours in it; kRgba takes `alpha` for every pixel.
std::string EncodePng(const RgbImage& image, PngKind kind, uint8_t alpha = 255);

// The picture as a lossless WebP; `alpha` for every pixel.
std::string EncodeWebp(const RgbImage& image, uint8_t alpha = 255);

// An EXIF block (TIFF) that says nothing but the orientation.
std::string ExifBlock(int orientation, bool big_endian = true);

// The JPEG with such a block before its picture, as a camera writes it.
std::string WithExif(const std::string& jpeg, const std::string& block);

}  // namespace gannet::image
