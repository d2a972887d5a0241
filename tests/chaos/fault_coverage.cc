#include "tests/chaos/fault_coverage.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace gannet::chaos {

void FaultCoverage::Require(const std::string& section, const std::string& cell, int least) {
  required_[section][cell] = least;
  counts_[section].emplace(cell, 0);
}

void FaultCoverage::Set(const std::string& section, const std::string& cell, int count) {
  counts_[section][cell] = count;
}

int FaultCoverage::Get(const std::string& section, const std::string& cell) const {
  const auto found = counts_.find(section);
  if (found == counts_.end()) return 0;
  const auto count = found->second.find(cell);
  return count == found->second.end() ? 0 : count->second;
}

bool FaultCoverage::IsBelowTarget(const std::string& section, const std::string& cell) const {
  const auto cells = required_.find(section);
  if (cells == required_.end()) return false;
  const auto least = cells->second.find(cell);
  return least != cells->second.end() && Get(section, cell) < least->second;
}

std::string FaultCoverage::LeastCovered(const std::string& section, std::mt19937_64& random) const {
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

std::vector<std::string> FaultCoverage::Missing() const {
  std::vector<std::string> missing;
  for (const auto& [section, cells] : required_) {
    for (const auto& [cell, least] : cells) {
      if (IsBelowTarget(section, cell)) {
        missing.push_back(absl::StrCat(section, " ", cell, " ", Get(section, cell), " of ", least));
      }
    }
  }
  return missing;
}

std::string FaultCoverage::ToString() const {
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
