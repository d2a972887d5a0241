#pragma once

#include <c10/core/ScalarType.h>

#include "libs/gan/gan.h"

namespace gannet::gan {

// Of convolutions and activations. Parameters and sums are float.
at::ScalarType PrecisionOf(const ComputeDevice& device);

// Tells LibTorch, for this process, how it may compute there.
void PrepareDevice(const ComputeDevice& device);

}  // namespace gannet::gan
