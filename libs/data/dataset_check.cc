#include "libs/data/dataset_check.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "libs/base/atomic_file.h"
#include "libs/base/file_bytes.h"
#include "libs/base/status_macros.h"
#include "libs/data/dataset_kind.h"
#include "libs/data/encoded_dataset.h"
#include "libs/data/image_names.h"
#include "libs/data/image_source.h"
#include "libs/image/image_io.h"

namespace gannet::data {
namespace {

namespace fs = std::filesystem;

// A million long names.
constexpr int64_t kMaxExclusionFileBytes = int64_t{256} << 20;

constexpr int64_t kProgressEvery = 100;

bool IsFolder(const DatasetOptions& options) {
  const DatasetKind* kind = FindDatasetKind(options.kind);
  return kind != nullptr && kind->is_folder;
}

// PATH.gannet-exclude, as earlier versions named it, without the slashes that PATH ends with.
std::string BesidePath(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path + kExclusionFile;
}

// In which earlier versions may have written the exclusions, each once.
std::vector<std::string> OldExclusionFiles(const DatasetOptions& options) {
  std::vector<std::string> all = {BesidePath(options.path)};
  std::error_code error;
  const fs::path real = fs::canonical(options.path, error);
  if (!error) all.push_back(BesidePath(real.string()));
  // What "." became.
  if (IsFolder(options)) all.push_back(absl::StrCat(options.path, "/.", kExclusionFile));
  std::vector<std::string> unique;
  std::set<fs::path> seen = {fs::weakly_canonical(ExclusionFilePath(options), error)};
  for (const std::string& path : all) {
    if (seen.insert(fs::weakly_canonical(path, error)).second) unique.push_back(path);
  }
  return unique;
}

absl::Status RemoveFile(const std::string& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT || errno == ENOTDIR) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("exclusion file cannot be removed: ", std::strerror(errno), ": ", path));
}

// Adds the names in a file; whether there is one.
absl::StatusOr<bool> AddNames(const std::string& path, std::set<std::string>& names) {
  const absl::StatusOr<std::string> text = base::ReadFileBytes(path, kMaxExclusionFileBytes);
  if (absl::IsNotFound(text.status())) return false;
  if (!text.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("exclusions of the data set: ", text.status().message(), ": ", path));
  }
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    absl::ConsumeSuffix(&line, "\r");
    if (line.empty() || line.front() == '#') continue;
    absl::ConsumePrefix(&line, "./");
    names.insert(NormalizedName(line));
  }
  return true;
}

// Data sets that are made of files: the source is read without exclusions.
absl::StatusOr<DatasetCheckReport> CheckFiles(
    const DatasetOptions& options, const std::function<void(int64_t, int64_t)>& progress) {
  GANNET_ASSIGN_OR_RETURN(const std::unique_ptr<ImageSource> source,
                          FindDatasetKind(options.kind)->open_files(options.path, {}));
  DatasetCheckReport report;
  report.bad = source->left_out();
  report.passed_over = source->passed_over();
  const int64_t total = static_cast<int64_t>(source->entries().size());
  for (int64_t i = 0; i < total; ++i) {
    const size_t at = static_cast<size_t>(i);
    const absl::StatusOr<std::string> bytes = source->Read(at);
    const absl::StatusOr<image::RgbImage> image =
        bytes.ok() ? image::DecodeImage(*bytes) : bytes.status();
    const absl::Status usable = image.ok() ? CheckCrop(options.crop, *image) : image.status();
    if (usable.ok()) {
      ++report.good_count;
    } else {
      report.bad.push_back({source->entries()[at].name, std::string(usable.message())});
    }
    if (progress && ((i + 1) % kProgressEvery == 0 || i + 1 == total)) progress(i + 1, total);
  }
  std::stable_sort(report.bad.begin(), report.bad.end(),
                   [](const BadImage& a, const BadImage& b) { return a.name < b.name; });
  return report;
}

}  // namespace

absl::StatusOr<DatasetCheckReport> CheckDataset(
    const DatasetOptions& options, const std::function<void(int64_t, int64_t)>& progress) {
  if (HasImageFiles(options.kind) && !options.path.empty()) return CheckFiles(options, progress);
  GANNET_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset, OpenDataset(options));
  const DatasetKind& kind = *FindDatasetKind(options.kind);
  if (kind.verify != nullptr) GANNET_RETURN_IF_ERROR(kind.verify(options));
  DatasetCheckReport report;
  const size_t side = static_cast<size_t>(options.image_size);
  std::vector<uint8_t> rgb(3 * side * side);
  for (int64_t i = 0; i < dataset->size(); ++i) {
    if (const absl::Status status = dataset->ReadRgb(i, absl::MakeSpan(rgb)); status.ok()) {
      ++report.good_count;
    } else {
      report.bad.push_back({dataset->NameOf(i), std::string(status.message())});
    }
    if (progress && ((i + 1) % kProgressEvery == 0 || i + 1 == dataset->size())) {
      progress(i + 1, dataset->size());
    }
  }
  return report;
}

std::string ExclusionFilePath(const DatasetOptions& options) {
  if (IsFolder(options)) return absl::StrCat(options.path, "/", kExclusionFile);
  std::error_code error;
  const bool is_link = fs::is_symlink(options.path, error);
  const fs::path real = is_link ? fs::canonical(options.path, error) : fs::path(options.path);
  return absl::StrCat(error ? options.path : real.string(), kExclusionFile);
}

absl::Status WriteExclusions(const DatasetOptions& options, absl::Span<const BadImage> bad) {
  if (!HasImageFiles(options.kind) || options.path.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("only data sets of these kinds have files to ",
                                                   "exclude: ", JoinDatasetNamesWhere(true),
                                                   "; got kind ", options.kind));
  }
  const std::string path = ExclusionFilePath(options);
  if (bad.empty()) {
    for (const std::string& old : OldExclusionFiles(options)) {
      GANNET_RETURN_IF_ERROR(RemoveFile(old));
    }
    return RemoveFile(path);
  }
  std::string text =
      "# Images that are left out of this data set: one relative path a line. Every machine that\n"
      "# joins a run needs the same file. Written by `gannet data check --exclude`.\n";
  for (const BadImage& image : bad) {
    if (image.name.find_first_of("\n\r") != std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat(
          "image cannot be excluded, its name has a line break in it; rename it: ", image.name));
    }
    std::string reason = image.reason;
    std::replace(reason.begin(), reason.end(), '\n', ' ');
    // "./" keeps a name that begins with # from being a comment.
    absl::StrAppend(&text, "# ", reason, "\n", image.name.rfind('#', 0) == 0 ? "./" : "",
                    image.name, "\n");
  }
  GANNET_RETURN_IF_ERROR(base::WriteFileAtomically(path, text));
  for (const std::string& old : OldExclusionFiles(options)) {
    GANNET_RETURN_IF_ERROR(RemoveFile(old));
  }
  return absl::OkStatus();
}

absl::StatusOr<Exclusions> ReadExclusions(const DatasetOptions& options) {
  Exclusions exclusions;
  GANNET_ASSIGN_OR_RETURN(const bool is_there,
                          AddNames(ExclusionFilePath(options), exclusions.names));
  if (is_there) return exclusions;
  for (const std::string& old : OldExclusionFiles(options)) {
    GANNET_ASSIGN_OR_RETURN(const bool is_old_there, AddNames(old, exclusions.names));
    if (is_old_there) exclusions.old_files.push_back(old);
  }
  return exclusions;
}

}  // namespace gannet::data
