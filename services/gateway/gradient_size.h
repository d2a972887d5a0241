#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "libs/tensor/codec.h"
#include "libs/tensor/tensor_bundle.h"

namespace gannet::gateway {

// How many bytes a bundle of a layout has at most when it is encoded: its data, whose size is
// known, and a header, which every program writes in its own way.
int64_t MostEncodedBytes(const tensor::BundleSpec& spec, tensor::Codec codec);

// Whether a gradient of this layout can have so many bytes. One with too few is left to the check
// of its names, which says what is missing.
// Returns: INVALID_ARGUMENT - it cannot; the message names both.
absl::Status CheckGradientSize(const tensor::BundleSpec& spec, tensor::Codec codec, int64_t bytes);

}  // namespace gannet::gateway
