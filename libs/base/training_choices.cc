#include "libs/base/training_choices.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace gannet::base {
namespace {

template <typename List, typename Value>
bool Contains(const List& list, const Value& value) {
  return std::find(std::begin(list), std::end(list), value) != std::end(list);
}

}  // namespace

bool IsModelName(absl::string_view name) { return Contains(kModelNames, name); }

bool IsModelImageSize(int image_size) { return Contains(kModelImageSizes, image_size); }

bool LossIgnoresTarget(absl::string_view name) {
#define GANNET_LOSS_IGNORES_TARGET(loss, knows_target) \
  if (name == #loss) return !knows_target;
  GANNET_LOSSES(GANNET_LOSS_IGNORES_TARGET)
#undef GANNET_LOSS_IGNORES_TARGET
  return false;
}

std::string CodecName(int number) {
  for (size_t i = 0; i < std::size(kCodecNames); ++i) {
    if (kCodecNumbers[i] == number) return std::string(kCodecNames[i]);
  }
  return absl::StrCat(number);
}

bool IsDrawnDataset(absl::string_view name) {
#define GANNET_DATASET_IS_DRAWN(kind, is_drawn, source) \
  if (name == #kind) return is_drawn;
  GANNET_DATASETS(GANNET_DATASET_IS_DRAWN)
#undef GANNET_DATASET_IS_DRAWN
  return false;
}

absl::string_view DatasetSource(absl::string_view name) {
#define GANNET_DATASET_SOURCE(kind, is_drawn, source) \
  if (name == #kind) return source;
  GANNET_DATASETS(GANNET_DATASET_SOURCE)
#undef GANNET_DATASET_SOURCE
  return "";
}

std::string CheckAugmentList(absl::string_view list) {
  if (list.empty()) return "";
  std::set<absl::string_view> seen;
  for (const absl::string_view name : absl::StrSplit(list, ',')) {
    if (!Contains(kAugmentNames, name)) {
      return absl::StrCat("must be empty or a list, without spaces, of ", JoinAugmentNames());
    }
    if (!seen.insert(name).second) return absl::StrCat("names ", name, " twice");
  }
  return "";
}

std::string JoinModelNames() { return absl::StrJoin(kModelNames, ", "); }
std::string JoinModelImageSizes() { return absl::StrJoin(kModelImageSizes, ", "); }
std::string JoinAugmentNames() { return absl::StrJoin(kAugmentNames, ", "); }
std::string JoinDatasetNames() { return absl::StrJoin(kDatasetNames, ", "); }
std::string DescribeDatasets() {
  return absl::StrJoin(kDatasetNames, "; ", [](std::string* out, absl::string_view name) {
    absl::StrAppend(out, name, ": ", DatasetSource(name));
  });
}
std::string JoinCodecNumbers() {
  return absl::StrJoin(kCodecNumbers, ", ", [](std::string* out, int number) {
    absl::StrAppend(out, number, " (", CodecName(number), ")");
  });
}

}  // namespace gannet::base
