// In place of unicode_names.cc and datasets/zip.cc where
// GANNET_IMAGE_CODECS is off: a machine that only computes, on images that need no decoding.
#include "absl/strings/str_cat.h"
#include "libs/data/dataset_kind.h"
#include "libs/data/encoded_dataset.h"
#include "libs/data/image_names.h"
#include "libs/data/image_source.h"

namespace gannet::data {
namespace {

absl::Status NoCodecs() {
  return absl::UnimplementedError(
      absl::StrCat("this program was built without image codecs (GANNET_IMAGE_CODECS): use a data "
                   "set of one of the kinds ",
                   JoinDatasetNamesWhere(false)));
}

absl::StatusOr<std::unique_ptr<ImageSource>> OpenFiles(const std::string& /*path*/,
                                                       const std::set<std::string>& /*excluded*/) {
  return NoCodecs();
}

}  // namespace

// Nothing that has names is read here.
std::string NormalizedName(absl::string_view name) { return std::string(name); }

const DatasetKind datasets::zip = {.open = OpenEncodedDataset, .open_files = OpenFiles};

}  // namespace gannet::data
