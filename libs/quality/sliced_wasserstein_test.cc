#include "libs/quality/sliced_wasserstein.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/philox.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/data/dataset.h"
#include "libs/data/procedural_faces.h"
#include "libs/image/pixel_range.h"

namespace gannet::quality {
namespace {

using Floats = std::vector<float>;

constexpr int kSize = 32;
constexpr size_t kPlane = kSize * kSize;
constexpr size_t kValues = 3 * kPlane;
constexpr size_t kImages = 128;

Floats Faces(uint64_t first) {
  std::vector<uint8_t> rgb(kValues);
  Floats out(kImages * kValues);
  for (size_t i = 0; i < kImages; ++i) {
    data::DrawFace(1, first + i, kSize, absl::MakeSpan(rgb));
    image::RgbToFloat(rgb, absl::MakeSpan(out).subspan(i * kValues, kValues));
  }
  return out;
}

Floats Noise(float mean, float deviation) {
  Floats out(kImages * kValues);
  base::PhiloxStream stream(1, base::RandomPurpose::kNoise, 0, 0);
  base::FillNormal(stream, absl::MakeSpan(out));
  for (float& v : out) v = std::clamp(mean + deviation * v, -1.0f, 1.0f);
  return out;
}

double Distance(const Floats& a, const Floats& b) {
  const absl::StatusOr<double> distance = ImageSetDistance(a, b, kSize, {.projections = 64});
  return distance.ok() ? *distance : std::nan("");
}

// --- Vectors.

TEST(SlicedWassersteinTest, InOneDimensionItIsTheDistanceOfSortedValues) {
  EXPECT_THAT(SlicedWassersteinDistance({3.0f, 0.0f, 1.0f}, {2.0f, 5.0f, 4.0f}, 3),
              base::IsOkAndHolds(testing::DoubleNear((2 + 3 + 2) / 3.0, 1e-6)));
}

TEST(SlicedWassersteinTest, ASetHasNoDistanceToItselfInAnyOrder) {
  EXPECT_THAT(SlicedWassersteinDistance({1, 2, 3, 4, 5, 6}, {5, 6, 1, 2, 3, 4}, 3),
              base::IsOkAndHolds(0.0));
}

// A set moved by a vector of length L is E|u . e| L away, u uniform on the unit sphere and e a unit
// vector: 2 / pi of L in the plane, 1 / 2 of it in space.
TEST(SlicedWassersteinTest, AMovedSetIsAsFarAsTheMove) {
  Floats plane, plane_moved, space, space_moved;
  for (int i = 0; i < 50; ++i) {
    const float x = static_cast<float>(i % 7);
    const float y = static_cast<float>(i * i % 11);
    plane.insert(plane.end(), {x, y});
    plane_moved.insert(plane_moved.end(), {x + 3, y + 4});
    space.insert(space.end(), {x, y, x * y});
    space_moved.insert(space_moved.end(), {x + 3, y, x * y - 4});
  }

  EXPECT_THAT(SlicedWassersteinDistance(plane, plane_moved, 50, {.projections = 20'000}),
              base::IsOkAndHolds(testing::DoubleNear(5 * 2 / std::acos(-1.0), 0.04)));
  EXPECT_THAT(SlicedWassersteinDistance(space, space_moved, 50, {.projections = 20'000}),
              base::IsOkAndHolds(testing::DoubleNear(2.5, 0.04)));
}

TEST(SlicedWassersteinTest, ItIsSymmetricAndRepeatable) {
  const Floats a = Noise(0, 0.5f);
  const Floats b = Noise(0.1f, 0.4f);

  const double distance = Distance(a, b);

  EXPECT_GT(distance, 0);
  EXPECT_EQ(Distance(b, a), distance);
  EXPECT_EQ(Distance(a, b), distance);
  ASSERT_OK_AND_ASSIGN(const double other_seed,
                       ImageSetDistance(a, b, kSize, {.projections = 64, .seed = 2}));
  EXPECT_NE(other_seed, distance);
  EXPECT_NEAR(other_seed, distance, 0.1 * distance);
}

TEST(SlicedWassersteinTest, WrongInputIsRefused) {
  const auto refused = base::StatusIs(absl::StatusCode::kInvalidArgument);
  const float inf = std::numeric_limits<float>::infinity();

  EXPECT_THAT(SlicedWassersteinDistance({1, 2}, {1}, 1), refused);
  EXPECT_THAT(SlicedWassersteinDistance({}, {}, 1), refused);
  EXPECT_THAT(SlicedWassersteinDistance({1, 2, 3}, {1, 2, 3}, 2), refused);
  EXPECT_THAT(SlicedWassersteinDistance({1, 2}, {1, 2}, 0), refused);
  EXPECT_THAT(SlicedWassersteinDistance({1, 2}, {1, inf}, 2), refused);
  EXPECT_THAT(SlicedWassersteinDistance({1, std::nanf("")}, {1, 2}, 2), refused);
  EXPECT_THAT(SlicedWassersteinDistance({1, 2}, {1, 2}, 2, {.projections = 0}), refused);
  EXPECT_THAT(ImageSetDistance(Floats(kValues), Floats(2 * kValues), kSize), refused);
  EXPECT_THAT(ImageSetDistance(Floats(kValues - 1), Floats(kValues - 1), kSize), refused);
  EXPECT_THAT(ImageSetDistance(Floats(3 * 49), Floats(3 * 49), 7), refused);
  EXPECT_THAT(PixelSpread({}, kSize), refused);
  EXPECT_THAT(PixelSpread(Floats(kValues, inf), kSize), refused);
}

TEST(SlicedWassersteinTest, EverySizeOfImagesIsCompared) {
  for (const int size : {8, 28, 32, 64}) {
    const Floats images(6 * static_cast<size_t>(size) * static_cast<size_t>(size), 0.5f);
    EXPECT_THAT(ImageSetDistance(images, images, size), base::IsOkAndHolds(0.0)) << size;
  }
}

// --- Images: what the demo's verdict rests on.

TEST(SlicedWassersteinTest, FacesAreNearFacesAndEverythingElseIsFar) {
  const Floats real = Faces(0);
  const double faces = Distance(Faces(5000), real);

  const Floats grey(kImages * kValues, 0.0f);
  // The colours of faces, but one flat colour a picture.
  Floats blobs = Faces(5000);
  for (size_t p = 0; p < kImages * 3; ++p) {
    double sum = 0;
    for (size_t k = 0; k < kPlane; ++k) sum += static_cast<double>(blobs[p * kPlane + k]);
    std::fill_n(blobs.begin() + static_cast<std::ptrdiff_t>(p * kPlane), kPlane,
                static_cast<float>(sum / kPlane));
  }
  // All pixels of faces, in any order.
  Floats shuffled = Faces(5000);
  base::PhiloxStream stream(1, base::RandomPurpose::kNoise, 1, 0);
  for (size_t p = 0; p < kImages * 3; ++p) {
    for (size_t k = kPlane; k > 1; --k) {
      std::swap(shuffled[p * kPlane + k - 1], shuffled[p * kPlane + stream.NextBelow(k)]);
    }
  }

  EXPECT_LT(faces, 0.08);
  EXPECT_GT(Distance(grey, real), 4 * faces);
  EXPECT_GT(Distance(Noise(0, 0.6f), real), 2.5 * faces);
  EXPECT_GT(Distance(Noise(-0.1f, 0.4f), real), 2.5 * faces);
  EXPECT_GT(Distance(blobs, real), 2.5 * faces);
  EXPECT_GT(Distance(shuffled, real), 1.7 * faces);
}

TEST(SlicedWassersteinTest, ACollapsedGeneratorIsNoticed) {
  const Floats real = Faces(0);
  Floats one = Faces(5000);
  for (size_t i = 1; i < kImages; ++i) {
    std::copy_n(one.begin(), kValues, one.begin() + static_cast<std::ptrdiff_t>(i * kValues));
  }

  ASSERT_OK_AND_ASSIGN(const double real_spread, PixelSpread(real, kSize));

  EXPECT_GT(Distance(one, real), 2.5 * Distance(Faces(5000), real));
  EXPECT_THAT(PixelSpread(one, kSize), base::IsOkAndHolds(testing::DoubleNear(0, 1e-6)));
  EXPECT_THAT(PixelSpread(Faces(5000), kSize),
              base::IsOkAndHolds(testing::DoubleNear(real_spread, 0.1 * real_spread)));
}

TEST(SlicedWassersteinTest, SpreadIsTheMeanDeviationOfPixels) {
  Floats images(2 * kValues, 0.25f);
  std::fill_n(images.begin(), kPlane, -0.75f);

  // One channel of three deviates by 0.5.
  EXPECT_THAT(PixelSpread(images, kSize), base::IsOkAndHolds(testing::DoubleNear(0.5 / 3, 1e-9)));
}

}  // namespace
}  // namespace gannet::quality
