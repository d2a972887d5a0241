#include <sys/stat.h>
#include <sys/types.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <set>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/file_bytes.h"
#include "libs/base/status_macros.h"
#include "libs/data/dataset_kind.h"
#include "libs/data/encoded_dataset.h"
#include "libs/data/image_names.h"
#include "libs/data/image_source.h"
#include "libs/data/own_output.h"
#include "libs/image/image_io.h"

namespace gannet::data {
namespace {

namespace fs = std::filesystem;

// Deeper than anybody sorts pictures; a bound for folders that were made to be endless.
constexpr int kMaxFolderDepth = 64;

// Links that lead nowhere new; their targets are named by nobody else.
const char kLinkAdvice[] = "what it leads to is in the data set already, or holds it";
const char kDanglingAdvice[] = "the link's target does not exist here; is a disk missing?";

// Images below a folder, in all folders that are not passed over. Links to files are files; links
// to folders are entered, each real folder once. The names are the same wherever the scan begins
// and in whatever order the system lists them: first comes what is really there, then what links
// add, link by link in order of their names.
class FolderSource final : public ImageSource {
 public:
  explicit FolderSource(std::string root) : root_(std::move(root)) {}

  // Returns: FAILED_PRECONDITION - the folder itself cannot be read.
  absl::Status Scan(const std::set<std::string>& excluded) {
    std::error_code error;
    real_root_ = fs::canonical(root_, error);
    const fs::directory_iterator readable(root_, error);
    if (error) {
      return absl::FailedPreconditionError(
          absl::StrCat("data set folder cannot be read: ", error.message(), ": ", root_));
    }
    EnterFolder("", 0, excluded);
    while (!links_.empty()) {
      const auto [name, depth] = *links_.begin();
      links_.erase(links_.begin());
      FollowLink(name, depth, excluded);
    }
    std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
      return std::tie(a.name, a.path) < std::tie(b.name, b.path);
    });
    std::sort(left_out_.begin(), left_out_.end(),
              [](const BadImage& a, const BadImage& b) { return a.name < b.name; });
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Read(size_t i) const override {
    const Entry& entry = entries_[i];
    absl::StatusOr<std::string> bytes =
        base::ReadFileBytes(PathOf(entry.path), image::kMaxImageFileBytes);
    if (!bytes.ok()) return absl::DataLossError(bytes.status().message());
    if (static_cast<int64_t>(bytes->size()) != entry.bytes) {
      return absl::DataLossError(
          absl::StrCat("file changed since the data set was opened: expected ", entry.bytes,
                       " bytes, got ", bytes->size()));
    }
    return bytes;
  }

  absl::StatusOr<FileIdentity> Identify(size_t i) const override {
    return IdentifyFile(PathOf(entries_[i].path));
  }

  absl::StatusOr<SideFile> ReadSideFile(const std::string& name, bool above) const override {
    std::vector<std::string> folders = {root_};
    if (above) folders.insert(folders.end(), {root_ + "/Anno", root_ + "/..", root_ + "/../Anno"});
    for (const std::string& folder : folders) {
      absl::StatusOr<std::string> bytes =
          base::ReadFileBytes(absl::StrCat(folder, "/", name), kMaxSideFileBytes);
      if (bytes.ok()) return SideFile{.folder = "", .bytes = *std::move(bytes)};
      if (!absl::IsNotFound(bytes.status())) {
        return absl::DataLossError(absl::StrCat(bytes.status().message(), ": ", folder, "/", name));
      }
    }
    return absl::NotFoundError(absl::StrCat("no ", name, " beside the images"));
  }

 private:
  using FolderId = std::pair<dev_t, ino_t>;

  std::string PathOf(const std::string& path) const { return absl::StrCat(root_, "/", path); }

  void PassOver(const PassedOverKind& kind, const std::string& path) {
    passed_over_.Add(kind, NormalizedName(path));
  }

  void LeaveOut(const std::string& path, absl::string_view why) {
    left_out_.push_back({NormalizedName(path), std::string(why)});
  }

