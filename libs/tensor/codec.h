#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/tensor/tensor_bundle.h"

namespace gannet {

// How a bundle is encoded for the wire and the database. Values equal gannet.v1.Codec.
enum class Codec { kFp32 = 1, kFp16 = 2 };

// Encodes as safetensors; kFp16 turns F32 tensors into F16 (round to nearest even).
// Returns: INVALID_ARGUMENT - a value does not fit F16 (its magnitude exceeds 65504, or it is NaN),
// naming the tensor; or no such codec.
absl::StatusOr<std::string> EncodeBundle(const TensorBundle& bundle, Codec codec);

// Decodes what EncodeBundle made; F16 tensors come back as F32.
// Returns: INVALID_ARGUMENT - not such bytes, or no such codec.
absl::StatusOr<TensorBundle> DecodeBundle(absl::string_view bytes, Codec codec);

// `value` as IEEE 754 binary16, rounded to nearest, ties to even. Its magnitude must not exceed
// 65504, nor be NaN.
uint16_t FloatToHalf(float value);

// Exact.
float HalfToFloat(uint16_t half);

}  // namespace gannet
