#include "libs/tensor/codec.h"

#include "absl/strings/str_cat.h"

namespace gannet::tensor {
namespace {

absl::Status UnknownCodec(Codec codec) {
  return absl::InvalidArgumentError(absl::StrCat(
      "unknown codec: expected ", base::JoinCodecNumbers(), ", got ", static_cast<int>(codec)));
}

}  // namespace

const CodecFormat* FindCodec(Codec codec) {
#define GANNET_FIND_CODEC(name, enumerator, number) \
  if (codec == Codec::enumerator) return &codecs::name;
  GANNET_CODECS(GANNET_FIND_CODEC)
#undef GANNET_FIND_CODEC
  return nullptr;
}

absl::StatusOr<std::string> EncodeBundle(const TensorBundle& bundle, Codec codec) {
  const CodecFormat* format = FindCodec(codec);
  return format != nullptr ? format->encode(bundle) : UnknownCodec(codec);
}

absl::StatusOr<TensorBundle> DecodeBundle(absl::string_view bytes, Codec codec) {
  const CodecFormat* format = FindCodec(codec);
  return format != nullptr ? format->decode(bytes) : UnknownCodec(codec);
}

int64_t EncodedDataBytes(const BundleSpec& spec, Codec codec) {
  const CodecFormat* format = FindCodec(codec);
  if (format == nullptr) return 0;
  int64_t bytes = 0;
  for (const TensorSpec& tensor : spec) bytes += format->data_bytes(tensor);
  return bytes;
}

}  // namespace gannet::tensor
