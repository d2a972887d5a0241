#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace gannet::image {

// Limits that a picture's header is held to before anything is allocated for it: what the picture
// of a camera needs, and a bound for a file that was made to exhaust memory. (docs/data.md names
// them.)
inline constexpr int kMaxImageSide = 16'384;
inline constexpr int64_t kMaxImagePixels = 64'000'000;
inline constexpr int64_t kMaxImageFileBytes = int64_t{256} << 20;
// A JPEG may be larger, because it can be decoded at a half, a quarter or an eighth of its size.
inline constexpr int64_t kMaxJpegPixels = 256'000'000;
// What the decoder of a JPEG may hold: one row of blocks, but for a progressive one all of them.
inline constexpr int64_t kMaxJpegDecoderBytes = int64_t{512} << 20;
// The longer side of a picture has at most so many times the pixels of the shorter one.
inline constexpr int kMaxImageAspect = 64;

// An 8-bit RGB picture, interleaved, rows from top to bottom without padding.
struct RgbImage {
  int width = 0;
  int height = 0;
  std::vector<uint8_t> pixels;  // width * height * 3
  // Each pixel stands for the square of so many pixels a side that the file has.
  int reduced_by = 1;
};

// Decodes a PNG: palette and grey become RGB, 16-bit samples are rounded to 8, transparent pixels
// are laid over white. Gamma and colour profiles are ignored. All arithmetic is on integers, so the
// same libpng gives the same bits on every machine.
// Returns: DATA_LOSS - not a PNG, damaged or cut short; RESOURCE_EXHAUSTED - larger than the
// limits.
absl::StatusOr<RgbImage> ReadPng(absl::string_view bytes);

// Decodes a JPEG: grey and CMYK (also inverted, as Adobe writes it) become RGB. One with more than
// kMaxImagePixels or a side above kMaxImageSide is decoded at 1/2, 1/4 or 1/8 of its size, the
// first that is small enough. The slow integer DCT (JDCT_ISLOW) and the fancy upsampling are set
// explicitly: in libjpeg-turbo they have the same bits with and without SIMD, which the fast and
// the float ones do not. Returns: DATA_LOSS - not a JPEG, damaged or cut short (libjpeg would only
// warn and leave the rest grey); RESOURCE_EXHAUSTED - larger than the limits, or more scans than
// any real picture.
absl::StatusOr<RgbImage> ReadJpeg(absl::string_view bytes);

// Decodes a JPEG, PNG or WebP, told apart by its first bytes, whatever its name ends in, and turns
// it as its EXIF note says, so that it is upright as in any viewer.
// Returns: what ReadPng and ReadJpeg return; DATA_LOSS - none of the three.
absl::StatusOr<RgbImage> DecodeImage(absl::string_view bytes);

// Whether `head`, the first bytes of a file (kImageHeadBytes or the whole file if it is shorter),
// begins like a JPEG, WebP or PNG whose size is allowed. The sizes of the first two stand too far
// behind to be seen here.
// Returns: DATA_LOSS or RESOURCE_EXHAUSTED with the reason.
inline constexpr int kImageHeadBytes = 32;
absl::Status CheckImageHead(absl::string_view head);

// Writes a PNG. It appears under `path` whole or not at all (temporary file in the same folder,
// then rename). Returns: INVALID_ARGUMENT - `rgb` is not width * height * 3 values; UNAVAILABLE -
// the file cannot be written, with the system's reason.
absl::Status WritePngRgb(const std::string& path, int width, int height,
                         absl::Span<const uint8_t> rgb);
absl::Status WritePngRgb(const std::string& path, const RgbImage& image);

// The bytes of the PNG that WritePngRgb writes.
absl::StatusOr<std::string> EncodePngRgb(int width, int height, absl::Span<const uint8_t> rgb);

}  // namespace gannet::image
