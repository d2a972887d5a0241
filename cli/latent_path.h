#pragma once

#include <vector>

#include "libs/gan/gan.h"

namespace gannet::cli {

// Brings every number of a point into [-threshold, threshold]: one outside is replaced by a number
// of the standard normal distribution cut at the threshold that keeps its rank among all (Brock et
// al. 2019 draw anew until one is inside, which has the same distribution; this needs no chance).
void TruncateLatent(double threshold, gan::Latent& latent);

// Points on the way from each key to the next, and from the last back to the first, `steps` for
// each stretch, beginning with the key itself: spherical interpolation (Shoemake 1985; White 2016
// for latent spaces), which stays at the length that points of a Gaussian have.
std::vector<gan::Latent> ClosedPath(const std::vector<gan::Latent>& keys, int steps);

}  // namespace gannet::cli
