#include "libs/data/encoded_dataset.h"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/hex.h"
#include "libs/base/printable.h"
#include "libs/base/sha256.h"
#include "libs/base/status_macros.h"
#include "libs/data/content_digest.h"
#include "libs/data/dataset_kind.h"
#include "libs/data/image_names.h"
#include "libs/data/image_request.h"
#include "libs/data/image_source.h"
#include "libs/data/labels.h"
#include "libs/data/passed_over.h"
#include "libs/image/image_io.h"
#include "libs/image/resize.h"

namespace gannet::data {
namespace {

// Of a name in a description, which is one line for people.
constexpr size_t kShownNameChars = 100;

// Of a description; a run with a longer one would be refused.
constexpr size_t kMaxDescriptionChars = 500;

// Length of the folders that all names share, so that it does not matter at which level of nested
// folders somebody unpacked or pointed at the data.
size_t SharedFolderLength(const std::string& first, const std::string& last) {
  // In sorted order what the first and the last share, all share.
  const size_t most = std::min(first.size(), last.size());
  size_t shared = 0;
  for (size_t i = 0; i < most && first[i] == last[i]; ++i) {
    if (first[i] == '/') shared = i + 1;
  }
  return shared;
}

// What is no part of the data set though somebody may think so, for the end of a sentence.
std::string RestText(const ImageSource& source, const Exclusions& exclusions) {
  std::string text;
  const std::vector<PassedOver> passed_over = source.passed_over();
  if (!passed_over.empty()) absl::StrAppend(&text, "; passed over: ", PassedOverText(passed_over));
  if (!exclusions.names.empty()) {
    absl::StrAppend(&text, "; ", exclusions.names.size(), " names excluded");
  }
  if (!exclusions.old_files.empty()) {
    absl::StrAppend(&text, " by ", base::Printable(exclusions.old_files.front(), kShownNameChars),
                    ", an old place: `gannet data check --exclude` writes a file that goes with "
                    "the data");
  }
  return text;
}

// As versions before content counted made it, of the names as they are stored.
std::string FormerDigest(const DatasetOptions& options,
                         const std::vector<ImageSource::Entry>& entries) {
  const size_t shared = SharedFolderLength(entries.front().path, entries.back().path);
  base::Sha256Hasher hasher;
  hasher.Update(absl::StrCat("gannet ", options.kind, " 1\n"));
  if (options.crop > 0) hasher.Update(absl::StrCat("crop ", options.crop, "\n"));
  for (const ImageSource::Entry& entry : entries) {
    hasher.Update(absl::string_view(entry.path).substr(shared));
    hasher.Update(absl::string_view("\0", 1));
    hasher.Update(absl::StrCat(entry.bytes, " ", entry.crc32, "\n"));
  }
  return base::HexEncode(hasher.Finish());
}

std::string CanonicalPath(const std::string& path) {
  std::error_code error;
  const std::filesystem::path canonical = std::filesystem::canonical(path, error);
  return error ? path : canonical.string();
}

ContentDigests DigestsOf(const DatasetOptions& options, const ImageSource& source) {
  std::vector<DigestItem> items;
  items.reserve(source.entries().size());
  for (size_t i = 0; i < source.entries().size(); ++i) {
    const ImageSource::Entry& entry = source.entries()[i];
    // What is gone by now cannot be read either.
    const absl::StatusOr<FileIdentity> identity = source.Identify(i);
    items.push_back({entry.path, identity.ok() ? *identity : FileIdentity{.bytes = entry.bytes}});
  }
  const auto hash = [&](size_t i) -> absl::StatusOr<std::string> {
    GANNET_ASSIGN_OR_RETURN(const std::string bytes, source.Read(i));
    return base::Sha256(bytes);
  };
  base::RealClock clock;
  return DigestContents(items, hash,
                        {.cache_folder = DefaultCacheFolder(),
                         .cache_key = absl::StrCat(options.kind, "\n", CanonicalPath(options.path)),
                         .thread_count = DigestThreadCount(),
                         .now = clock.Now(),
                         .progress = options.on_reading});
}

std::string DigestOf(const DatasetOptions& options, const std::vector<ImageSource::Entry>& entries,
                     const ContentDigests& contents) {
  const size_t shared = SharedFolderLength(entries.front().name, entries.back().name);
  base::Sha256Hasher hasher;
  hasher.Update(absl::StrCat("gannet ", options.kind, " 2\n"));
  if (options.crop > 0) hasher.Update(absl::StrCat("crop ", options.crop, "\n"));
  for (size_t i = 0; i < entries.size(); ++i) {
    hasher.Update(absl::string_view(entries[i].name).substr(shared));
    // No name holds a zero byte, so no two lists give the same bytes.
    hasher.Update(absl::string_view("\0", 1));
    // What cannot be read equals nothing that can.
    const std::string& sha256 = contents.sha256[i];
    hasher.Update(absl::StrCat(entries[i].bytes, " ",
                               sha256.empty() ? "unreadable" : base::HexEncode(sha256), "\n"));
  }
  return base::HexEncode(hasher.Finish());
}

DatasetFingerprint FingerprintOf(const DatasetOptions& options, const ImageSource& source,
                                 const Exclusions& exclusions) {
  const std::vector<ImageSource::Entry>& entries = source.entries();
  const ContentDigests contents = DigestsOf(options, source);
  DatasetFingerprint fingerprint;
  fingerprint.kind = options.kind;
  fingerprint.image_count = static_cast<int64_t>(entries.size());
  fingerprint.digest = DigestOf(options, entries, contents);
  fingerprint.former_digest = FormerDigest(options, entries);
  fingerprint.description =
      absl::StrCat(entries.size(), " images in the ",
                   FindDatasetKind(options.kind)->is_folder ? "folder " : "archive ",
                   base::Printable(options.path, kShownNameChars), ", from ",
                   base::Printable(entries.front().name, kShownNameChars), " to ",
                   base::Printable(entries.back().name, kShownNameChars));
  if (options.crop > 0) {
    absl::StrAppend(&fingerprint.description, ", cut to ", options.crop, " pixels in the middle");
  }
  if (!source.left_out().empty()) {
    absl::StrAppend(&fingerprint.description, " (", source.left_out().size(),
                    " unreadable ones left out, `gannet data check` names them)");
  }
  if (contents.unreadable_count > 0) {
    absl::StrAppend(&fingerprint.description, " (", contents.unreadable_count,
                    " of them cannot be read, `gannet data check` names them)");
  }
  absl::StrAppend(&fingerprint.description, RestText(source, exclusions));
  fingerprint.description = base::Printable(fingerprint.description, kMaxDescriptionChars);
  return fingerprint;
}

// What the files beside the images say of their labels.
struct FoundLabels {
  ImageLabels labels;
  std::string problem;  // of the first file that cannot be used, where no other could
};

// The first file that fits the images; one that does not is no reason to do without them.
FoundLabels ReadLabels(const ImageSource& source) {
  using Parse = absl::StatusOr<ImageLabels> (*)(absl::string_view, const std::vector<std::string>&);
  struct LabelFile {
    const char* name;
    bool above;
    Parse parse;
  };
  const auto read = [&](const LabelFile& file) -> absl::StatusOr<ImageLabels> {
    GANNET_ASSIGN_OR_RETURN(const ImageSource::SideFile side,
                            source.ReadSideFile(file.name, file.above));
    std::vector<std::string> names;
    for (const ImageSource::Entry& entry : source.entries()) {
      names.push_back(absl::StartsWith(entry.name, side.folder)
                          ? entry.name.substr(side.folder.size())
                          : entry.name);
    }
    return file.parse(side.bytes, names);
  };
  FoundLabels found;
  for (const LabelFile& file : {LabelFile{"dataset.json", false, &ParseDatasetJson},
                                {"list_attr_celeba.txt", true, &ParseCelebaAttributes},
                                {"list_attr_celeba.csv", true, &ParseCelebaAttributes}}) {
    absl::StatusOr<ImageLabels> labels = read(file);
    if (labels.ok()) {
      found.problem.clear();
      found.labels = *std::move(labels);
      return found;
    }
    if (found.problem.empty() && !absl::IsNotFound(labels.status())) {
      found.problem = absl::StrCat(file.name, ": ", labels.status().message());
    }
  }
  return found;
}

// The square of `side` pixels in the middle, which must be there.
image::RgbImage CutMiddle(const image::RgbImage& image, int side) {
  const int left = (image.width - side) / 2, top = (image.height - side) / 2;
  image::RgbImage cut{.width = side, .height = side, .pixels = {}};
  cut.pixels.reserve(size_t{3} * static_cast<size_t>(side) * static_cast<size_t>(side));
  for (int y = top; y < top + side; ++y) {
    const auto row =
        image.pixels.begin() + std::ptrdiff_t{3} * (std::ptrdiff_t{y} * image.width + left);
    cut.pixels.insert(cut.pixels.end(), row, row + std::ptrdiff_t{3} * side);
  }
  return cut;
}

class EncodedDataset final : public Dataset {
 public:
  EncodedDataset(std::unique_ptr<ImageSource> source, int image_size, int crop, FoundLabels found,
                 DatasetFingerprint fingerprint, std::vector<PassedOver> passed_over)
      : source_(std::move(source)),
        image_size_(image_size),
        crop_(crop),
        labels_(std::move(found.labels)),
        labels_problem_(std::move(found.problem)),
        fingerprint_(std::move(fingerprint)),
        passed_over_(std::move(passed_over)) {}

