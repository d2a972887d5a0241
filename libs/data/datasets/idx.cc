#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/hex.h"
#include "libs/base/printable.h"
#include "libs/base/sha256.h"
#include "libs/base/status_macros.h"
#include "libs/data/dataset_kind.h"
#include "libs/data/image_request.h"
#include "libs/image/image_io.h"
#include "libs/image/resize.h"

namespace gannet::data {
namespace {

namespace fs = std::filesystem;

// Three times the largest well-known set of this format (EMNIST, 814,255 images of 28x28).
constexpr int64_t kMaxIdxBytes = int64_t{2} << 30;
constexpr int kMaxIdxSide = 4096;

// Of a name in a message.
constexpr size_t kShownNameChars = 100;

// A file of unsigned bytes with `dimensions.size()` dimensions.
struct IdxFile {
  std::vector<int64_t> dimensions;
  std::vector<uint8_t> values;
  std::string digest;  // SHA-256 of the uncompressed file
};

struct GzClose {
  void operator()(gzFile file) const { gzclose(file); }
};
using GzHandle = std::unique_ptr<std::remove_pointer_t<gzFile>, GzClose>;

absl::Status Damaged(absl::string_view what, const std::string& path) {
  return absl::FailedPreconditionError(absl::StrCat("idx file is damaged (", what, "): ", path));
}

// Reads exactly out.size() bytes.
absl::Status GzReadAll(gzFile file, absl::Span<uint8_t> out, const std::string& path) {
  while (!out.empty()) {
    const unsigned want = static_cast<unsigned>(std::min<size_t>(out.size(), 1 << 20));
    const int got = gzread(file, out.data(), want);
    if (got < 0) {
      int code = 0;
      return Damaged(gzerror(file, &code), path);
    }
    if (got == 0) return Damaged("cut short", path);
    out.remove_prefix(static_cast<size_t>(got));
  }
  return absl::OkStatus();
}

absl::StatusOr<IdxFile> ReadIdxFile(const std::string& path, size_t dimension_count) {
  // Also reads files that are not compressed.
  const GzHandle file(gzopen(path.c_str(), "rb"));
  if (file == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat("idx file cannot be opened: ", path));
  }
  gzbuffer(file.get(), 1 << 17);
  std::vector<uint8_t> header(4 + 4 * dimension_count);
  const absl::Span<uint8_t> magic = absl::MakeSpan(header).first(4);
  GANNET_RETURN_IF_ERROR(GzReadAll(file.get(), magic, path));
  if (header[0] != 0 || header[1] != 0 || header[2] != 8 || header[3] != dimension_count) {
    return absl::FailedPreconditionError(absl::StrCat(
        "not an idx file of unsigned bytes with ", dimension_count,
        " dimensions: expected the first bytes 00 00 08 0", dimension_count, ", got ",
        base::HexEncode({reinterpret_cast<const char*>(header.data()), 4}), ": ", path));
  }
  GANNET_RETURN_IF_ERROR(GzReadAll(file.get(), absl::MakeSpan(header).subspan(4), path));
  IdxFile idx;
  int64_t bytes = 1;
  for (size_t d = 0; d < dimension_count; ++d) {
    int64_t length = 0;
    for (size_t i = 0; i < 4; ++i) length = length << 8 | header[4 + 4 * d + i];
    // Divides first, so that no product overflows.
    bytes = length > kMaxIdxBytes / bytes ? kMaxIdxBytes + 1 : bytes * std::max<int64_t>(length, 1);
    if (bytes > kMaxIdxBytes || (d > 0 && (length == 0 || length > kMaxIdxSide))) {
      return absl::FailedPreconditionError(absl::StrCat("idx file declares images larger than ",
                                                        kMaxIdxSide, " pixels a side or more than ",
                                                        kMaxIdxBytes, " bytes in all: ", path));
    }
    idx.dimensions.push_back(length);
  }
  if (idx.dimensions[0] == 0) {
    return absl::FailedPreconditionError(absl::StrCat("idx file holds nothing: ", path));
  }
  // Grows with what is really there: a header may promise gigabytes that never come.
  base::Sha256Hasher hasher;
  hasher.Update({reinterpret_cast<const char*>(header.data()), header.size()});
  while (static_cast<int64_t>(idx.values.size()) < bytes) {
    const size_t old = idx.values.size();
    const size_t more = std::min<size_t>(static_cast<size_t>(bytes) - old, 16 << 20);
    idx.values.resize(old + more);
    const absl::Span<uint8_t> part = absl::MakeSpan(idx.values).subspan(old);
    GANNET_RETURN_IF_ERROR(GzReadAll(file.get(), part, path));
    hasher.Update({reinterpret_cast<const char*>(part.data()), part.size()});
  }
  // Reading to the end also compares gzip's checksum.
  uint8_t beyond = 0;
  const int rest = gzread(file.get(), &beyond, 1);
  if (rest > 0) return Damaged("longer than its header says", path);
  int code = Z_OK;
  const char* reason = gzerror(file.get(), &code);
  if (rest < 0 || (code != Z_OK && code != Z_STREAM_END)) return Damaged(reason, path);
  idx.digest = base::HexEncode(hasher.Finish());
  return idx;
}

// MNIST/raw, as torchvision makes it, is two folders below what people point at.
constexpr int kMaxFolderDepth = 3;
// Folders that are looked into before it is given up.
constexpr int kMaxFolders = 1000;
constexpr size_t kShownFiles = 8;

// A file name in one spelling: small letters, without .gz, dots and underlines as hyphens. What is
// usual for MNIST's files: train-images-idx3-ubyte (as published), train-images.idx3-ubyte (as some
// archives unpack it), emnist-letters-train-images-idx3-ubyte.gz.
std::string OneSpelling(absl::string_view name) {
  std::string spelling = absl::AsciiStrToLower(name);
  if (absl::EndsWith(spelling, ".gz")) spelling.resize(spelling.size() - 3);
  for (char& c : spelling) {
    if (c == '.' || c == '_') c = '-';
  }
  return spelling;
}

constexpr absl::string_view kImagesEnding = "images-idx3-ubyte";
constexpr absl::string_view kLabelsEnding = "labels-idx1-ubyte";

// The regular files in a folder whose names are `spelling` or end in it, each one once: plain
// rather than compressed. By name.
std::vector<std::string> FilesSpelled(const fs::path& folder, absl::string_view spelling) {
  std::map<std::string, std::string> found;
  std::error_code error;
  fs::directory_iterator it(folder, error);
  for (; !error && it != fs::directory_iterator(); it.increment(error)) {
    const std::string name = it->path().filename().string();
    const std::string own = OneSpelling(name);
    std::error_code ignored;
    if (name.front() == '.' || !absl::EndsWith(own, spelling) || !it->is_regular_file(ignored)) {
      continue;
    }
    std::string& file = found[own];
    if (file.empty() || name.size() < fs::path(file).filename().string().size()) {
      file = it->path().string();
    }
  }
  std::vector<std::string> files;
  for (auto& [own, file] : found) files.push_back(std::move(file));
  return files;
}

// The folders in these, by name.
std::vector<fs::path> FoldersIn(const std::vector<fs::path>& folders) {
  std::vector<fs::path> inner;
  for (const fs::path& folder : folders) {
    std::error_code error;
    fs::directory_iterator it(folder, error);
    for (; !error && it != fs::directory_iterator(); it.increment(error)) {
      std::error_code ignored;
      if (it->path().filename().string().front() == '.' || it->is_symlink(ignored)) continue;
      if (it->is_directory(ignored)) inner.push_back(it->path());
    }
  }
  std::sort(inner.begin(), inner.end());
  if (inner.size() > kMaxFolders) inner.resize(kMaxFolders);
  return inner;
}

// The images file that `path` means: of those in a folder the one for training.
absl::StatusOr<std::string> FindImagesFile(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) {
    return absl::NotFoundError(absl::StrCat("idx data set does not exist: ", path));
  }
  if (!fs::is_directory(status)) return path;
  std::vector<fs::path> folders = {path};
  for (int depth = 0; depth < kMaxFolderDepth; ++depth, folders = FoldersIn(folders)) {
    std::vector<std::string> all, train;
    for (const fs::path& folder : folders) {
      for (std::string& file : FilesSpelled(folder, kImagesEnding)) {
        if (absl::StrContains(OneSpelling(fs::path(file).filename().string()), "train")) {
          train.push_back(file);
        }
        all.push_back(std::move(file));
      }
    }
    const std::vector<std::string>& files = train.empty() ? all : train;
    if (files.size() == 1) return files[0];
    if (files.empty()) continue;
    const size_t shown = std::min(files.size(), kShownFiles);
    return absl::FailedPreconditionError(absl::StrCat(
        "folder holds ", files.size(), " files of images, name one of them by data.path: ",
        absl::StrJoin(files.begin(), files.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
        shown < files.size() ? ", …" : ""));
  }
  return absl::NotFoundError(absl::StrCat(
      "folder holds no train-images-idx3-ubyte (or .idx3-ubyte, or either with .gz), nor do the "
      "folders in it: ",
      path));
}

// The labels file that belongs to an images file: in the same folder, or, where an archive made a
// folder of the name of each file, in the one beside that.
// Returns: NOT_FOUND - none, saying what was looked for.
absl::StatusOr<std::string> FindLabelsFile(const std::string& images) {
  const fs::path path = fs::path(images).lexically_normal();
  const std::string name = path.filename().string();
  std::string spelling = OneSpelling(name);
  if (!absl::EndsWith(spelling, kImagesEnding)) {
    return absl::NotFoundError(absl::StrCat("the name of ", base::Printable(name, kShownNameChars),
                                            " does not end in images-idx3-ubyte, so that of its "
                                            "labels is not known"));
  }
  spelling.resize(spelling.size() - kImagesEnding.size());
  absl::StrAppend(&spelling, kLabelsEnding);
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  std::vector<fs::path> folders = {folder};
  if (OneSpelling(folder.filename().string()) == OneSpelling(name)) {
    for (const fs::path& beside : FoldersIn({folder / ".."})) {
      if (OneSpelling(beside.filename().string()) == spelling) folders.push_back(beside);
    }
  }
  for (const fs::path& place : folders) {
    for (const std::string& file : FilesSpelled(place, spelling)) {
      if (OneSpelling(fs::path(file).filename().string()) == spelling) return file;
    }
  }
  return absl::NotFoundError(absl::StrCat("there is no ", spelling, " beside the images"));
}

// One label for each image.
absl::StatusOr<std::vector<uint8_t>> ReadLabels(const std::string& images_path,
                                                int64_t image_count) {
  GANNET_ASSIGN_OR_RETURN(const std::string path, FindLabelsFile(images_path));
  GANNET_ASSIGN_OR_RETURN(IdxFile file, ReadIdxFile(path, 1));
  if (file.dimensions[0] != image_count) {
    return absl::FailedPreconditionError(
        absl::StrCat("labels and images differ in number: ", file.dimensions[0], " labels, ",
                     image_count, " images: ", path));
  }
  return std::move(file.values);
}

class IdxDataset final : public Dataset {
 public:
  IdxDataset(IdxFile images, absl::StatusOr<std::vector<uint8_t>> labels, int image_size,
             DatasetFingerprint fingerprint)
      : images_(std::move(images)),
        labels_problem_(labels.status().message()),
        labels_(labels.ok() ? *std::move(labels) : std::vector<uint8_t>()),
        image_size_(image_size),
        fingerprint_(std::move(fingerprint)) {}

