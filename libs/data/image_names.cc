#include "libs/data/image_names.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace gannet::data {
namespace {

constexpr absl::string_view kReadEndings[] = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp"};

// Pictures in formats that are not read.
constexpr absl::string_view kOtherPictures[] = {
    ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".ico", ".svg",
    ".jp2", ".j2k", ".jxl", ".ppm",  ".pgm",  ".pbm",  ".pnm",  ".tga", ".psd",
    ".xcf", ".exr", ".hdr", ".dds",  ".apng", ".mpo",  ".raw",  ".dng", ".cr2",
    ".cr3", ".nef", ".arw", ".orf",  ".rw2",  ".raf",  ".pef",  ".npy", ".npz"};

constexpr absl::string_view kArchives[] = {".zip", ".rar", ".7z",  ".tar",
                                           ".tgz", ".bz2", ".zst", ".xz"};

constexpr absl::string_view kVideos[] = {".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v"};

// Folders that file managers, storage boxes and file systems make for themselves.
constexpr absl::string_view kThumbnailFolders[] = {"@eadir", "__macosx"};
constexpr absl::string_view kWasteFolders[] = {
    "$recycle.bin", "#recycle",  "@recycle",
    "recycler",     "#snapshot", "@recently-snapshot",
    "lost+found",   "@tmp",      "system volume information"};
constexpr absl::string_view kManagersFiles[] = {"thumbs.db", "ehthumbs.db", "desktop.ini",
                                                "icon\r"};

template <typename Table>
bool IsIn(const Table& table, absl::string_view text) {
  return std::find(std::begin(table), std::end(table), text) != std::end(table);
}

// In small letters, with the dot; empty where there is none.
std::string EndingOf(absl::string_view name) {
  const size_t slash = name.rfind('/');
  if (slash != absl::string_view::npos) name.remove_prefix(slash + 1);
  const size_t dot = name.rfind('.');
  return dot == absl::string_view::npos ? "" : absl::AsciiStrToLower(name.substr(dot));
}

PassedOverKind Hidden() { return {"hidden", "names that begin with a dot are not read"}; }

}  // namespace

bool HasImageEnding(absl::string_view name) { return IsIn(kReadEndings, EndingOf(name)); }

std::string ImageEndingsText() {
  const std::vector<absl::string_view> all(std::begin(kReadEndings), std::end(kReadEndings));
  return absl::StrCat(absl::StrJoin(all.begin(), all.end() - 1, ", "), " or ", all.back());
}

PassedOverKind WhyFolderIsPassedOver(absl::string_view name) {
  if (absl::StartsWith(name, ".")) return Hidden();
  const std::string small = absl::AsciiStrToLower(name);
  if (IsIn(kThumbnailFolders, small)) {
    return {"thumbnails", "a folder that a file manager or storage box made for itself"};
  }
  if (IsIn(kWasteFolders, small)) {
    return {"waste", "a folder of deleted or old files"};
  }
  return {};
}

PassedOverKind WhyFileIsPassedOver(absl::string_view name) {
  if (absl::StartsWith(name, ".")) return Hidden();
  if (IsIn(kManagersFiles, absl::AsciiStrToLower(name))) {
    return {"thumbnails", "a file that a file manager made for itself"};
  }
  const std::string ending = EndingOf(name);
  if (IsIn(kReadEndings, ending)) return {};
  if (IsIn(kOtherPictures, ending)) {
    return {ending, "a format that is not read, convert it to JPEG or PNG"};
  }
  if (IsIn(kArchives, ending)) return {ending, "archives inside are not opened, unpack it"};
  if (IsIn(kVideos, ending)) return {ending, "films are not read, take single images out of it"};
  if (ending.empty()) {
    return {"without ending",
            absl::StrCat("only names that end in ", ImageEndingsText(), " are read as images")};
  }
  return {};
}

}  // namespace gannet::data
