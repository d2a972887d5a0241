#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/training_choices.h"
#include "libs/tensor/tensor_bundle.h"

// Codecs: how a bundle of tensors becomes bytes for the wire and the database. A codec is a file in
// codecs/ and its line in GANNET_CODECS (libs/base/training_choices.h), beside its value in
// gannet.v1.Codec; codec_test.cc and proto_conversion_test.cc then cover it.

namespace gannet::tensor {

// Numbers equal gannet.v1.Codec. A value from outside may be none of these: see FindCodec.
enum class Codec {
#define GANNET_CODEC_ENUMERATOR(name, enumerator, number) enumerator = number,
  GANNET_CODECS(GANNET_CODEC_ENUMERATOR)
#undef GANNET_CODEC_ENUMERATOR
};

// What a codec does.
struct CodecFormat {
  // Bytes that the elements of a tensor take; exact. The header of safetensors comes on top.
  int64_t (*data_bytes)(const TensorSpec& spec);
  // Returns: INVALID_ARGUMENT - a value has no form in this codec, naming the tensor.
  absl::StatusOr<std::string> (*encode)(const TensorBundle& bundle);
  // The bundle, in the dtypes that it was encoded from; values as near as the codec keeps them.
  // Never trusts a size. Returns: INVALID_ARGUMENT - not such bytes.
  absl::StatusOr<TensorBundle> (*decode)(absl::string_view bytes);
};

// Each is defined in the file of its name.
namespace codecs {
#define GANNET_DECLARE_CODEC(name, enumerator, number) extern const CodecFormat name;
GANNET_CODECS(GANNET_DECLARE_CODEC)
#undef GANNET_DECLARE_CODEC
}  // namespace codecs

// The format of a codec, or null: no such codec.
const CodecFormat* FindCodec(Codec codec);

// Encodes as the codec says. Equal bundles give equal bytes.
// Returns: INVALID_ARGUMENT - a value has no form in it, naming the tensor; or no such codec.
absl::StatusOr<std::string> EncodeBundle(const TensorBundle& bundle, Codec codec);

// Decodes what EncodeBundle made. Returns: INVALID_ARGUMENT - not such bytes, or no such codec.
absl::StatusOr<TensorBundle> DecodeBundle(absl::string_view bytes, Codec codec);

// Bytes that the elements of a bundle of this layout take; its header comes on top. 0 if there is
// no such codec: nothing can be sent in it.
int64_t EncodedDataBytes(const BundleSpec& spec, Codec codec);

}  // namespace gannet::tensor
