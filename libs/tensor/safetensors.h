#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/tensor/tensor_bundle.h"

namespace gannet {

// The safetensors format of Hugging Face: 8 bytes header length (u64, little-endian), a JSON header, the data. Tensors keep the
// bundle's order in the data. The header is padded with spaces to a multiple of 8. Encoding is a pure function of its input: equal bundles give equal bytes.

// Encodes the bundle. `metadata` goes to `__metadata__` (keys sorted).
std::string EncodeSafetensors(const TensorBundle& bundle, const std::map<std::string, std::string>& metadata = {});

// Decodes; the bundle has the tensors in order of their data. Never trusts a size: everything is checked against `bytes` before
// anything is allocated.
// Returns: INVALID_ARGUMENT - not a valid safetensors file (header, overlap, hole, unknown dtype, size), saying what and where.
absl::StatusOr<TensorBundle> DecodeSafetensors(absl::string_view bytes);

// The `__metadata__` of the file.
// Returns: INVALID_ARGUMENT - as DecodeSafetensors.
absl::StatusOr<std::map<std::string, std::string>> ReadSafetensorsMetadata(absl::string_view bytes);

}  // namespace gannet