  int64_t size() const override { return images_.dimensions[0]; }
  const DatasetFingerprint& fingerprint() const override { return fingerprint_; }
  std::string NameOf(int64_t index) const override { return absl::StrCat("image ", index); }

  absl::Status ReadRgb(int64_t index, absl::Span<uint8_t> out) const override {
    GANNET_RETURN_IF_ERROR(CheckImageRequest(index, size(), image_size_, out.size()));
    image::RgbImage image;
    image.height = static_cast<int>(images_.dimensions[1]);
    image.width = static_cast<int>(images_.dimensions[2]);
    const size_t pixels = static_cast<size_t>(images_.dimensions[1] * images_.dimensions[2]);
    const uint8_t* grey = images_.values.data() + static_cast<size_t>(index) * pixels;
    image.pixels.resize(pixels * 3);
    for (size_t i = 0; i < pixels; ++i) {
      std::fill_n(image.pixels.begin() + static_cast<std::ptrdiff_t>(3 * i), 3, grey[i]);
    }
    image::ResizeAndCrop(image, image_size_, out);
    return absl::OkStatus();
  }

  bool has_labels() const override { return !labels_.empty(); }
  std::string labels_problem() const override { return labels_problem_; }

  int64_t LabelOf(int64_t index) const override {
    if (index < 0 || static_cast<size_t>(index) >= labels_.size()) return 0;
    return labels_[static_cast<size_t>(index)];
  }