  bool has_labels() const override { return !labels_.values.empty(); }
  std::vector<std::string> label_bits() const override { return labels_.bits; }
  std::string labels_problem() const override { return labels_problem_; }

  int64_t LabelOf(int64_t index) const override {
    if (index < 0 || static_cast<size_t>(index) >= labels_.values.size()) return 0;
    return labels_.values[static_cast<size_t>(index)];
  }

  int64_t size() const override { return static_cast<int64_t>(source_->entries().size()); }
  const DatasetFingerprint& fingerprint() const override { return fingerprint_; }
  std::vector<PassedOver> passed_over() const override { return passed_over_; }

  std::string NameOf(int64_t index) const override {
    if (index < 0 || index >= size()) return absl::StrCat("no image ", index);
    return source_->entries()[static_cast<size_t>(index)].name;
  }

  absl::Status ReadRgb(int64_t index, absl::Span<uint8_t> out) const override {
    GANNET_RETURN_IF_ERROR(CheckImageRequest(index, size(), image_size_, out.size()));
    const size_t i = static_cast<size_t>(index);
    absl::StatusOr<std::string> bytes = source_->Read(i);
    absl::StatusOr<image::RgbImage> image =
        bytes.ok() ? image::DecodeImage(*bytes) : bytes.status();
    const absl::Status usable = image.ok() ? CheckCrop(crop_, *image) : image.status();
    if (!usable.ok()) {
      return absl::DataLossError(absl::StrCat("image cannot be used: ", usable.message(), ": ",
                                              source_->entries()[i].name));
    }
    if (crop_ > 0) *image = CutMiddle(*image, std::max(1, crop_ / image->reduced_by));
    image::ResizeAndCrop(*image, image_size_, out);
    return absl::OkStatus();
  }

