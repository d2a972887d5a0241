#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/base/file_bytes.h"
#include "libs/base/status_macros.h"
#include "libs/data/image_io.h"
#include "libs/data/image_names.h"
#include "libs/data/image_source.h"

namespace gannet {
namespace {

// Deeper than anybody sorts pictures; a bound for folders that were made to be endless.
constexpr int kMaxFolderDepth = 64;

class FolderSource final : public ImageSource {
 public:
  explicit FolderSource(std::string root) : root_(std::move(root)) {}

  void Scan(const std::set<std::string>& excluded) {
    ScanFolder("", 0, excluded);
    const auto by_name = [](const auto& a, const auto& b) { return a.name < b.name; };
    std::sort(entries_.begin(), entries_.end(), by_name);
    std::sort(left_out_.begin(), left_out_.end(), by_name);
  }

  absl::StatusOr<std::string> Read(size_t i) const override {
    const Entry& entry = entries_[i];
    absl::StatusOr<std::string> bytes = ReadFileBytes(PathOf(entry.name), kMaxImageFileBytes);
    if (!bytes.ok()) return absl::DataLossError(bytes.status().message());
    if (static_cast<int64_t>(bytes->size()) != entry.bytes) {
      return absl::DataLossError(
          absl::StrCat("file changed since the data set was opened: expected ", entry.bytes,
                       " bytes, got ", bytes->size()));
    }
    return bytes;
  }

  absl::StatusOr<SideFile> ReadSideFile(const std::string& name, bool above) const override {
    std::vector<std::string> folders = {root_};
    if (above) folders.insert(folders.end(), {root_ + "/Anno", root_ + "/..", root_ + "/../Anno"});
    for (const std::string& folder : folders) {
      absl::StatusOr<std::string> bytes =
          ReadFileBytes(absl::StrCat(folder, "/", name), kMaxSideFileBytes);
      if (bytes.ok()) return SideFile{.folder = "", .bytes = *std::move(bytes)};
      if (!absl::IsNotFound(bytes.status())) {
        return absl::DataLossError(absl::StrCat(bytes.status().message(), ": ", folder, "/", name));
      }
    }
    return absl::NotFoundError(absl::StrCat("no ", name, " beside the images"));
  }

 private:
  std::string PathOf(const std::string& name) const { return absl::StrCat(root_, "/", name); }

  // `prefix` is the relative path of the folder with a slash behind it, or empty.
  void ScanFolder(const std::string& prefix, int depth, const std::set<std::string>& excluded) {
    std::error_code error;
    std::filesystem::directory_iterator it(PathOf(prefix), error);
    const std::filesystem::directory_iterator end;
    for (; !error && it != end; it.increment(error)) {
      const std::string file = it->path().filename().string();
      if (file.front() == '.') continue;
      const std::string name = prefix + file;
      std::error_code ignored;
      if (it->is_directory(ignored)) {
        // Links to folders may lead in a circle.
        if (it->is_symlink(ignored)) continue;
        if (depth + 1 < kMaxFolderDepth) {
          ScanFolder(name + "/", depth + 1, excluded);
        } else {
          left_out_.push_back({name, "folders nested too deeply"});
        }
      } else if (IsImageName(file) && !excluded.contains(name)) {
        AddFile(name);
      }
    }
    if (error) left_out_.push_back({prefix, "folder cannot be read: " + error.message()});
  }

  void AddFile(const std::string& name) {
    const absl::StatusOr<FileHead> head = ReadFileHead(PathOf(name), kImageHeadBytes);
    if (!head.ok()) {
      left_out_.push_back({name, std::string(head.status().message())});
      return;
    }
    if (const absl::Status status = CheckImageHead(head->bytes); !status.ok()) {
      left_out_.push_back({name, std::string(status.message())});
      return;
    }
    if (head->size > kMaxImageFileBytes) {
      left_out_.push_back({name, absl::StrCat("file larger than the limit of ", kMaxImageFileBytes,
                                              " bytes: ", head->size, " bytes")});
      return;
    }
    Entry entry;
    entry.name = name;
    entry.bytes = head->size;
    entries_.push_back(std::move(entry));
  }

  const std::string root_;
};

}  // namespace

bool IsImageName(absl::string_view name) {
  for (const absl::string_view part : absl::StrSplit(name, '/')) {
    if (part.empty() || part.front() == '.') return false;
  }
  return HasImageEnding(name);
}

absl::StatusOr<std::unique_ptr<ImageSource>> OpenFolderSource(
    const std::string& path, const std::set<std::string>& excluded) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) {
    return absl::NotFoundError(absl::StrCat("data set folder does not exist: ", path));
  }
  if (error) {
    return absl::FailedPreconditionError(
        absl::StrCat("data set folder cannot be read: ", error.message(), ": ", path));
  }
  if (!std::filesystem::is_directory(status)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "data set of kind folder expects a folder, this is a file (an archive is kind zip, "
        "MNIST's format is kind idx): ",
        path));
  }
  auto source = std::make_unique<FolderSource>(path);
  source->Scan(excluded);
  return source;
}

absl::StatusOr<std::unique_ptr<ImageSource>> OpenImageSource(
    const DatasetOptions& options, const std::set<std::string>& excluded) {
  return options.kind == "zip" ? OpenZipSource(options.path, excluded)
                               : OpenFolderSource(options.path, excluded);
}

}  // namespace gannet