 private:
  const IdxFile images_;
  const std::string labels_problem_;
  const std::vector<uint8_t> labels_;
  const int image_size_;
  const DatasetFingerprint fingerprint_;
};

absl::StatusOr<std::unique_ptr<Dataset>> Open(const DatasetOptions& options) {
  GANNET_ASSIGN_OR_RETURN(const std::string path, FindImagesFile(options.path));
  GANNET_ASSIGN_OR_RETURN(IdxFile images, ReadIdxFile(path, 3));
  absl::StatusOr<std::vector<uint8_t>> labels = ReadLabels(path, images.dimensions[0]);
  DatasetFingerprint fingerprint;
  fingerprint.kind = "idx";
  fingerprint.image_count = images.dimensions[0];
  fingerprint.digest = images.digest;
  fingerprint.description =
      absl::StrCat(images.dimensions[0], " grey images of ", images.dimensions[2], "x",
                   images.dimensions[1], " pixels in ", path);
  return std::make_unique<IdxDataset>(std::move(images), std::move(labels), options.image_size,
                                      std::move(fingerprint));
}

}  // namespace

// MNIST's format (http://yann.lecun.com/exdb/mnist describes it), plain or gzip: grey images of one
// size in one file, which is held in memory, uncompressed. Grey becomes RGB. The path is the images
// file, or a folder that holds, itself or up to two folders below, one for training:
// train-images-idx3-ubyte(.gz), train-images.idx3-ubyte, emnist-letters-train-images-idx3-ubyte and
// so on. Labels come from the labels file beside it, if any; an image is known by its position. The
// digest is of the uncompressed images file.
const DatasetKind datasets::idx = {.open = Open};

}  // namespace gannet::data
