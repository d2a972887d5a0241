#include "libs/data/zip_start.h"

#include <algorithm>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace gannet::data {
namespace {

// Records at the end of an archive, as PKWARE's APPNOTE 4.3 defines them.
constexpr absl::string_view kEndSignature("PK\x05\x06", 4);
constexpr absl::string_view kEnd64Signature("PK\x06\x06", 4);
constexpr absl::string_view kLocator64Signature("PK\x06\x07", 4);
constexpr absl::string_view kEntrySignature("PK\x01\x02", 4);
constexpr size_t kEndBytes = 22;
constexpr size_t kEnd64Bytes = 56;
constexpr size_t kLocator64Bytes = 20;
constexpr size_t kMaxCommentBytes = 0xffff;
constexpr uint64_t kInEnd64 = 0xffff'ffff;  // the true value is in the 64-bit record

uint64_t LittleEndian(absl::string_view bytes, size_t at, size_t count) {
  uint64_t value = 0;
  for (size_t i = count; i-- > 0;) {
    value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  }
  return value;
}

std::string BytesAt(std::ifstream& in, uint64_t at, size_t count) {
  std::string bytes(count, '\0');
  in.clear();
  in.seekg(static_cast<std::streamoff>(at));
  in.read(bytes.data(), static_cast<std::streamsize>(count));
  bytes.resize(static_cast<size_t>(std::max<std::streamsize>(0, in.gcount())));
  return bytes;
}

}  // namespace

int64_t ZipStart(const std::string& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = in ? static_cast<std::streamoff>(in.tellg()) : 0;
  if (size < static_cast<std::streamoff>(kEndBytes)) return 0;
  const size_t tail_bytes = std::min(static_cast<size_t>(size),
                                     kMaxCommentBytes + kEndBytes + kLocator64Bytes + kEnd64Bytes);
  const uint64_t tail_at = static_cast<uint64_t>(size) - tail_bytes;
  const std::string tail = BytesAt(in, tail_at, tail_bytes);
  const size_t end = absl::string_view(tail).rfind(kEndSignature);
  if (end == std::string::npos || end + kEndBytes > tail.size()) return 0;
  uint64_t directory_end = tail_at + end;
  uint64_t bytes = LittleEndian(tail, end + 12, 4);
  uint64_t offset = LittleEndian(tail, end + 16, 4);
  if (bytes == kInEnd64 || offset == kInEnd64) {
    if (end < kLocator64Bytes + kEnd64Bytes) return 0;
    const size_t end64 = end - kLocator64Bytes - kEnd64Bytes;
    const absl::string_view rest = absl::string_view(tail).substr(end64);
    if (!absl::StartsWith(rest, kEnd64Signature) ||
        !absl::StartsWith(rest.substr(kEnd64Bytes), kLocator64Signature)) {
      return 0;
    }
    directory_end = tail_at + end64;
    bytes = LittleEndian(rest, 40, 8);
    offset = LittleEndian(rest, 48, 8);
  }
  if (bytes > directory_end || offset > directory_end - bytes) return 0;
  const uint64_t start = directory_end - bytes - offset;
  // Without an entry there is nothing to compare with, and nothing to read.
  if (start == 0 || BytesAt(in, start + offset, kEntrySignature.size()) != kEntrySignature)
    return 0;
  return static_cast<int64_t>(start);
}

}  // namespace gannet::data
