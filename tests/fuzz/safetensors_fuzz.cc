// Whatever the bytes are: decoded or refused, and what was decoded can be written and read again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "absl/strings/string_view.h"
#include "libs/tensor/codec.h"
#include "libs/tensor/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  const absl::StatusOr<gannet::tensor::TensorBundle> bundle =
      gannet::tensor::DecodeSafetensors(bytes);
  const auto metadata = gannet::tensor::ReadSafetensorsMetadata(bytes);
  if (bundle.ok() != metadata.ok()) std::abort();
  for (const int codec : gannet::base::kCodecNumbers) {
    gannet::tensor::DecodeBundle(bytes, static_cast<gannet::tensor::Codec>(codec))
        .status()
        .IgnoreError();
  }
  if (!bundle.ok()) return 0;
  const auto again =
      gannet::tensor::DecodeSafetensors(gannet::tensor::EncodeSafetensors(*bundle, *metadata));
  if (!again.ok() || again->tensors().size() != bundle->tensors().size()) std::abort();
  for (size_t i = 0; i < bundle->tensors().size(); ++i) {
    const gannet::tensor::Tensor& a = bundle->tensors()[i];
    const gannet::tensor::Tensor& b = again->tensors()[i];
    if (a.spec != b.spec || a.bytes != b.bytes) std::abort();
  }
  return 0;
}
