#include "libs/base/philox.h"

#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include "libs/base/check.h"

namespace gannet::base {
namespace {

// Constants of the paper, table 2.
constexpr uint32_t kMultiplier0 = 0xD2511F53;
constexpr uint32_t kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9;
constexpr uint32_t kWeyl1 = 0xBB67AE85;

}  // namespace

std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> c, std::array<uint32_t, 2> k) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = static_cast<uint64_t>(kMultiplier0) * c[0];
    const uint64_t p1 = static_cast<uint64_t>(kMultiplier1) * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(p0)};
    k[0] += kWeyl0;
    k[1] += kWeyl1;
  }
  return c;
}

PhiloxStream::PhiloxStream(uint64_t seed, RandomPurpose purpose, uint64_t a, uint64_t b)
    : counter_{0, static_cast<uint32_t>(b), static_cast<uint32_t>(a),
               static_cast<uint32_t>(a >> 32) | static_cast<uint32_t>(purpose) << 16},
      key_{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)} {
  GANNET_CHECK(a < (uint64_t{1} << 48));
  GANNET_CHECK(b < (uint64_t{1} << 32));
}

uint32_t PhiloxStream::Next32() {
  if (used_ == 4) {
    block_ = Philox4x32(counter_, key_);
    ++counter_[0];
    used_ = 0;
  }
  return block_[static_cast<size_t>(used_++)];
}

float PhiloxStream::NextUniform() { return static_cast<float>(Next32() >> 8) * 0x1.0p-24f; }

uint64_t PhiloxStream::NextBelow(uint64_t bound) {
  GANNET_CHECK(bound > 0);
  // Values at or above the largest multiple of `bound` are drawn again.
  const uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
  while (true) {
    const uint64_t high = Next32();
    const uint64_t value = high << 32 | Next32();
    if (value < limit) return value % bound;
  }
}

void FillNormal(PhiloxStream& stream, absl::Span<float> out) {
  for (size_t i = 0; i < out.size(); i += 2) {
    // u1 in (0, 1], so that its logarithm is finite.
    const double u1 = (static_cast<double>(stream.Next32()) + 1.0) * 0x1.0p-32;
    const double u2 = static_cast<double>(stream.Next32()) * 0x1.0p-32;
    const double radius = std::sqrt(-2.0 * std::log(u1));
    const double angle = 2.0 * std::numbers::pi * u2;
    out[i] = static_cast<float>(radius * std::cos(angle));
    if (i + 1 < out.size()) out[i + 1] = static_cast<float>(radius * std::sin(angle));
  }
}

std::vector<int64_t> EpochOrder(uint64_t seed, int64_t epoch, int64_t n) {
  GANNET_CHECK(n >= 0 && epoch >= 0);
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  PhiloxStream stream(seed, RandomPurpose::kDataOrder, static_cast<uint64_t>(epoch), 0);
  for (size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[stream.NextBelow(i)]);
  }
  return order;
}

}  // namespace gannet::base
