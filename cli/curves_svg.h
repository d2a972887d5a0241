#pragma once

#include <string>
#include <vector>

#include "libs/exchange/store.h"

namespace gannet::cli {

// The curves of a training as an SVG image: both losses above, both accuracies of the discriminator
// below. More rounds than can be told apart are drawn as the means of as many neighbours as needed.
std::string CurvesSvg(const std::vector<exchange::RoundSummary>& rounds);

}  // namespace gannet::cli
