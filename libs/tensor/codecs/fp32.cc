#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/tensor/codec.h"
#include "libs/tensor/safetensors.h"

namespace gannet::tensor {
namespace {

int64_t DataBytes(const TensorSpec& spec) {
  return spec.element_count() * static_cast<int64_t>(DtypeBytes(spec.dtype));
}

absl::StatusOr<std::string> Encode(const TensorBundle& bundle) { return EncodeSafetensors(bundle); }

absl::StatusOr<TensorBundle> Decode(absl::string_view bytes) { return DecodeSafetensors(bytes); }

}  // namespace

// safetensors with every tensor in its own dtype: loses nothing.
const CodecFormat codecs::fp32 = {.data_bytes = DataBytes, .encode = Encode, .decode = Decode};

}  // namespace gannet::tensor
