#pragma once

#include "absl/status/statusor.h"
#include "libs/quality/features.h"

// How far two sets of images are from each other, by their features.

namespace gannet::quality {

// Frechet distance of the two Gaussians with the sets' means and covariances (Dowson and Landau
// 1982): |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^1/2), computed in double by eigenvalues. With
// Inception's features it is FID (Heusel et al. 2017). It is biased upwards for small sets: compare
// only distances of equally many images, better several times as many as there are dimensions.
// Returns: INVALID_ARGUMENT - fewer than two images, or sets of different dimensions.
absl::StatusOr<double> FrechetDistance(const Features& a, const Features& b);

// Kernel distance (KID, Bińkowski et al. 2018): the unbiased estimate of the squared maximum mean
// discrepancy with the kernel (x y / dimensions + 1)^3. It may be slightly negative.
// Returns: as FrechetDistance.
absl::StatusOr<double> KernelDistance(const Features& a, const Features& b);

// For each row of `a` the row of `b` nearest to it (Euclid); the first of several.
// Returns: INVALID_ARGUMENT - an empty set, or sets of different dimensions.
absl::StatusOr<std::vector<int64_t>> NearestRows(const Features& a, const Features& b);

}  // namespace gannet::quality
