#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/tensor/tensor_bundle.h"

namespace gannet::tensor {

// The safetensors format of Hugging Face: 8 bytes header length (u64, little-endian), a JSON
// header, the data. Tensors keep the bundle's order in the data. The header is padded with spaces
// to a multiple of 8. Encoding is a pure function of its input: equal bundles give equal bytes.

// Encodes the bundle. `metadata` goes to `__metadata__` (keys sorted).
std::string EncodeSafetensors(const TensorBundle& bundle,
                              const std::map<std::string, std::string>& metadata = {});

// The same for a file that somebody has to read again.
// Returns: RESOURCE_EXHAUSTED - names and metadata make a header that no reader here takes
// (kMaxSafetensorsHeaderBytes).
absl::StatusOr<std::string> EncodeSafetensorsFile(
    const TensorBundle& bundle, const std::map<std::string, std::string>& metadata = {});

// Whether the header of what EncodeSafetensors made is within that limit; else as above.
absl::Status CheckSafetensorsHeaderSize(absl::string_view bytes);

// Decodes; the bundle has the tensors in order of their data. Never trusts a size: everything is
// checked against `bytes` before anything is allocated. Returns: INVALID_ARGUMENT - not a valid
// safetensors file (header, overlap, hole, unknown dtype, size), saying what and where.
absl::StatusOr<TensorBundle> DecodeSafetensors(absl::string_view bytes);

// The `__metadata__` of the file, which may be one of another program.
// Returns: INVALID_ARGUMENT - as ParseForeignSafetensors.
absl::StatusOr<std::map<std::string, std::string>> ReadSafetensorsMetadata(absl::string_view bytes);

// A tensor inside the bytes of a file, which must outlive it.
struct TensorView {
  TensorSpec spec;
  absl::string_view bytes;
  bool is_bfloat16 = false;  // ParseForeignSafetensors only: in place of the F16 that `spec` says
};

// The tensors of a file in order of their data, without a copy.
// Returns: INVALID_ARGUMENT - as DecodeSafetensors.
absl::StatusOr<std::vector<TensorView>> ParseSafetensors(absl::string_view bytes);

// The same for files of other programs, which may have tensors in BF16, too.
absl::StatusOr<std::vector<TensorView>> ParseForeignSafetensors(absl::string_view bytes);

// What comes before the data of these tensors: length and padded JSON header. Names must differ
// from one another and from `__metadata__`.
std::string SafetensorsHeader(const BundleSpec& spec,
                              const std::map<std::string, std::string>& metadata = {});

// A header beyond this is refused: ours have a few thousand bytes.
inline constexpr size_t kMaxSafetensorsHeaderBytes = 1 << 20;

}  // namespace gannet::tensor
