#include "libs/domain/gradient_limits.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "libs/base/status_macros.h"

namespace gannet::domain {
namespace {

// A gradient below this stands out from nothing: an honest one does not reach it unless the
// training has diverged, so that nobody can have an honest one rejected by handing in tiny ones.
constexpr double kOutlierLeast = 1e4;

struct Domain {
  float least = 0;
  float most = 0;
};

bool IsBatchMean(absl::string_view name) { return absl::StrContains(name, ".batch_mean."); }
bool IsBatchVariance(absl::string_view name) { return absl::StrContains(name, ".batch_var."); }

Domain DomainOf(absl::string_view name) {
  const auto symmetric = [](double limit) {
    return Domain{-static_cast<float>(limit), static_cast<float>(limit)};
  };
  if (IsBatchMean(name)) return symmetric(kMaxBatchMean);
  if (IsBatchVariance(name)) return {0, static_cast<float>(kMaxBatchVariance)};
  return symmetric(kMaxGradientValue);
}

// The place of the value that is so many times the median; -1: none.
int FindOutlierAmong(const std::vector<double>& largest_values) {
  constexpr size_t kFewest = 3;
  if (largest_values.size() < kFewest) return -1;
  std::vector<double> sorted = largest_values;
  const auto median = sorted.begin() + static_cast<ptrdiff_t>((sorted.size() - 1) / 2);
  std::nth_element(sorted.begin(), median, sorted.end());
  const auto largest = std::max_element(largest_values.begin(), largest_values.end());
  // Beside gradients of nothing but zeros, or next to nothing, every honest one would stand out.
  if (*largest < kOutlierLeast || *largest <= kOutlierFactor * *median) return -1;
  return static_cast<int>(largest - largest_values.begin());
}

}  // namespace

absl::Status CheckGradientValues(const tensor::TensorBundle& gradient) {
  GANNET_RETURN_IF_ERROR(gradient.CheckFinite());
  for (const tensor::Tensor& tensor : gradient.tensors()) {
    if (tensor.spec.dtype != tensor::Dtype::kF32) continue;
    const Domain domain = DomainOf(tensor.spec.name);
    const absl::Span<const float> values = tensor.f32();
    // Without a branch in the loop: nearly always all are inside.
    bool inside = true;
    for (const float value : values) inside &= value >= domain.least && value <= domain.most;
    if (inside) continue;
    const auto first = std::find_if(values.begin(), values.end(), [&](float value) {
      return value < domain.least || value > domain.most;
    });
    return absl::InvalidArgumentError(absl::StrFormat(
        "a value of the gradient is out of bounds: tensor '%s', position %d: expected %g to %g, "
        "got %g",
        tensor.spec.name, first - values.begin(), domain.least, domain.most, *first));
  }
  return absl::OkStatus();
}

GradientExtent ExtentOf(const tensor::TensorBundle& gradient) {
  GradientExtent extent;
  for (const tensor::Tensor& tensor : gradient.tensors()) {
    if (tensor.spec.dtype != tensor::Dtype::kF32) continue;
    float largest = 0;
    for (const float value : tensor.f32()) largest = std::max(largest, std::abs(value));
    const absl::string_view name = tensor.spec.name;
    if (IsBatchVariance(name)) {
      extent.statistics = std::max(extent.statistics, std::sqrt(double{largest}));
    } else if (IsBatchMean(name)) {
      extent.statistics = std::max(extent.statistics, double{largest});
    } else {
      extent.parameters = std::max(extent.parameters, double{largest});
    }
  }
  return extent;
}

int FindOutlier(const std::vector<GradientExtent>& extents) {
  std::vector<double> parameters;
  std::vector<double> statistics;
  for (const GradientExtent& extent : extents) {
    parameters.push_back(extent.parameters);
    statistics.push_back(extent.statistics);
  }
  const int outlier = FindOutlierAmong(parameters);
  return outlier >= 0 ? outlier : FindOutlierAmong(statistics);
}

}  // namespace gannet::domain
