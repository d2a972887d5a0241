#include "tests/chaos/storm_table.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace gannet::chaos {

void StormTable::Require(const std::string& section, const std::string& cell, int least) {
  required_[section][cell] = least;
  counts_[section].emplace(cell, 0);
}

void StormTable::Set(const std::string& section, const std::string& cell, int count) {
  counts_[section][cell] = count;
}

int StormTable::Get(const std::string& section, const std::string& cell) const {
  const auto found = counts_.find(section);
  if (found == counts_.end()) return 0;
  const auto count = found->second.find(cell);
  return count == found->second.end() ? 0 : count->second;
}

bool StormTable::IsShortOf(const std::string& section, const std::string& cell) const {
  const auto cells = required_.find(section);
  if (cells == required_.end()) return false;
  const auto least = cells->second.find(cell);
  return least != cells->second.end() && Get(section, cell) < least->second;
}

std::string StormTable::Rarest(const std::string& section, std::mt19937_64& random) const {
  std::vector<std::string> rarest;
  const auto cells = counts_.find(section);
  if (cells == counts_.end()) return "";
  int least = std::numeric_limits<int>::max();
  for (const auto& [cell, count] : cells->second) {
    if (count < least) rarest.clear();
    least = std::min(least, count);
    if (count == least) rarest.push_back(cell);
  }
  return rarest.empty() ? "" : rarest[random() % rarest.size()];
}

std::vector<std::string> StormTable::Missing() const {
  std::vector<std::string> missing;
  for (const auto& [section, cells] : required_) {
    for (const auto& [cell, least] : cells) {
      if (IsShortOf(section, cell)) {
        missing.push_back(absl::StrCat(section, " ", cell, " ", Get(section, cell), " of ", least));
      }
    }
  }
  return missing;
}

std::string StormTable::ToString() const {
  std::string text;
  for (const auto& [section, cells] : counts_) {
    absl::StrAppend(&text, section, "\n");
    for (const auto& [cell, count] : cells) {
      absl::StrAppendFormat(&text, "  %-34s %6d", cell, count);
      const auto needed = required_.find(section);
      if (needed != required_.end() && needed->second.count(cell) > 0) {
        absl::StrAppendFormat(&text, "  (at least %d)", needed->second.at(cell));
      }
      absl::StrAppend(&text, "\n");
    }
  }
  return text;
}

}  // namespace gannet::chaos
