#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "libs/data/dataset.h"

namespace gannet {

// The data set of DatasetOptions::kind "procedural": faces 0..count-1 of `seed`. Labels are
// FaceLabel bits. Its fingerprint digests the version of the algorithm, the seed and the count.
// Returns: INVALID_ARGUMENT - count is out of range.
absl::StatusOr<std::unique_ptr<Dataset>> OpenProceduralDataset(const DatasetOptions& options);

}  // namespace gannet
