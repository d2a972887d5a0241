#pragma once

#include <bit>
#include <cstdint>

namespace gannet::tensor {

// The largest magnitude that IEEE 754 binary16 has.
inline constexpr float kMaxHalf = 65504.0F;

// Both conversions are arithmetic on bits without branches, so that the compiler uses vectors, and
// are the same on every machine. Both sides of each choice are computed.

// `value` as IEEE 754 binary16, rounded to nearest, ties to even. Its magnitude must not exceed
// kMaxHalf, nor be NaN.
inline uint16_t FloatToHalf(float value) {
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

// Exact.
inline float HalfToFloat(uint16_t half) {
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

}  // namespace gannet::tensor
