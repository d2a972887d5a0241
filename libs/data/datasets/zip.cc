#include <zip.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/data/dataset_kind.h"
#include "libs/data/encoded_dataset.h"
#include "libs/data/image_names.h"
#include "libs/data/image_source.h"
#include "libs/data/own_output.h"
#include "libs/data/zip_start.h"
#include "libs/image/image_io.h"

namespace gannet::data {
namespace {

// More entries than the largest image collections have.
constexpr int64_t kMaxZipEntries = 20'000'000;

// Readers at the same time; each has its own copy of the archive's directory.
constexpr int kMaxZipHandles = 4;

struct ZipDiscard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
using ZipHandle = std::unique_ptr<zip_t, ZipDiscard>;

struct ZipFileClose {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};
using ZipFile = std::unique_ptr<zip_file_t, ZipFileClose>;

std::string ZipErrorText(int code) {
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  std::string text = zip_error_strerror(&error);
  zip_error_fini(&error);
  return text;
}

absl::Status CannotOpen(const std::string& path, const std::string& why) {
  return absl::FailedPreconditionError(
      absl::StrCat("data set of kind zip cannot be opened as an archive: ", why, ": ", path));
}

// `start` is where the archive begins in the file (ZipStart).
absl::StatusOr<ZipHandle> OpenHandle(const std::string& path, int64_t start) {
  if (start == 0) {
    int code = 0;
    zip_t* archive = zip_open(path.c_str(), ZIP_RDONLY, &code);
    if (archive == nullptr) return CannotOpen(path, ZipErrorText(code));
    return ZipHandle(archive);
  }
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source =
      zip_source_file_create(path.c_str(), static_cast<zip_uint64_t>(start), -1, &error);
  zip_t* archive = source == nullptr ? nullptr : zip_open_from_source(source, ZIP_RDONLY, &error);
  const std::string why = zip_error_strerror(&error);
  zip_error_fini(&error);
  if (archive == nullptr) {
    if (source != nullptr) zip_source_free(source);
    return CannotOpen(path, why);
  }
  return ZipHandle(archive);
}

// The path of an entry as unpacking it would make it, relative to the root: programs write "./a",
// "/a", "a//b" and, on Windows, "a\\b". nullopt: it leads out of the folder it is unpacked in.
std::optional<std::string> CleanPath(std::string path) {
  // A backslash may be in a name; where it is the only thing between folders, it is no name's.
  if (!absl::StrContains(path, '/')) std::replace(path.begin(), path.end(), '\\', '/');
  std::vector<absl::string_view> parts;
  for (const absl::string_view part : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    if (part == "..") return std::nullopt;
    if (part != ".") parts.push_back(part);
  }
  return absl::StrJoin(parts, "/");
}

bool IsSideFile(absl::string_view path) {
  return absl::EndsWith(path, ".json") || absl::EndsWith(path, ".txt") ||
         absl::EndsWith(path, ".csv");
}

// Reads `count` bytes of an entry. libzip compares the checksum when an entry is read to its end.
absl::StatusOr<std::string> ReadEntry(zip_t* archive, uint64_t position, int64_t count,
                                      bool to_end) {
  const ZipFile file(zip_fopen_index(archive, position, 0));
  if (file == nullptr) {
    return absl::DataLossError(
        absl::StrCat("cannot be read from the archive: ", zip_strerror(archive)));
  }
  std::string bytes(static_cast<size_t>(count), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const zip_int64_t got = zip_fread(file.get(), bytes.data() + done, bytes.size() - done);
    if (got < 0) {
      return absl::DataLossError(
          absl::StrCat("damaged in the archive: ", zip_file_strerror(file.get())));
    }
    if (got == 0) return absl::DataLossError("damaged in the archive: cut short");
    done += static_cast<size_t>(got);
  }
  char beyond;
  if (to_end && zip_fread(file.get(), &beyond, 1) != 0) {
    return absl::DataLossError("damaged in the archive: checksum or size differs");
  }
  return bytes;
}

// libzip's handles may be used by one thread at a time, so readers borrow one from a small pool.
class ZipSource final : public ImageSource {
 public:
  explicit ZipSource(std::string path) : path_(std::move(path)), start_(ZipStart(path_)) {}

