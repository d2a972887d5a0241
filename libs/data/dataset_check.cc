#include "libs/data/dataset_check.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "libs/base/atomic_file.h"
#include "libs/base/file_bytes.h"
#include "libs/base/status_macros.h"
#include "libs/data/encoded_dataset.h"
#include "libs/data/image_io.h"
#include "libs/data/image_source.h"
#include "libs/data/packed_dataset.h"

namespace gannet {
namespace {

// A million long names.
constexpr int64_t kMaxExclusionFileBytes = int64_t{256} << 20;

constexpr int64_t kProgressEvery = 100;

bool HasFiles(const DatasetOptions& options) {
  return options.kind == "folder" || options.kind == "zip";
}

// Data sets that are made of files: the source is read without exclusions.
absl::StatusOr<DatasetCheckReport> CheckFiles(
    const DatasetOptions& options, const std::function<void(int64_t, int64_t)>& progress) {
  GANNET_ASSIGN_OR_RETURN(const std::unique_ptr<ImageSource> source, OpenImageSource(options, {}));
  DatasetCheckReport report;
  report.bad = source->left_out();
  const int64_t total = static_cast<int64_t>(source->entries().size());
  for (int64_t i = 0; i < total; ++i) {
    const size_t at = static_cast<size_t>(i);
    const absl::StatusOr<std::string> bytes = source->Read(at);
    const absl::StatusOr<RgbImage> image = bytes.ok() ? DecodeImage(*bytes) : bytes.status();
    const absl::Status usable =
        image.ok() ? CheckCrop(options.crop, image->width, image->height) : image.status();
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
  if (HasFiles(options) && !options.path.empty()) return CheckFiles(options, progress);
  GANNET_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset, OpenDataset(options));
  if (options.kind == "packed") GANNET_RETURN_IF_ERROR(VerifyPackedDataset(options));
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
  std::string path = options.path;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path + ".gannet-exclude";
}

absl::Status WriteExclusions(const DatasetOptions& options, absl::Span<const BadImage> bad) {
  if (!HasFiles(options) || options.path.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "only data sets of kind folder or zip have files to exclude, got kind ", options.kind));
  }
  const std::string path = ExclusionFilePath(options);
  if (bad.empty()) {
    if (unlink(path.c_str()) != 0 && errno != ENOENT) {
      return absl::UnavailableError(
          absl::StrCat("exclusion file cannot be removed: ", std::strerror(errno), ": ", path));
    }
    return absl::OkStatus();
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
  return WriteFileAtomically(path, text);
}

absl::StatusOr<std::set<std::string>> ReadExclusions(const DatasetOptions& options) {
  std::set<std::string> names;
  const std::string path = ExclusionFilePath(options);
  const absl::StatusOr<std::string> text = ReadFileBytes(path, kMaxExclusionFileBytes);
  if (absl::IsNotFound(text.status())) return names;
  if (!text.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("exclusions of the data set: ", text.status().message(), ": ", path));
  }
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    absl::ConsumeSuffix(&line, "\r");
    if (line.empty() || line.front() == '#') continue;
    absl::ConsumePrefix(&line, "./");
    names.emplace(line);
  }
  return names;
}

}  // namespace gannet
