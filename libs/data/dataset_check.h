#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "libs/data/dataset.h"
#include "libs/data/passed_over.h"

namespace gannet::data {

// An image that cannot be used, and why.
struct BadImage {
  std::string name;  // relative path
  std::string reason;
};

struct DatasetCheckReport {
  int64_t good_count = 0;
  std::vector<BadImage> bad;  // in order of names
  std::vector<PassedOver> passed_over;
};

// Decodes every image, excluded ones too, so that the report is complete whatever was excluded
// before. An image that is smaller than options.crop cannot be used either. `progress`, which may
// be null, is called now and then with how many of how many are done.
// Returns: what OpenDataset returns; a damaged image is part of the report, not an error.
absl::StatusOr<DatasetCheckReport> CheckDataset(
    const DatasetOptions& options, const std::function<void(int64_t, int64_t)>& progress);

// Where the exclusions of a data set stand, however its path is spelled: in the folder, so that a
// copy or a mount of it brings them along; beside an archive, and where that is a link, beside what
// it leads to.
inline constexpr char kExclusionFile[] = ".gannet-exclude";
std::string ExclusionFilePath(const DatasetOptions& options);

// Writes the exclusions, so that OpenDataset leaves `bad` out from now on; with nothing bad, the
// file is removed. Files in the old places (Exclusions) are removed, this one replaces them. One
// relative path a line, UTF-8 or whatever bytes the names have; lines that begin with # are
// comments, of which each image has one with the reason. Returns: INVALID_ARGUMENT - the kind has
// no files to exclude, or a name with a line break in it, which has to be renamed; UNAVAILABLE -
// the file cannot be written.
absl::Status WriteExclusions(const DatasetOptions& options, absl::Span<const BadImage> bad);

// What the exclusion file names. Where there is none, those files count that earlier versions wrote
// beside the folder, with a name that hung on the spelling of the path (PATH.gannet-exclude).
struct Exclusions {
  std::set<std::string> names;         // as NormalizedName gives them
  std::vector<std::string> old_files;  // where they were read, if in such places
};

// Returns: FAILED_PRECONDITION - a file cannot be read or is larger than any such file.
absl::StatusOr<Exclusions> ReadExclusions(const DatasetOptions& options);

}  // namespace gannet::data