  absl::Status Scan(const std::set<std::string>& excluded) {
    GANNET_ASSIGN_OR_RETURN(ZipHandle archive, OpenHandle(path_, start_));
    const zip_int64_t count = zip_get_num_entries(archive.get(), 0);
    if (count > kMaxZipEntries) {
      return absl::FailedPreconditionError(
          absl::StrCat("archive has more than ", kMaxZipEntries, " entries: ", count, ": ", path_));
    }
    FindOutputFolders(archive.get(), count);
    for (zip_uint64_t i = 0; i < static_cast<zip_uint64_t>(count); ++i) {
      // The bytes as stored: the order is bytewise, whatever the encoding.
      const char* raw_name = zip_get_name(archive.get(), i, ZIP_FL_ENC_RAW);
      if (raw_name == nullptr || absl::EndsWith(raw_name, "/")) continue;
      std::optional<std::string> path = CleanPath(raw_name);
      if (path.has_value()) {
        TakeIn(archive.get(), i, *std::move(path), excluded);
      } else if (HasImageEnding(raw_name)) {
        left_out_.push_back(
            {NormalizedName(raw_name), "its name leads out of the archive (..), make it anew"});
      }
    }
    SortAndLeaveOutDoubles();
    const base::MutexLock lock(mu_);
    idle_.push_back(std::move(archive));
    handle_count_ = 1;
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Read(size_t i) const override {
    const Entry& entry = entries_[i];
    GANNET_ASSIGN_OR_RETURN(ZipHandle archive, Borrow());
    absl::StatusOr<std::string> bytes = ReadChecked(archive.get(), entry);
    GiveBack(std::move(archive));
    return bytes;
  }

  absl::StatusOr<FileIdentity> Identify(size_t i) const override {
    GANNET_ASSIGN_OR_RETURN(FileIdentity identity, IdentifyFile(path_));
    identity.bytes = entries_[i].bytes;
    return identity;
  }

  absl::StatusOr<SideFile> ReadSideFile(const std::string& name, bool /*above*/) const override {
    const auto found =
        std::find_if(side_files_.begin(), side_files_.end(), [&](const Entry& entry) {
          return entry.name == name || absl::EndsWith(entry.name, "/" + name);
        });
    if (found == side_files_.end()) {
      return absl::NotFoundError(absl::StrCat("no ", name, " in the archive"));
    }
    if (found->bytes > kMaxSideFileBytes) {
      return absl::DataLossError(absl::StrCat("larger than ", kMaxSideFileBytes, " bytes: ", name));
    }
    GANNET_ASSIGN_OR_RETURN(ZipHandle archive, Borrow());
    absl::StatusOr<std::string> bytes = ReadChecked(archive.get(), *found);
    GiveBack(std::move(archive));
    if (!bytes.ok()) return bytes.status();
    return SideFile{.folder = found->name.substr(0, found->name.size() - name.size()),
                    .bytes = *std::move(bytes)};
  }

 private:
  void FindOutputFolders(zip_t* archive, zip_int64_t count) {
    for (zip_uint64_t i = 0; i < static_cast<zip_uint64_t>(count); ++i) {
      const char* raw_name = zip_get_name(archive, i, ZIP_FL_ENC_RAW);
      if (raw_name == nullptr || !absl::EndsWith(raw_name, kOutputMarker)) continue;
      const std::string path = CleanPath(raw_name).value_or("");
      const size_t slash = path.rfind('/');
      if (slash == std::string::npos || path.substr(slash + 1) != kOutputMarker) continue;
      output_folders_.insert(path.substr(0, slash));
    }
  }

  // Whether a folder on the way to the entry is passed over, which is counted once.
  bool IsInPassedOverFolder(const std::string& path) {
    size_t begin = 0;
    for (size_t slash = path.find('/'); slash != std::string::npos;
         begin = slash + 1, slash = path.find('/', begin)) {
      const std::string folder = path.substr(0, slash);
      PassedOverKind kind = WhyFolderIsPassedOver(path.substr(begin, slash - begin));
      if (kind.what.empty() && output_folders_.contains(folder)) kind = OutputFolderKind();
      if (kind.what.empty()) continue;
      if (passed_over_folders_.insert(folder).second) {
        passed_over_.Add(kind, NormalizedName(folder));
      }
      return true;
    }
    return false;
  }

  void TakeIn(zip_t* archive, zip_uint64_t position, std::string path,
              const std::set<std::string>& excluded) {
    if (IsInPassedOverFolder(path)) return;
    if (IsSideFile(path)) {
      AddSideFile(archive, position, NormalizedName(path));
      return;
    }
    const PassedOverKind kind =
        WhyFileIsPassedOver(absl::string_view(path).substr(path.rfind('/') + 1));
    if (!kind.what.empty()) {
      passed_over_.Add(kind, NormalizedName(path));
    } else if (HasImageEnding(path)) {
      std::string name = NormalizedName(path);
      if (!excluded.contains(name)) AddEntry(archive, position, std::move(name), std::move(path));
    }
  }

  // Small files that may describe the images.
  void AddSideFile(zip_t* archive, zip_uint64_t position, std::string name) {
    zip_stat_t info;
    zip_stat_init(&info);
    constexpr zip_uint64_t kNeeded = ZIP_STAT_SIZE | ZIP_STAT_CRC;
    if (zip_stat_index(archive, position, 0, &info) != 0 || (info.valid & kNeeded) != kNeeded) {
      return;
    }
    side_files_.push_back(
        {.name = std::move(name),
         .path = "",
         .bytes = static_cast<int64_t>(std::min<zip_uint64_t>(info.size, INT64_MAX)),
         .crc32 = info.crc,
         .position = position});
  }

  void AddEntry(zip_t* archive, zip_uint64_t position, std::string name, std::string path) {
    zip_stat_t info;
    zip_stat_init(&info);
    constexpr zip_uint64_t kNeeded = ZIP_STAT_SIZE | ZIP_STAT_CRC;
    if (zip_stat_index(archive, position, 0, &info) != 0 || (info.valid & kNeeded) != kNeeded) {
      left_out_.push_back({std::move(name), "without size or checksum in the archive"});
      return;
    }
    if (info.size > static_cast<zip_uint64_t>(image::kMaxImageFileBytes)) {
      left_out_.push_back({std::move(name),
                           absl::StrCat("file larger than the limit of ", image::kMaxImageFileBytes,
                                        " bytes: ", info.size, " bytes")});
      return;
    }
    Entry entry;
    entry.name = std::move(name);
    entry.path = std::move(path);
    entry.bytes = static_cast<int64_t>(info.size);
    entry.crc32 = info.crc;
    entry.position = position;
    const int64_t head_bytes =
        std::min<int64_t>(std::max(image::kImageHeadBytes, kGridHeadBytes), entry.bytes);
    const absl::StatusOr<std::string> head = ReadEntry(archive, position, head_bytes, false);
    if (head.ok() && IsGridPng(*head)) {
      passed_over_.Add(GridKind(), entry.name);
      return;
    }
    const absl::Status status = head.ok() ? image::CheckImageHead(*head) : head.status();
    if (!status.ok()) {
      left_out_.push_back({std::move(entry.name), std::string(status.message())});
      return;
    }
    entries_.push_back(std::move(entry));
  }

  void SortAndLeaveOutDoubles() {
    std::stable_sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
      return std::tie(a.name, a.path) < std::tie(b.name, b.path);
    });
    // An archive may hold a name twice; unpacking it would leave the last one.
    std::vector<Entry> unique;
    for (Entry& entry : entries_) {
      if (!unique.empty() && unique.back().path == entry.path) {
        left_out_.push_back({entry.name, "replaced by a later entry of the same name"});
        unique.back() = std::move(entry);
      } else {
        unique.push_back(std::move(entry));
      }
    }
    entries_ = std::move(unique);
    std::stable_sort(left_out_.begin(), left_out_.end(),
                     [](const BadImage& a, const BadImage& b) { return a.name < b.name; });
  }

