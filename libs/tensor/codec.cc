#include "libs/tensor/codec.h"

#include <bit>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/tensor/safetensors.h"

namespace gannet {
namespace {

constexpr float kMaxHalf = 65504.0F;

// Both conversions are arithmetic on bits without branches, so that the compiler uses vectors, and
// are the same on every machine. Both sides of each choice are computed.

inline uint16_t ToHalf(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000u;
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  // From 2^-14 on: the exponent's bias goes from 127 to 15, and half a unit in the last place
  // is added, less one where the last kept bit is even.
  const uint32_t rebiased = magnitude - (112u << 23);
  const uint32_t normal = (rebiased + 0xFFFu + (rebiased >> 13 & 1u)) >> 13;
  // Below: half's subnormals are multiples of 2^-24, which is the last place of floats in [0.5, 1),
  // so the addition rounds exactly there.
  const float sum = std::bit_cast<float>(magnitude) + 0.5F;
  const uint32_t subnormal = std::bit_cast<uint32_t>(sum) - std::bit_cast<uint32_t>(0.5F);
  const uint32_t rounded = magnitude >= (113u << 23) ? normal : subnormal;
  return static_cast<uint16_t>(sign | rounded);
}

inline float FromHalf(uint16_t half) {
  const uint32_t sign = (half & 0x8000u) << 16;
  const uint32_t magnitude = half & 0x7FFFu;
  const uint32_t normal = (magnitude << 13) + (112u << 23);
  // Infinity and NaN keep the highest exponent.
  const uint32_t special = (magnitude << 13) + (224u << 23);
  // 2^-14 (1 + m / 1024) - 2^-14: exact.
  const float smallest_normal = 0x1.0p-14F;
  const float difference = std::bit_cast<float>((magnitude << 13) + (113u << 23)) - smallest_normal;
  const uint32_t subnormal = std::bit_cast<uint32_t>(difference);
  uint32_t bits = magnitude < 0x0400u ? subnormal : normal;
  bits = magnitude >= 0x7C00u ? special : bits;
  return std::bit_cast<float>(sign | bits);
}

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
      block[i] = ToHalf(part[i]);
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
    for (size_t i = 0; i < part.size(); ++i) part[i] = FromHalf(block[i]);
  }
}

absl::Status UnknownCodec(Codec codec) {
  return absl::InvalidArgumentError(
      absl::StrCat("unknown codec: expected 1 (fp32) or 2 (fp16), got ", static_cast<int>(codec)));
}

absl::StatusOr<std::string> EncodeFp16(const TensorBundle& bundle) {
  BundleSpec spec;
  size_t data_bytes = 0;
  for (const Tensor& tensor : bundle.tensors()) {
    spec.push_back(tensor.spec);
    if (spec.back().dtype == Dtype::kF32) spec.back().dtype = Dtype::kF16;
    data_bytes += static_cast<size_t>(tensor.spec.element_count()) * DtypeBytes(spec.back().dtype);
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

absl::StatusOr<TensorBundle> DecodeFp16(absl::string_view bytes) {
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

uint16_t FloatToHalf(float value) { return ToHalf(value); }

float HalfToFloat(uint16_t half) { return FromHalf(half); }

absl::StatusOr<std::string> EncodeBundle(const TensorBundle& bundle, Codec codec) {
  switch (codec) {
    case Codec::kFp32:
      return EncodeSafetensors(bundle);
    case Codec::kFp16:
      return EncodeFp16(bundle);
  }
  return UnknownCodec(codec);
}

absl::StatusOr<TensorBundle> DecodeBundle(absl::string_view bytes, Codec codec) {
  switch (codec) {
    case Codec::kFp32:
      return DecodeSafetensors(bytes);
    case Codec::kFp16:
      return DecodeFp16(bytes);
  }
  return UnknownCodec(codec);
}

}  // namespace gannet
