#include "libs/gan/augment.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/philox.h"

namespace gannet::gan {
namespace {

constexpr int kSide = 8;
constexpr AugmentPolicy kAll{.color = true, .translation = true, .cutout = true};

std::vector<float> Noise(size_t count, uint64_t seed) {
  std::vector<float> values(count);
  base::PhiloxStream stream(seed, base::RandomPurpose::kFaces, 0, 0);
  base::FillNormal(stream, absl::MakeSpan(values));
  return values;
}

std::vector<ImageAugmentation> DrawMany(const AugmentPolicy& policy, int count, int side) {
  std::vector<ImageAugmentation> images;
  for (int i = 0; i < count; ++i) {
    images.push_back(
        DrawVariation(1, 2, static_cast<uint64_t>(i), /*flip=*/false, policy, side).real);
  }
  return images;
}

double Dot(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += double{a[i]} * b[i];
  return sum;
}

TEST(ParseAugmentPolicyTest, NamesItsParts) {
  const AugmentPolicy policy = ParseAugmentPolicy("cutout,color");
  EXPECT_TRUE(policy.color);
  EXPECT_FALSE(policy.translation);
  EXPECT_TRUE(policy.cutout);
  EXPECT_FALSE(ParseAugmentPolicy("").any());
}

TEST(AugmentTest, WithoutPolicyNothingChanges) {
  const std::vector<ImageAugmentation> images = DrawMany({}, 3, kSide);
  const std::vector<float> x = Noise(3 * 3 * kSide * kSide, 1);
  std::vector<float> y(x.size());

  Augment(images, kSide, x.data(), y.data());

  EXPECT_EQ(x, y);
}

// <y', A x> - <y', A 0> = <A* y', x> for all x and y' is what makes A* the gradient of A.
TEST(AugmentTest, BackwardIsTheAdjointOfTheLinearPart) {
  constexpr int kCount = 40;
  const std::vector<ImageAugmentation> images = DrawMany(kAll, kCount, kSide);
  const std::vector<float> x = Noise(kCount * 3 * kSide * kSide, 1);
  const std::vector<float> gradient = Noise(x.size(), 2);
  const std::vector<float> zero(x.size());
  std::vector<float> y(x.size()), offset(x.size()), back(x.size());

  Augment(images, kSide, x.data(), y.data());
  Augment(images, kSide, zero.data(), offset.data());
  AugmentBackward(images, kSide, gradient.data(), back.data());

  const double expected = Dot(gradient, y) - Dot(gradient, offset);
  EXPECT_NEAR(Dot(back, x), expected, 1e-4 * std::abs(expected) + 1e-3);
}

TEST(AugmentTest, ShiftsAndCutsTheRightPixels) {
  ImageAugmentation image;
  image.shift_x = 2;
  image.shift_y = -1;
  image.cut_top = 4;
  image.cut_bottom = 6;
  image.cut_left = 0;
  image.cut_right = 3;
  std::vector<float> x(3 * kSide * kSide), y(x.size());
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i + 1);

  Augment({&image, 1}, kSide, x.data(), y.data());

  const auto at = [](const std::vector<float>& values, int column, int row) {
    return values[static_cast<size_t>(3 * (row * kSide + column))];
  };
  EXPECT_EQ(at(y, 3, 2), at(x, 5, 1));
  EXPECT_EQ(at(y, 3, 0), 0);  // above the image
  EXPECT_EQ(at(y, 6, 2), 0);  // right of it
  EXPECT_EQ(at(y, 2, 4), 0);  // cut out
  EXPECT_EQ(at(y, 3, 4), at(x, 5, 3));
}

TEST(DrawVariationTest, StaysWithinItsLimitsAndReachesThem) {
  int most_x = 0, flips = 0;
  float least_saturation = 2, most_saturation = 0;
  constexpr int kDraws = 2000;
  for (uint64_t i = 0; i < kDraws; ++i) {
    const ImageVariation variation = DrawVariation(3, 4, i, /*flip=*/true, kAll, 32);
    flips += variation.flip ? 1 : 0;
    for (const ImageAugmentation& image : {variation.real, variation.fake}) {
      ASSERT_LE(std::abs(image.brightness), 0.5f);
      ASSERT_TRUE(image.contrast >= 0.5f && image.contrast <= 1.5f);
      ASSERT_TRUE(std::abs(image.shift_x) <= 4 && std::abs(image.shift_y) <= 4);
      ASSERT_TRUE(0 <= image.cut_top && image.cut_top < image.cut_bottom && image.cut_bottom <= 32);
      ASSERT_TRUE(0 <= image.cut_left && image.cut_left < image.cut_right && image.cut_right <= 32);
      most_x = std::max(most_x, image.shift_x);
      least_saturation = std::min(least_saturation, image.saturation);
      most_saturation = std::max(most_saturation, image.saturation);
    }
  }
  EXPECT_EQ(most_x, 4);
  EXPECT_LT(least_saturation, 0.01f);
  EXPECT_GT(most_saturation, 1.99f);
  EXPECT_NEAR(flips, kDraws / 2, 100);
}

TEST(DrawVariationTest, OnePartDoesNotChangeAnother) {
  const ImageVariation all = DrawVariation(1, 2, 3, true, kAll, 32);
  const ImageVariation some = DrawVariation(1, 2, 3, false, {.translation = true}, 32);

  EXPECT_EQ(some.real.shift_x, all.real.shift_x);
  EXPECT_EQ(some.fake.shift_y, all.fake.shift_y);
  EXPECT_EQ(some.real.contrast, 1);
}

}  // namespace
}  // namespace gannet::gan
