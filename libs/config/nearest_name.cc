#include "libs/config/nearest_name.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace gannet::config {
namespace {

std::string Normalized(absl::string_view name) {
  std::string normalized = absl::AsciiStrToLower(name);
  std::replace(normalized.begin(), normalized.end(), '-', '_');
  return normalized;
}

// What follows the last dot, or empty without one.
std::string LastPart(const std::string& name) {
  const size_t dot = name.rfind('.');
  return dot == std::string::npos ? std::string() : name.substr(dot + 1);
}

}  // namespace

int EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<int> before_previous(b.size() + 1);
  std::vector<int> previous(b.size() + 1);
  std::vector<int> current(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) previous[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    current[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int replaced = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        current[j] = std::min(current[j], before_previous[j - 2] + 1);
      }
    }
    std::swap(before_previous, previous);
    std::swap(previous, current);
  }
  return previous[b.size()];
}

std::string NearestName(absl::string_view name, const std::vector<std::string>& candidates) {
  // Longer input is no typing mistake, and the distance costs time in its square.
  if (name.empty() || name.size() > 100) return "";
  const std::string wanted = Normalized(name);
  const int limit = std::max(2, static_cast<int>(wanted.size()) / 4);
  std::string best;
  int best_cost = limit + 1;
  for (const std::string& candidate : candidates) {
    const std::string normalized = Normalized(candidate);
    int cost = EditDistance(wanted, normalized);
    // "run.lease" for "training.lease", and "lease" alone.
    const std::string last = LastPart(normalized);
    if (!last.empty() && (last == LastPart(wanted) || last == wanted)) cost = std::min(cost, 2);
    if (cost < best_cost) {
      best_cost = cost;
      best = candidate;
    }
  }
  return best;
}

}  // namespace gannet::config
