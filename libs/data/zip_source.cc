#include <zip.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/data/image_io.h"
#include "libs/data/image_source.h"

namespace gannet {
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

absl::StatusOr<ZipHandle> OpenHandle(const std::string& path) {
  int code = 0;
  zip_t* archive = zip_open(path.c_str(), ZIP_RDONLY, &code);
  if (archive == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(
        "data set of kind zip cannot be opened as an archive: ", ZipErrorText(code), ": ", path));
  }
  return ZipHandle(archive);
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
  explicit ZipSource(std::string path) : path_(std::move(path)) {}

  absl::Status Scan(const std::set<std::string>& excluded) {
    GANNET_ASSIGN_OR_RETURN(ZipHandle archive, OpenHandle(path_));
    const zip_int64_t count = zip_get_num_entries(archive.get(), 0);
    if (count > kMaxZipEntries) {
      return absl::FailedPreconditionError(
          absl::StrCat("archive has more than ", kMaxZipEntries, " entries: ", count, ": ", path_));
    }
    for (zip_uint64_t i = 0; i < static_cast<zip_uint64_t>(count); ++i) {
      // The bytes as stored: the order is bytewise, whatever the encoding.
      const char* raw_name = zip_get_name(archive.get(), i, ZIP_FL_ENC_RAW);
      if (raw_name == nullptr) continue;
      std::string name = raw_name;
      if (name.rfind("./", 0) == 0) name.erase(0, 2);
      if (absl::EndsWith(name, ".json") || absl::EndsWith(name, ".txt") ||
          absl::EndsWith(name, ".csv")) {
        AddSideFile(archive.get(), i, std::move(name));
        continue;
      }
      if (!IsImageName(name) || excluded.contains(name)) continue;
      AddEntry(archive.get(), i, std::move(name));
    }
    SortAndLeaveOutDoubles();
    const MutexLock lock(mu_);
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
         .bytes = static_cast<int64_t>(std::min<zip_uint64_t>(info.size, INT64_MAX)),
         .crc32 = info.crc,
         .position = position});
  }

  void AddEntry(zip_t* archive, zip_uint64_t position, std::string name) {
    zip_stat_t info;
    zip_stat_init(&info);
    constexpr zip_uint64_t kNeeded = ZIP_STAT_SIZE | ZIP_STAT_CRC;
    if (zip_stat_index(archive, position, 0, &info) != 0 || (info.valid & kNeeded) != kNeeded) {
      left_out_.push_back({std::move(name), "without size or checksum in the archive"});
      return;
    }
    if (info.size > static_cast<zip_uint64_t>(kMaxImageFileBytes)) {
      left_out_.push_back(
          {std::move(name), absl::StrCat("file larger than the limit of ", kMaxImageFileBytes,
                                         " bytes: ", info.size, " bytes")});
      return;
    }
    Entry entry;
    entry.name = std::move(name);
    entry.bytes = static_cast<int64_t>(info.size);
    entry.crc32 = info.crc;
    entry.position = position;
    const int64_t head_bytes = std::min<int64_t>(kImageHeadBytes, entry.bytes);
    const absl::StatusOr<std::string> head = ReadEntry(archive, position, head_bytes, false);
    const absl::Status status = head.ok() ? CheckImageHead(*head) : head.status();
    if (!status.ok()) {
      left_out_.push_back({std::move(entry.name), std::string(status.message())});
      return;
    }
    entries_.push_back(std::move(entry));
  }

  void SortAndLeaveOutDoubles() {
    std::stable_sort(entries_.begin(), entries_.end(),
                     [](const Entry& a, const Entry& b) { return a.name < b.name; });
    // An archive may hold a name twice; unpacking it would leave the last one.
    std::vector<Entry> unique;
    for (Entry& entry : entries_) {
      if (!unique.empty() && unique.back().name == entry.name) {
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
      const MutexLock lock(mu_);
      while (idle_.empty() && handle_count_ == kMaxZipHandles) returned_.Wait(mu_);
      if (!idle_.empty()) {
        ZipHandle handle = std::move(idle_.back());
        idle_.pop_back();
        return handle;
      }
      ++handle_count_;
    }
    absl::StatusOr<ZipHandle> handle = OpenHandle(path_);
    if (handle.ok()) return handle;
    const MutexLock lock(mu_);
    --handle_count_;
    returned_.NotifyOne();
    return absl::DataLossError(handle.status().message());
  }

  void GiveBack(ZipHandle handle) const {
    const MutexLock lock(mu_);
    idle_.push_back(std::move(handle));
    returned_.NotifyOne();
  }

  const std::string path_;
  std::vector<Entry> side_files_;
  mutable Mutex mu_;
  mutable CondVar returned_;
  mutable std::vector<ZipHandle> idle_ ABSL_GUARDED_BY(mu_);
  mutable int handle_count_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ImageSource>> OpenZipSource(const std::string& path,
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

}  // namespace gannet
