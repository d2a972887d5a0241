#include "services/gateway/gradient_size.h"

#include "absl/strings/str_cat.h"
#include "libs/tensor/safetensors.h"

namespace gannet::gateway {
namespace {

// Other writers pad, order and describe: twice our header and this much more is room enough.
constexpr int64_t kHeaderSlackBytes = 4 << 10;

}  // namespace

int64_t MostEncodedBytes(const tensor::BundleSpec& spec, tensor::Codec codec) {
  return EncodedDataBytes(spec, codec) +
         2 * static_cast<int64_t>(tensor::SafetensorsHeader(spec).size()) + kHeaderSlackBytes;
}

absl::Status CheckGradientSize(const tensor::BundleSpec& spec, tensor::Codec codec, int64_t bytes) {
  const int64_t most = MostEncodedBytes(spec, codec);
  if (bytes <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("payload.total_bytes is more than a gradient of this run has: at most ", most,
                   ", got ", bytes));
}

}  // namespace gannet::gateway
