#include "libs/data/dataset_kind.h"

#include <vector>

#include "absl/strings/str_join.h"

namespace gannet::data {

const DatasetKind* FindDatasetKind(absl::string_view name) {
#define GANNET_FIND_DATASET(kind, is_drawn, source) \
  if (name == #kind) return &datasets::kind;
  GANNET_DATASETS(GANNET_FIND_DATASET)
#undef GANNET_FIND_DATASET
  return nullptr;
}

bool HasImageFiles(absl::string_view kind) {
  const DatasetKind* found = FindDatasetKind(kind);
  return found != nullptr && found->open_files != nullptr;
}

std::string JoinDatasetNamesWhere(bool has_image_files) {
  std::vector<absl::string_view> names;
  for (const absl::string_view name : base::kDatasetNames) {
    if (HasImageFiles(name) == has_image_files) names.push_back(name);
  }
  return absl::StrJoin(names, ", ");
}

}  // namespace gannet::data
