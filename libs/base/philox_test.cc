#include "libs/base/philox.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gannet::base {
namespace {

using ::testing::ElementsAre;

// Known answers of the reference implementation (Random123, kat_vectors).
TEST(PhiloxTest, MatchesTheReferenceVectors) {
  EXPECT_THAT(Philox4x32({0, 0, 0, 0}, {0, 0}),
              ElementsAre(0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8));
  EXPECT_THAT(
      Philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
      ElementsAre(0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd));
  EXPECT_THAT(
      Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
      ElementsAre(0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1));
}

TEST(PhiloxTest, StreamsDifferInEveryPartOfTheirName) {
  std::set<uint32_t> first;
  for (const uint64_t seed : {1ull, 2ull, 1ull << 32}) {
    for (const uint64_t a : {0ull, 1ull, 1ull << 32}) {
      for (const uint64_t b : {0ull, 1ull}) {
        first.insert(PhiloxStream(seed, RandomPurpose::kNoise, a, b).Next32());
        first.insert(PhiloxStream(seed, RandomPurpose::kFaces, a, b).Next32());
      }
    }
  }

  EXPECT_EQ(first.size(), 3u * 3 * 2 * 2);
}

TEST(PhiloxTest, NormalValuesHaveTheirMoments) {
  PhiloxStream stream(7, RandomPurpose::kNoise, 0, 0);
  std::vector<float> values(100'001);
  FillNormal(stream, absl::MakeSpan(values));

  double sum = 0, squares = 0;
  for (const float v : values) {
    sum += v;
    squares += static_cast<double>(v) * v;
  }
  const double n = static_cast<double>(values.size());
  EXPECT_NEAR(sum / n, 0, 0.02);
  EXPECT_NEAR(std::sqrt(squares / n), 1, 0.02);
}

TEST(PhiloxTest, EpochOrderIsAPermutationThatChangesWithTheEpoch) {
  const std::vector<int64_t> first = EpochOrder(3, 0, 1000);
  std::vector<int64_t> sorted = first;
  std::sort(sorted.begin(), sorted.end());

  for (int64_t i = 0; i < 1000; ++i) ASSERT_EQ(sorted[static_cast<size_t>(i)], i);
  EXPECT_EQ(first, EpochOrder(3, 0, 1000));
  EXPECT_NE(first, EpochOrder(3, 1, 1000));
  EXPECT_NE(first, EpochOrder(4, 0, 1000));
}

}  // namespace
}  // namespace gannet::base
