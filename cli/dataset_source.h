#pragma once

#include "libs/config/config.h"
#include "libs/data/dataset.h"

namespace gannet::cli {

// Names the data set that the settings describe, and shows people that a large one is being read.
data::DatasetOptions ShownDatasetOptions(const config::Config& config);

}  // namespace gannet::cli
