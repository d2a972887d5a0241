#include "libs/image/exif.h"

#include <cstddef>
#include <cstdint>

#include "absl/strings/strip.h"

namespace gannet::image {
namespace {

constexpr int kUpright = 1;
constexpr uint32_t kOrientationTag = 0x0112;
constexpr uint32_t kShortType = 3;
constexpr size_t kEntryBytes = 12;
constexpr absl::string_view kExifName("Exif\0\0", 6);

// An unsigned number of `count` bytes at `at`; 0 where the bytes end before.
uint32_t Number(absl::string_view bytes, size_t at, size_t count, bool big_endian) {
  if (at > bytes.size() || count > bytes.size() - at) return 0;
  uint32_t value = 0;
  for (size_t i = 0; i < count; ++i) {
    const size_t k = big_endian ? i : count - 1 - i;
    value = value << 8 | static_cast<uint8_t>(bytes[at + k]);
  }
  return value;
}

// The data of the first chunk of that name, where each has its length before or behind its name;
// empty: none.
struct ChunkForm {
  size_t start;       // of the first chunk in the file
  bool length_first;  // PNG; RIFF has the name first
  size_t tail;        // bytes behind the data (PNG: its checksum)
  bool padded;        // to an even length (RIFF)
};

absl::string_view FindChunk(absl::string_view bytes, absl::string_view name,
                            const ChunkForm& form) {
  constexpr size_t kHead = 8;
  size_t at = form.start;
  while (at <= bytes.size() && bytes.size() - at >= kHead) {
    const uint32_t length = Number(bytes, form.length_first ? at : at + 4, 4, form.length_first);
    const absl::string_view own = bytes.substr(form.length_first ? at + 4 : at, 4);
    if (length > bytes.size() - at - kHead) return {};
    if (own == name) return bytes.substr(at + kHead, length);
    at += kHead + length + (form.padded ? length % 2 : 0) + form.tail;
  }
  return {};
}

}  // namespace

int TiffOrientation(absl::string_view tiff) {
  const absl::string_view order = tiff.substr(0, 2);
  if (order != "II" && order != "MM") return kUpright;
  const bool big_endian = order == "MM";
  if (Number(tiff, 2, 2, big_endian) != 42) return kUpright;
  const size_t directory = Number(tiff, 4, 4, big_endian);
  if (directory < 8) return kUpright;
  const size_t count = Number(tiff, directory, 2, big_endian);
  for (size_t i = 0; i < count; ++i) {
    const size_t entry = directory + 2 + i * kEntryBytes;
    if (entry > tiff.size() || kEntryBytes > tiff.size() - entry) return kUpright;
    if (Number(tiff, entry, 2, big_endian) != kOrientationTag) continue;
    const uint32_t value = Number(tiff, entry + 8, 2, big_endian);
    const bool is_sound = Number(tiff, entry + 2, 2, big_endian) == kShortType &&
                          Number(tiff, entry + 4, 4, big_endian) == 1 && value >= 1 && value <= 8;
    return is_sound ? static_cast<int>(value) : kUpright;
  }
  return kUpright;
}

int JpegOrientation(absl::string_view bytes) {
  constexpr uint8_t kStartOfScan = 0xda, kEndOfImage = 0xd9, kApp1 = 0xe1, kFill = 0xff;
  size_t at = 2;  // behind the start of the image
  while (at < bytes.size() && bytes.size() - at >= 4) {
    if (static_cast<uint8_t>(bytes[at]) != 0xff) return kUpright;
    const auto marker = static_cast<uint8_t>(bytes[at + 1]);
    if (marker == kFill) {
      ++at;
      continue;
    }
    if (marker == kStartOfScan || marker == kEndOfImage) return kUpright;
    const size_t length = Number(bytes, at + 2, 2, true);  // with its own two bytes
    if (length < 2 || length > bytes.size() - at - 2) return kUpright;
    absl::string_view segment = bytes.substr(at + 4, length - 2);
    if (marker == kApp1 && absl::ConsumePrefix(&segment, kExifName)) {
      return TiffOrientation(segment);
    }
    at += 2 + length;
  }
  return kUpright;
}

int PngOrientation(absl::string_view bytes) {
  return TiffOrientation(
      FindChunk(bytes, "eXIf", {.start = 8, .length_first = true, .tail = 4, .padded = false}));
}

int WebpOrientation(absl::string_view bytes) {
  absl::string_view exif =
      FindChunk(bytes, "EXIF", {.start = 12, .length_first = false, .tail = 0, .padded = true});
  absl::ConsumePrefix(&exif, kExifName);  // some writers take a JPEG's block as it is
  return TiffOrientation(exif);
}

}  // namespace gannet::image
