#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "libs/quality/features.h"

namespace gannet::quality {

// From images (n, 3, side, side) to features (n, dimensions).
using BatchFunction = std::function<at::Tensor(const at::Tensor& images)>;

// Calls `function` for batches of the images and collects what it returns. Exceptions of torch
// become errors. Returns: as FeatureNetwork::Extract.
absl::StatusOr<Features> ExtractInBatches(absl::Span<const float> images, int image_size,
                                          const BatchFunction& function);

}  // namespace gannet::quality
