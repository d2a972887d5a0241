#include "libs/data/own_output.h"

#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/atomic_file.h"
#include "libs/base/file_bytes.h"
#include "libs/base/status_macros.h"
#include "libs/data/image_names.h"

namespace gannet::data {
namespace {

namespace fs = std::filesystem;

// A PNG's signature and its first chunk, IHDR, which always has 13 bytes of content.
constexpr size_t kBeforeText = 8 + 4 + 4 + 13 + 4;

// The registered keyword for the program that made a picture, and which kind of picture it is.
constexpr absl::string_view kText("Software\0Gannet grid", 20);

std::string BigEndian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
  return bytes;
}

std::string TextChunk() {
  const std::string body = absl::StrCat("tEXt", kText);
  const auto sum =
      static_cast<uint32_t>(crc32(crc32(0, nullptr, 0), reinterpret_cast<const Bytef*>(body.data()),
                                  static_cast<uInt>(body.size())));
  return absl::StrCat(BigEndian(static_cast<uint32_t>(kText.size())), body, BigEndian(sum));
}

bool IsSomebodysImage(const fs::path& path) {
  if (!HasImageEnding(path.filename().string())) return false;
  const absl::StatusOr<base::FileHead> head = base::ReadFileHead(path.string(), kGridHeadBytes);
  return !head.ok() || !IsGridPng(head->bytes);
}

}  // namespace

absl::Status MarkOutputFolder(const std::string& folder) {
  const std::string marker = absl::StrCat(folder, "/", kOutputMarker);
  std::error_code error;
  if (fs::exists(marker, error)) return absl::OkStatus();
  fs::recursive_directory_iterator it(folder, fs::directory_options::skip_permission_denied, error);
  for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    if (!IsSomebodysImage(it->path())) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("folder for results holds images that are not Gannet's, choose one of its "
                     "own: ",
                     it->path().string()));
  }
  return base::WriteFileAtomically(
      marker,
      "# What is below this folder was drawn by Gannet and is no part of a data set around it.\n");
}

absl::StatusOr<std::string> EncodeGridPng(const image::RgbImage& grid) {
  GANNET_ASSIGN_OR_RETURN(std::string png,
                          image::EncodePngRgb(grid.width, grid.height, grid.pixels));
  png.insert(kBeforeText, TextChunk());
  return png;
}

absl::Status WriteGridPng(const std::string& path, const image::RgbImage& grid) {
  GANNET_ASSIGN_OR_RETURN(const std::string png, EncodeGridPng(grid));
  return base::WriteFileAtomically(path, png);
}

bool IsGridPng(absl::string_view head) {
  return absl::StartsWith(head, "\x89PNG\r\n\x1a\n") && head.size() > kBeforeText &&
         absl::StartsWith(head.substr(kBeforeText + 4), absl::StrCat("tEXt", kText));
}

PassedOverKind GridKind() {
  return {"grids of Gannet", "a preview or sample that was drawn by Gannet"};
}

PassedOverKind OutputFolderKind() {
  return {"results of Gannet", absl::StrCat("a folder with ", kOutputMarker, " in it")};
}

}  // namespace gannet::data
