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

namespace gannet {

// An image that cannot be used, and why.
struct BadImage {
  std::string name;  // relative path
  std::string reason;
};

struct DatasetCheckReport {
  int64_t good_count = 0;
  std::vector<BadImage> bad;  // in order of names
};

// Decodes every image, excluded ones too, so that the report is complete whatever was excluded
// before. An image that is smaller than options.crop cannot be used either. `progress`, which may
// be null, is called now and then with how many of how many are done.
// Returns: what OpenDataset returns; a damaged image is part of the report, not an error.
absl::StatusOr<DatasetCheckReport> CheckDataset(
    const DatasetOptions& options, const std::function<void(int64_t, int64_t)>& progress);

// Where the exclusions of a data set stand: PATH.gannet-exclude, beside the folder or zip.
std::string ExclusionFilePath(const DatasetOptions& options);

// Writes the exclusions, so that OpenDataset leaves `bad` out from now on; with nothing bad, the
// file is removed. One relative path a line, UTF-8 or whatever bytes the names have; lines that
// begin with # are comments, of which each image has one with the reason.
// Returns: INVALID_ARGUMENT - the kind has no files to exclude, or a name with a line break in it,
// which has to be renamed; UNAVAILABLE - the file cannot be written.
absl::Status WriteExclusions(const DatasetOptions& options, absl::Span<const BadImage> bad);

// The names in the exclusion file; none if there is no such file.
// Returns: FAILED_PRECONDITION - the file cannot be read or is larger than any such file.
absl::StatusOr<std::set<std::string>> ReadExclusions(const DatasetOptions& options);

}  // namespace gannet