 private:
  const std::unique_ptr<ImageSource> source_;
  const int image_size_;
  const int crop_;
  const ImageLabels labels_;
  const std::string labels_problem_;
  const DatasetFingerprint fingerprint_;
  const std::vector<PassedOver> passed_over_;
};

}  // namespace

absl::Status CheckCrop(int crop, const image::RgbImage& image) {
  const int width = image.width * image.reduced_by;
  const int height = image.height * image.reduced_by;
  const int side = std::min(width, height);
  if (crop <= side) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("it has ", width, "x", height,
                                          " pixels, too few for data.crop ", crop, " (set that to ",
                                          side, " or less, or to 0 for no crop)"));
}

absl::StatusOr<std::unique_ptr<Dataset>> OpenEncodedDataset(const DatasetOptions& options) {
  GANNET_ASSIGN_OR_RETURN(const Exclusions exclusions, ReadExclusions(options));
  GANNET_ASSIGN_OR_RETURN(
      std::unique_ptr<ImageSource> source,
      FindDatasetKind(options.kind)->open_files(options.path, exclusions.names));
  if (source->entries().empty()) {
    std::string message =
        absl::StrCat("data set holds no readable image (", ImageEndingsText(),
                     ", not hidden, at any depth): ", options.path, RestText(*source, exclusions));
    if (!source->left_out().empty()) {
      const BadImage& first = source->left_out().front();
      absl::StrAppend(&message, "; ", source->left_out().size(),
                      " left out, the first: ", first.name, ": ", first.reason);
    }
    return absl::FailedPreconditionError(message);
  }
  FoundLabels labels = ReadLabels(*source);
  std::vector<PassedOver> passed_over = source->passed_over();
  DatasetFingerprint fingerprint = FingerprintOf(options, *source, exclusions);
  return std::make_unique<EncodedDataset>(std::move(source), options.image_size, options.crop,
                                          std::move(labels), std::move(fingerprint),
                                          std::move(passed_over));
}

}  // namespace gannet::data
