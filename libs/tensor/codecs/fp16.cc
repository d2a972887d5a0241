#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "libs/base/status_macros.h"
#include "libs/tensor/codec.h"
#include "libs/tensor/half.h"
#include "libs/tensor/safetensors.h"

namespace gannet::tensor {
namespace {

// Converts, or returns false when a value does not fit.
bool ConvertToHalf(absl::Span<const float> values, char* out) {
  constexpr size_t kBlock = 2048;
  uint16_t block[kBlock];
  for (size_t begin = 0; begin < values.size(); begin += kBlock) {
    const absl::Span<const float> part = values.subspan(begin, kBlock);
    uint32_t misfit = 0;
    for (size_t i = 0; i < part.size(); ++i) {
      // NaN has a larger magnitude than any number, as bits.
      misfit |= static_cast<uint32_t>((std::bit_cast<uint32_t>(part[i]) & 0x7FFFFFFFu) >
                                      std::bit_cast<uint32_t>(kMaxHalf));
      block[i] = FloatToHalf(part[i]);
    }
    if (misfit != 0) return false;
    std::memcpy(out + begin * sizeof(uint16_t), block, part.size() * sizeof(uint16_t));
  }
  return true;
}

void ConvertFromHalf(absl::string_view bytes, absl::Span<float> out) {
  constexpr size_t kBlock = 2048;
  uint16_t block[kBlock];
  for (size_t begin = 0; begin < out.size(); begin += kBlock) {
    const absl::Span<float> part = out.subspan(begin, kBlock);
    std::memcpy(block, bytes.data() + begin * sizeof(uint16_t), part.size() * sizeof(uint16_t));
    for (size_t i = 0; i < part.size(); ++i) part[i] = HalfToFloat(block[i]);
  }
}

Dtype SentAs(Dtype dtype) { return dtype == Dtype::kF32 ? Dtype::kF16 : dtype; }

int64_t DataBytes(const TensorSpec& spec) {
  return spec.element_count() * static_cast<int64_t>(DtypeBytes(SentAs(spec.dtype)));
}

absl::StatusOr<std::string> Encode(const TensorBundle& bundle) {
  BundleSpec spec;
  size_t data_bytes = 0;
  for (const Tensor& tensor : bundle.tensors()) {
    spec.push_back(tensor.spec);
    spec.back().dtype = SentAs(tensor.spec.dtype);
    data_bytes += static_cast<size_t>(DataBytes(tensor.spec));
  }
  std::string out = SafetensorsHeader(spec);
  size_t position = out.size();
  out.resize(position + data_bytes);
  for (const Tensor& tensor : bundle.tensors()) {
    if (tensor.spec.dtype != Dtype::kF32) {
      std::memcpy(out.data() + position, tensor.bytes.data(), tensor.bytes.size());
      position += tensor.bytes.size();
      continue;
    }
    if (!ConvertToHalf(tensor.f32(), out.data() + position)) {
      return absl::InvalidArgumentError(
          absl::StrCat("value does not fit fp16 (magnitude above 65504, or NaN): tensor '",
                       tensor.spec.name, "'"));
    }
    position += tensor.bytes.size() / 2;
  }
  return out;
}

absl::StatusOr<TensorBundle> Decode(absl::string_view bytes) {
  GANNET_ASSIGN_OR_RETURN(std::vector<TensorView> views, ParseSafetensors(bytes));
  TensorBundle bundle;
  // Names are known to differ, so TensorBundle::Add and its search are not needed.
  bundle.mutable_tensors().reserve(views.size());
  for (TensorView& view : views) {
    if (view.spec.dtype == Dtype::kF32) {
      return absl::InvalidArgumentError(absl::StrCat(
          "unexpected dtype in a payload of codec fp16: expected F16, got F32, tensor '",
          view.spec.name, "'"));
    }
    if (view.spec.dtype == Dtype::kI64 || view.spec.dtype == Dtype::kF64) {
      bundle.mutable_tensors().push_back({std::move(view.spec), std::string(view.bytes)});
      continue;
    }
    view.spec.dtype = Dtype::kF32;
    bundle.mutable_tensors().push_back(Tensor::Zeros(std::move(view.spec)));
    ConvertFromHalf(view.bytes, bundle.mutable_tensors().back().mutable_f32());
  }
  return bundle;
}

}  // namespace

// safetensors with F32 tensors as F16 (IEEE 754 binary16, round to nearest even): half the bytes.
// It refuses values beyond 65504, and NaN.
const CodecFormat codecs::fp16 = {.data_bytes = DataBytes, .encode = Encode, .decode = Decode};

}  // namespace gannet::tensor
