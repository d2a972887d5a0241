#include "libs/data/procedural_faces.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/sha256.h"

namespace gannet::data {
namespace {

std::vector<uint8_t> Face(uint64_t seed, uint64_t index, int size) {
  std::vector<uint8_t> rgb(3 * static_cast<size_t>(size) * static_cast<size_t>(size));
  DrawFace(seed, index, size, absl::MakeSpan(rgb));
  return rgb;
}

std::string BatchDigest(uint64_t seed, uint64_t count, int size) {
  base::Sha256Hasher hasher;
  for (uint64_t i = 0; i < count; ++i) {
    const std::vector<uint8_t> rgb = Face(seed, i, size);
    hasher.Update({reinterpret_cast<const char*>(rgb.data()), rgb.size()});
  }
  const std::string raw = hasher.Finish();
  return base::Sha256Hex(raw);
}

// Recorded digests: they change only together with kProceduralFacesVersion, because a machine that
// draws other faces must not join the same run.
TEST(ProceduralFacesTest, EveryMachineDrawsTheSameBits) {
  EXPECT_EQ(kProceduralFacesVersion, 1);
  EXPECT_EQ(BatchDigest(1, 64, 32),
            "a7e8755a1a702f44c7a08c78295c8628a367879a2355bc7222cf9a68d615294f");
  EXPECT_EQ(BatchDigest(1, 64, 64),
            "35e8ac80fedd2cc15e109153af1a7718c4245fcf941abc62c121bf3d48482870");
}

TEST(ProceduralFacesTest, LabelsAreStable) {
  std::string labels;
  for (uint64_t i = 0; i < 256; ++i) labels += std::to_string(FaceLabels(1, i)) + ",";
  EXPECT_EQ(base::Sha256Hex(labels),
            "0fbb649491c0aae76cf19bd891cb368b94ec8ab4455826fe97b38f2d8b5aaafd");
}

TEST(ProceduralFacesTest, SeedAndIndexNameTheFace) {
  EXPECT_EQ(Face(1, 5, 32), Face(1, 5, 32));
  EXPECT_NE(Face(1, 5, 32), Face(1, 6, 32));
  EXPECT_NE(Face(1, 5, 32), Face(2, 5, 32));
}

TEST(ProceduralFacesTest, LargestIndexAndEverySizeLimitAreDrawn) {
  EXPECT_EQ(Face(~uint64_t{0}, (uint64_t{1} << 48) - 1, kMinFaceSize).size(),
            3u * kMinFaceSize * kMinFaceSize);
  EXPECT_EQ(Face(1, 0, kMaxFaceSize).size(), 3u * kMaxFaceSize * kMaxFaceSize);
}

// The same face at two sizes is the same picture: averaged down, they differ by little more than
// grain.
TEST(ProceduralFacesTest, SizesShowTheSameFace) {
  double difference = 0;
  constexpr int kFaces = 20;
  for (uint64_t i = 0; i < kFaces; ++i) {
    const std::vector<uint8_t> small = Face(3, i, 32);
    const std::vector<uint8_t> large = Face(3, i, 64);
    for (size_t c = 0; c < 3; ++c) {
      for (size_t y = 0; y < 32; ++y) {
        for (size_t x = 0; x < 32; ++x) {
          const uint8_t* p = &large[c * 64 * 64 + y * 2 * 64 + x * 2];
          const double mean = (p[0] + p[1] + p[64] + p[65]) / 4.0;
          difference += std::abs(mean - small[c * 32 * 32 + y * 32 + x]);
        }
      }
    }
  }

  EXPECT_LT(difference / (kFaces * 3 * 32 * 32), 7.0);
}

TEST(ProceduralFacesTest, EveryAttributeOccursAndNoneIsEverywhere) {
  constexpr int kFaces = 2000;
  std::vector<int> counts(20, 0);
  for (uint64_t i = 0; i < kFaces; ++i) {
    const int64_t labels = FaceLabels(1, i);
    EXPECT_LT(labels, int64_t{1} << 20);
    for (size_t bit = 0; bit < counts.size(); ++bit)
      counts[bit] += static_cast<int>(labels >> bit & 1);
  }

  for (size_t bit = 0; bit < counts.size(); ++bit) {
    EXPECT_GT(counts[bit], kFaces / 100) << "bit " << bit;
    EXPECT_LT(counts[bit], kFaces * 3 / 4) << "bit " << bit;
  }
}

TEST(ProceduralFacesTest, LabelsFollowThePicture) {
  for (uint64_t i = 0; i < 500; ++i) {
    const int64_t labels = FaceLabels(1, i);
    if (labels & kFaceSunglasses) {
      EXPECT_TRUE(labels & kFaceGlasses);
    }
    if (labels & kFaceBald) {
      EXPECT_FALSE(labels & (kFaceLongHair | kFaceAfro | kFaceBun));
    }
    if (labels & kFaceLongHair) {
      EXPECT_FALSE(labels & kFaceBeard);
    }
  }
}

TEST(ProceduralFacesTest, FacesAreVariedAndNeitherFlatNorClipped) {
  constexpr size_t kFaces = 200;
  constexpr size_t kValues = 3 * 32 * 32;
  std::vector<double> sum(kValues), squares(kValues);
  std::set<std::vector<uint8_t>> different;
  size_t extreme = 0;
  for (size_t i = 0; i < kFaces; ++i) {
    const std::vector<uint8_t> rgb = Face(1, i, 32);
    different.insert(rgb);
    for (size_t k = 0; k < kValues; ++k) {
      sum[k] += rgb[k];
      squares[k] += static_cast<double>(rgb[k]) * rgb[k];
      extreme += rgb[k] == 0 || rgb[k] == 255;
    }
  }
  double spread = 0;
  for (size_t k = 0; k < kValues; ++k) {
    const double mean = sum[k] / kFaces;
    spread += std::sqrt(squares[k] / kFaces - mean * mean) / kValues;
  }

  EXPECT_EQ(different.size(), kFaces);
  EXPECT_GT(spread, 30.0);
  EXPECT_LT(extreme, kFaces * kValues / 50);
}

}  // namespace
}  // namespace gannet::data
