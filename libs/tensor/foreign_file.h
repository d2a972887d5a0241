#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/tensor/tensor_bundle.h"

namespace gannet::tensor {

// What a file is that was given in place of a safetensors file, by its first bytes, and what to do
// about it, as the rest of a sentence that begins with "it is"; empty: nobody knows.
absl::string_view WhatItIsInstead(absl::string_view bytes);

// Weights in safetensors as other programs save them, under the names and in the types that ours
// have: values in F16, BF16 or F64 become F32, the parts "module." and "_orig_mod." that PyTorch's
// DataParallel and compile put into names are left out, and where a BatchNorm has statistics but
// does not say of how many batches (num_batches_tracked, missing before PyTorch 0.4.1 and in many
// conversions), it gets a zero, which nothing depends on.
// Returns: INVALID_ARGUMENT - as DecodeSafetensors; two names that become one.
absl::StatusOr<TensorBundle> DecodeForeignWeights(absl::string_view bytes);

}  // namespace gannet::tensor
