#pragma once

#include "libs/config/config.h"
#include "libs/data/dataset.h"

namespace gannet {

// The data set that the settings describe.
DatasetOptions DatasetOptionsFrom(const Config& config);

}  // namespace gannet
