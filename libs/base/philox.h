#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace gannet::base {

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a pure
// function from a counter and a key to 128 random bits, so that any value of any stream can be had
// at once, on any machine, with the same bits.
std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// What a stream of random numbers is for; streams of different purposes never share bits.
enum class RandomPurpose : uint32_t {
  kWeights = 1,
  kDataOrder = 2,
  kNoise = 3,
  kSampleNoise = 4,
  kFaces = 5,
  kVariation = 6,
  // Of the sliced Wasserstein distance. Changing a number changes every distance on record.
  kProjections = 0x5357,
  kPatchPlaces = 0x5358,
  // Of the feature network of gannet evaluate, likewise.
  kFeatureWeights = 0x5359,
};

// A sequence of random numbers named by (seed, purpose, a, b). Reading it never depends on how much
// another stream was read.
//
// Thread safety: none; make one where it is needed, it is cheap.
class PhiloxStream {
 public:
  // `a` and `b` name the stream, for instance round and image position. `b` must be below 2^32 and
  // `a` below 2^48.
  PhiloxStream(uint64_t seed, RandomPurpose purpose, uint64_t a, uint64_t b);

  // Uniform over all 32-bit values.
  uint32_t Next32();

  // Uniform over [0, 1) with 24 bits: exact in float.
  float NextUniform();

  // Uniform over [0, bound), free of bias (rejection). `bound` > 0.
  uint64_t NextBelow(uint64_t bound);

 private:
  std::array<uint32_t, 4> counter_;
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 4> block_{};
  int used_ = 4;
};

// Fills `out` with standard normal values (Box-Muller 1958) from the stream. Computed in double and
// rounded to float, so that the bits are equal wherever the C library's log, cos and sin are
// correct to a unit in the last place of double; with equal builds they are equal by construction.
void FillNormal(PhiloxStream& stream, absl::Span<float> out);

// The permutation of 0..n-1 in which `epoch` passes over the data (Fisher-Yates with the stream
// (seed, kDataOrder, epoch, 0)).
std::vector<int64_t> EpochOrder(uint64_t seed, int64_t epoch, int64_t n);

}  // namespace gannet::base