  // `prefix` is the relative path of the folder with a slash behind it, or empty.
  void EnterFolder(const std::string& prefix, int depth, const std::set<std::string>& excluded) {
    const std::string place = PathOf(prefix);
    const std::string name = prefix.substr(0, prefix.empty() ? 0 : prefix.size() - 1);
    struct stat info {};
    if (::stat(place.c_str(), &info) != 0) {
      LeaveOut(name, absl::StrCat("folder cannot be read: ", std::strerror(errno)));
      return;
    }
    if (!entered_.insert(FolderId{info.st_dev, info.st_ino}).second) {
      PassOver({"folders seen twice", kLinkAdvice}, name);
      return;
    }
    std::error_code error;
    if (!prefix.empty() && fs::exists(absl::StrCat(place, kOutputMarker), error)) {
      PassOver(OutputFolderKind(), name);
      return;
    }
    std::vector<fs::directory_entry> content;
    fs::directory_iterator it(place, error);
    for (; !error && it != fs::directory_iterator(); it.increment(error)) content.push_back(*it);
    if (error) LeaveOut(name.empty() ? "." : name, "folder cannot be read: " + error.message());
    std::sort(content.begin(), content.end());
    for (const fs::directory_entry& entry : content) {
      TakeIn(entry, prefix + entry.path().filename().string(), depth, excluded);
    }
  }

  void TakeIn(const fs::directory_entry& entry, const std::string& path, int depth,
              const std::set<std::string>& excluded) {
    const std::string file = entry.path().filename().string();
    std::error_code error;
    const bool is_link = entry.is_symlink(error);
    if (entry.is_directory(error)) {
      if (const PassedOverKind kind = WhyFolderIsPassedOver(file); !kind.what.empty()) {
        PassOver(kind, path);
      } else if (depth + 1 >= kMaxFolderDepth) {
        LeaveOut(path, "folders nested too deeply");
      } else if (is_link) {
        links_.emplace(path, depth + 1);
      } else {
        EnterFolder(path + "/", depth + 1, excluded);
      }
      return;
    }
    // Gannet's own, and no secret of anybody's.
    if (file == kExclusionFile) return;
    if (const PassedOverKind kind = WhyFileIsPassedOver(file); !kind.what.empty()) {
      const bool is_lost = is_link && kind.what != "hidden" && !fs::exists(entry.path(), error);
      PassOver(is_lost ? PassedOverKind{"dangling links", kDanglingAdvice} : kind, path);
    } else if (HasImageEnding(file)) {
      if (!excluded.contains(NormalizedName(path))) AddFile(path, is_link);
    } else if (is_link && !fs::exists(entry.path(), error)) {
      PassOver({"dangling links", kDanglingAdvice}, path);
    }
  }

  void FollowLink(const std::string& path, int depth, const std::set<std::string>& excluded) {
    std::error_code error;
    const fs::path target = fs::canonical(PathOf(path), error);
    // What holds the data set would bring in its neighbours.
    const auto differs =
        std::mismatch(target.begin(), target.end(), real_root_.begin(), real_root_.end());
    if (!error && differs.first == target.end()) {
      PassOver({"links in a circle", kLinkAdvice}, path);
      return;
    }
    EnterFolder(path + "/", depth, excluded);
  }

  void AddFile(const std::string& path, bool is_link) {
    const absl::StatusOr<base::FileHead> head =
        base::ReadFileHead(PathOf(path), std::max(image::kImageHeadBytes, kGridHeadBytes));
    if (!head.ok()) {
      LeaveOut(path, is_link && absl::IsNotFound(head.status()) ? kDanglingAdvice
                                                                : head.status().message());
      return;
    }
    if (IsGridPng(head->bytes)) {
      PassOver(GridKind(), path);
      return;
    }
    if (const absl::Status status = image::CheckImageHead(head->bytes); !status.ok()) {
      LeaveOut(path, status.message());
      return;
    }
    if (head->size > image::kMaxImageFileBytes) {
      LeaveOut(path, absl::StrCat("file larger than the limit of ", image::kMaxImageFileBytes,
                                  " bytes: ", head->size, " bytes"));
      return;
    }
    Entry entry;
    entry.name = NormalizedName(path);
    entry.path = path;
    entry.bytes = head->size;
    entries_.push_back(std::move(entry));
  }

  const std::string root_;
  fs::path real_root_;
  std::set<FolderId> entered_;
  // Still to be entered: the relative path of a link, and how deep it lies.
  std::set<std::pair<std::string, int>> links_;
};

absl::StatusOr<std::unique_ptr<ImageSource>> OpenFiles(const std::string& path,
                                                       const std::set<std::string>& excluded) {
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
  GANNET_RETURN_IF_ERROR(source->Scan(excluded));
  return source;
}

}  // namespace

// Every .jpg, .jpeg, .jpe, .jfif, .png and .webp below the path, at any depth. Links to folders are
// followed, each real folder is read once. Passed over, and counted: hidden files and folders
// (names that begin with a dot), folders of thumbnails (@eaDir), pictures in other formats
// (image_names.h), and what Gannet drew (own_output.h). Labels and digest: encoded_dataset.h.
const DatasetKind datasets::folder = {
    .open = OpenEncodedDataset, .open_files = OpenFiles, .is_folder = true};

}  // namespace gannet::data
