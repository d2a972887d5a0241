#include "libs/quality/mode_coverage.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "libs/data/dataset.h"

namespace gannet::quality {
namespace {

constexpr double kLeastShare = 0.01;
constexpr double kCoveredPart = 0.1;

double ShareWithBit(absl::Span<const int64_t> labels, size_t bit) {
  const auto count = std::count_if(labels.begin(), labels.end(),
                                   [&](int64_t label) { return (label >> bit & 1) != 0; });
  return static_cast<double>(count) / static_cast<double>(labels.size());
}

// A mode by number, and the share of images that have it.
using Shares = std::map<int64_t, double>;

// Modes of bits: the pair (i, j) with its two values.
Shares SharesOfPairs(absl::Span<const int64_t> labels, size_t bits) {
  Shares shares;
  const double each = 1.0 / static_cast<double>(labels.size());
  for (const int64_t label : labels) {
    for (size_t i = 0; i < bits; ++i) {
      for (size_t j = i + 1; j < bits; ++j) {
        const int64_t values = (label >> i & 1) << 1 | (label >> j & 1);
        shares[static_cast<int64_t>(i << 16 | j << 2) | values] += each;
      }
    }
  }
  return shares;
}

Shares SharesOf(absl::Span<const int64_t> labels, size_t bits) {
  if (bits > 1) return SharesOfPairs(labels, bits);
  Shares shares;
  for (const int64_t label : labels) shares[label] += 1.0 / static_cast<double>(labels.size());
  return shares;
}

std::vector<int64_t> Known(absl::Span<const int64_t> labels) {
  std::vector<int64_t> known(labels.begin(), labels.end());
  std::erase(known, data::kNoLabel);
  return known;
}

}  // namespace

ModeCoverage MeasureModeCoverage(absl::Span<const int64_t> real_labels,
                                 absl::Span<const int64_t> generated_labels,
                                 const std::vector<std::string>& bit_names) {
  const std::vector<int64_t> real_known = Known(real_labels);
  const std::vector<int64_t> generated_known = Known(generated_labels);
  ModeCoverage coverage;
  if (real_known.empty() || generated_known.empty()) return coverage;
  const Shares real = SharesOf(real_known, bit_names.size());
  const Shares generated = SharesOf(generated_known, bit_names.size());
  for (const auto& [mode, share] : real) {
    if (share < kLeastShare) continue;
    const auto found = generated.find(mode);
    const double other = found == generated.end() ? 0 : found->second;
    coverage.real_modes += 1;
    coverage.covered += other >= share * kCoveredPart ? 1 : 0;
    coverage.share_error += std::abs(share - other);
  }
  if (coverage.real_modes > 0) coverage.share_error /= static_cast<double>(coverage.real_modes);
  for (size_t bit = 0; bit < bit_names.size(); ++bit) {
    coverage.bits.push_back({.name = bit_names[bit],
                             .real_share = ShareWithBit(real_known, bit),
                             .generated_share = ShareWithBit(generated_known, bit)});
  }
  return coverage;
}

}  // namespace gannet::quality
