#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "libs/data/dataset.h"

namespace gannet {

// The data set of kind "idx" (http://yann.lecun.com/exdb/mnist describes the format): grey images
// of one size in one file, which is held in memory, uncompressed. Grey becomes RGB. Returns: what
// OpenDataset returns.
absl::StatusOr<std::unique_ptr<Dataset>> OpenIdxDataset(const DatasetOptions& options);

}  // namespace gannet
