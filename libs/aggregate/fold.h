#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/tensor/tensor_bundle.h"

namespace gannet {

// Folds the gradients of a round into their weighted mean, in the order they are added:
// callers add in slot order, so the result has the same bits whatever order gradients arrived in.
// Accumulates in double.
//
// Thread safety: none.
class WeightedMean {
 public:
  // Adds a gradient with a finite weight > 0: its images, or fewer when it is late. Its tensors may
  // come in any order; the mean has the order of the first gradient. Returns: INVALID_ARGUMENT -
  // names, shapes or dtypes differ from the first one's, a dtype is not F32, or the weight is not
  // such; then nothing was added.
  absl::Status Add(const TensorBundle& gradient, double weight);

  // The mean, F32. Returns: FAILED_PRECONDITION - nothing was added.
  absl::StatusOr<TensorBundle> Finish() const;

  // Forgets what was added but keeps the memory, for the next round.
  void Reset() { weight_ = 0; }

 private:
  BundleSpec spec_;
  std::vector<std::vector<double>> sums_;  // parallel to spec_
  double weight_ = 0;
};

}  // namespace gannet
