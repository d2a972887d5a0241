#pragma once

#include <memory>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/training_choices.h"
#include "libs/data/dataset.h"
#include "libs/data/image_source.h"

// Kinds of data sets. A kind is a file in datasets/ and its line in GANNET_DATASETS
// (libs/base/training_choices.h); dataset_kind_test.cc then covers it. What its path may be, what
// its labels and the digest of its fingerprint are is said in that file, above its object.

namespace gannet::data {

struct DatasetKind {
  // Opens a data set; image_size and crop are right, and a path is there where the kind needs one.
  // Returns: what OpenDataset returns.
  absl::StatusOr<std::unique_ptr<Dataset>> (*open)(const DatasetOptions& options);

  // Where the images are files that are decoded when they are read, so that they can be cropped,
  // checked one by one and excluded: finds them at `path`, without the names in `excluded`; it may
  // turn out to hold no image at all. Null for kinds whose images are no files.
  // Returns: NOT_FOUND - no such path; FAILED_PRECONDITION - it is nothing of this kind.
  absl::StatusOr<std::unique_ptr<ImageSource>> (*open_files)(
      const std::string& path, const std::set<std::string>& excluded) = nullptr;
  // Whether that path is a folder, which the exclusions lie in; else they lie beside the file.
  bool is_folder = false;

  // Reads everything and compares a checksum that the data set itself has. Null: it has none.
  // Returns: DATA_LOSS - damaged; otherwise as `open`.
  absl::Status (*verify)(const DatasetOptions& options) = nullptr;

  // Whether a file that begins with `head` may be one of this kind although it looks like text.
  // Null: no file of the kind does.
  bool (*may_look_like_text)(const std::string& path, absl::string_view head) = nullptr;
};

// Each is defined in the file of its name.
namespace datasets {
#define GANNET_DECLARE_DATASET(name, is_drawn, source) extern const DatasetKind name;
GANNET_DATASETS(GANNET_DECLARE_DATASET)
#undef GANNET_DECLARE_DATASET
}  // namespace datasets

// The kind of that name (kDatasetNames), or null.
const DatasetKind* FindDatasetKind(absl::string_view name);

// Whether there is such a kind and its images are files (DatasetKind::open_files).
bool HasImageFiles(absl::string_view kind);

// The names of the kinds of which HasImageFiles is so; for messages.
std::string JoinDatasetNamesWhere(bool has_image_files);

}  // namespace gannet::data