  // A second handle may have met another file under the path.
  static absl::StatusOr<std::string> ReadChecked(zip_t* archive, const Entry& entry) {
    zip_stat_t info;
    zip_stat_init(&info);
    if (zip_stat_index(archive, entry.position, 0, &info) != 0 ||
        info.size != static_cast<zip_uint64_t>(entry.bytes) || info.crc != entry.crc32) {
      return absl::DataLossError("archive changed since the data set was opened");
    }
    return ReadEntry(archive, entry.position, entry.bytes, true);
  }

  absl::StatusOr<ZipHandle> Borrow() const {
    {
      const base::MutexLock lock(mu_);
      while (idle_.empty() && handle_count_ == kMaxZipHandles) returned_.Wait(mu_);
      if (!idle_.empty()) {
        ZipHandle handle = std::move(idle_.back());
        idle_.pop_back();
        return handle;
      }
      ++handle_count_;
    }
    absl::StatusOr<ZipHandle> handle = OpenHandle(path_, start_);
    if (handle.ok()) return handle;
    const base::MutexLock lock(mu_);
    --handle_count_;
    returned_.NotifyOne();
    return absl::DataLossError(handle.status().message());
  }

  void GiveBack(ZipHandle handle) const {
    const base::MutexLock lock(mu_);
    idle_.push_back(std::move(handle));
    returned_.NotifyOne();
  }

  const std::string path_;
  const int64_t start_;
  std::set<std::string> output_folders_;
  std::set<std::string> passed_over_folders_;
  std::vector<Entry> side_files_;
  mutable base::Mutex mu_;
  mutable base::CondVar returned_;
  mutable std::vector<ZipHandle> idle_ ABSL_GUARDED_BY(mu_);
  mutable int handle_count_ ABSL_GUARDED_BY(mu_) = 0;
};

absl::StatusOr<std::unique_ptr<ImageSource>> OpenFiles(const std::string& path,
                                                       const std::set<std::string>& excluded) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) {
    return absl::NotFoundError(absl::StrCat("data set archive does not exist: ", path));
  }
  if (std::filesystem::is_directory(status)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "data set of kind zip expects an archive, this is a folder (kind folder): ", path));
  }
  auto source = std::make_unique<ZipSource>(path);
  GANNET_RETURN_IF_ERROR(source->Scan(excluded));
  return source;
}

}  // namespace

// What a folder may hold (datasets/folder.cc), inside an archive, which is read in place. Labels
// and digest: encoded_dataset.h.
const DatasetKind datasets::zip = {.open = OpenEncodedDataset, .open_files = OpenFiles};

}  // namespace gannet::data
