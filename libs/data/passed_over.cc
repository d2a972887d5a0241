#include "libs/data/passed_over.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace gannet::data {
namespace {

// A sentence with more of them is read by nobody; `gannet data check` has a line for each.
constexpr size_t kShownKinds = 8;

}  // namespace

void PassedOverCounts::Add(const PassedOverKind& kind, const std::string& name) {
  PassedOver& entry = by_what_[kind.what];
  if (entry.count == 0 || name < entry.first) entry.first = name;
  entry.what = kind.what;
  entry.why = kind.why;
  ++entry.count;
}

std::vector<PassedOver> PassedOverCounts::all() const {
  std::vector<PassedOver> all;
  all.reserve(by_what_.size());
  for (const auto& [what, entry] : by_what_) all.push_back(entry);
  return all;
}

std::string PassedOverText(absl::Span<const PassedOver> all) {
  std::vector<std::string> parts;
  for (const PassedOver& entry : all.subspan(0, std::min(all.size(), kShownKinds))) {
    parts.push_back(absl::StrCat(entry.count, " ", entry.what));
  }
  if (all.size() > kShownKinds) {
    parts.push_back(absl::StrCat(all.size() - kShownKinds, " more kinds"));
  }
  return absl::StrJoin(parts, ", ");
}

}  // namespace gannet::data
