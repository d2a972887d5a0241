#pragma once

#include <vector>

#include "absl/status/status.h"
#include "libs/tensor/tensor_bundle.h"

namespace gannet::domain {

// What a gradient and its statistics may say. Whoever computes it is not believed: these limits are
// asked where a gradient enters (gateway, memory backend, and for the statistics the SQL functions,
// which name the same numbers) and again before it is folded, because an older version or somebody
// with psql may have stored it. Every honest gradient lies far inside of them, and whatever lies
// inside of them can be folded, applied and published: no sum, square, mean or moment overflows.

// A mean loss that no training comes back from: those of healthy ones stay below ten. A worker that
// computes a larger one says that the run has diverged and hands nothing in.
inline constexpr double kDivergedLoss = 1e4;

// A week: longer than any lease can be renewed without progress.
inline constexpr double kMaxComputeSeconds = 7.0 * 24 * 60 * 60;

// Of an element of a parameter's gradient, by magnitude. Its square, 1e36, is what Adam's second
// moment can reach at most (v is a mean of squares) and leaves a factor of 300 below the largest
// float (3.4e38); a weighted sum of some thousand units is taken in double. Adam divides by
// the root of v, so the step that follows is bounded by the learning rate, whatever the gradient.
inline constexpr double kMaxGradientValue = 1e18;

// Of a channel's mean in one batch, by magnitude, and of its variance, the square of that. What
// enters a BatchNorm is a weighted sum of outputs of the layer before, which are about one: a
// training whose channels stand at a million has diverged in all but name. Running statistics are
// means of these, so they obey the same limits.
inline constexpr double kMaxBatchMean = 1e6;
inline constexpr double kMaxBatchVariance = 1e12;

// A gradient stands out when its largest value is so many times the median of those of its round:
// all of them are computed from the same weights, and honest ones differ by a factor of a few.
inline constexpr double kOutlierFactor = 1e4;

// Whether every value of a gradient (layout GradientSpec) is finite and in its domain: parameters'
// gradients, batch means, and batch variances, which are not negative either.
// Returns: INVALID_ARGUMENT - naming tensor, position, value and limit.
absl::Status CheckGradientValues(const tensor::TensorBundle& gradient);

// How far a gradient reaches.
struct GradientExtent {
  double parameters = 0;  // the largest magnitude among the parameters' gradients
  double statistics = 0;  // the largest magnitude of a batch mean or of a root of a batch variance
};
GradientExtent ExtentOf(const tensor::TensorBundle& gradient);

// The place of the one that stands out among the gradients of a round, or -1: none does, or there
// are fewer than three, so that nobody can say which of them is the ordinary one.
int FindOutlier(const std::vector<GradientExtent>& extents);

}  // namespace gannet::domain
