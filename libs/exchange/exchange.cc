#include "libs/exchange/exchange.h"

#include <utility>

#include "libs/base/sha256.h"
#include "libs/base/status_macros.h"

namespace gannet::exchange {

Payload Payload::FromBytes(tensor::Codec codec, std::string bytes) {
  std::string sha256 = base::Sha256(bytes);
  return FromHashed(codec, std::move(bytes), std::move(sha256));
}

absl::StatusOr<Payload> Payload::FromBundle(const tensor::TensorBundle& bundle,
                                            tensor::Codec codec) {
  GANNET_ASSIGN_OR_RETURN(std::string bytes, EncodeBundle(bundle, codec));
  return FromBytes(codec, std::move(bytes));
}

Payload Payload::FromHashed(tensor::Codec codec, std::string bytes, std::string computed_sha256) {
  Payload payload;
  payload.codec = codec;
  payload.sha256 = std::move(computed_sha256);
  payload.bytes = std::make_shared<const std::string>(std::move(bytes));
  payload.hashed.bytes = payload.bytes.get();
  payload.hashed.sha256 = payload.sha256;
  return payload;
}

bool Payload::IsIntact() const {
  if (bytes == nullptr) return false;
  if (hashed.bytes == bytes.get()) return hashed.sha256 == sha256;
  return base::Sha256(*bytes) == sha256;
}

}  // namespace gannet::exchange
