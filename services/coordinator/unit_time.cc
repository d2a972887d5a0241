#include "services/coordinator/unit_time.h"

#include <algorithm>

namespace gannet::coordinator {

absl::Duration MedianComputeTime(const std::vector<exchange::GradientInfo>& gradients) {
  if (gradients.empty()) return absl::ZeroDuration();
  std::vector<double> seconds;
  seconds.reserve(gradients.size());
  for (const exchange::GradientInfo& gradient : gradients)
    seconds.push_back(gradient.stats.compute_seconds);
  const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>((seconds.size() - 1) / 2);
  std::nth_element(seconds.begin(), middle, seconds.end());
  return absl::Seconds(*middle);
}

}  // namespace gannet::coordinator
