#include "libs/quality/set_distance.h"

#include <torch/csrc/jit/api/module.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/philox.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::quality {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

// Normal features with these means and standard deviations.
Features Normal(int64_t count, uint64_t seed, const std::vector<float>& means,
                const std::vector<float>& deviations) {
  Features features{.count = count, .dimensions = static_cast<int64_t>(means.size()), .values = {}};
  features.values.resize(static_cast<size_t>(count) * means.size());
  base::PhiloxStream stream(seed, base::RandomPurpose::kFaces, 0, 0);
  base::FillNormal(stream, absl::MakeSpan(features.values));
  for (size_t i = 0; i < features.values.size(); ++i) {
    const size_t d = i % means.size();
    features.values[i] = means[d] + deviations[d] * features.values[i];
  }
  return features;
}

std::vector<float> Noise(size_t count, uint64_t seed) {
  std::vector<float> values(count);
  base::PhiloxStream stream(seed, base::RandomPurpose::kFaces, 1, 0);
  for (float& value : values) value = 2 * stream.NextUniform() - 1;
  return values;
}

TEST(FrechetDistanceTest, OfASetToItselfIsZero) {
  const Features a = Normal(100, 1, {0, 1, 2}, {1, 2, 3});
  EXPECT_NEAR(*FrechetDistance(a, a), 0, 1e-9);
}

// For Gaussians of independent numbers it is sum (m1-m2)^2 + (s1-s2)^2.
TEST(FrechetDistanceTest, IsThatOfTheGaussians) {
  const Features a = Normal(200'000, 1, {0, 1}, {1, 2});
  const Features b = Normal(200'000, 2, {3, 1}, {1, 5});
  EXPECT_NEAR(*FrechetDistance(a, b), 9 + 9, 0.2);
  EXPECT_NEAR(*FrechetDistance(b, a), *FrechetDistance(a, b), 1e-6);
}

TEST(FrechetDistanceTest, FewerImagesThanDimensionsAreFinite) {
  const std::vector<float> means(50), deviations(50, 1);
  EXPECT_TRUE(std::isfinite(
      *FrechetDistance(Normal(5, 1, means, deviations), Normal(7, 2, means, deviations))));
}

TEST(KernelDistanceTest, IsUnbiasedAroundZeroAndGrowsWithTheDifference) {
  const std::vector<float> ones(8, 1);
  double same = 0, other = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Features a = Normal(100, 2 * seed, std::vector<float>(8), ones);
    same += *KernelDistance(a, Normal(100, 2 * seed + 1, std::vector<float>(8), ones)) / 20;
    other += *KernelDistance(a, Normal(100, 2 * seed + 1, ones, ones)) / 20;
  }
  EXPECT_NEAR(same, 0, 0.05);
  EXPECT_GT(other, 1);
}

TEST(SetDistanceTest, SetsThatCannotBeComparedAreRefused) {
  const Features a = Normal(10, 1, {0, 0}, {1, 1});
  EXPECT_THAT(FrechetDistance(a, Normal(10, 1, {0}, {1})), base::StatusIs(kInvalid));
  EXPECT_THAT(KernelDistance(a, Normal(1, 1, {0, 0}, {1, 1})), base::StatusIs(kInvalid));
  EXPECT_THAT(NearestRows(a, Features()), base::StatusIs(kInvalid));
}

TEST(NearestRowsTest, FindsThem) {
  const Features a{.count = 3, .dimensions = 1, .values = {0.1f, 5, 9}};
  const Features b{.count = 3, .dimensions = 1, .values = {8, 0, 4}};
  EXPECT_THAT(*NearestRows(a, b), ElementsAre(1, 2, 0));
}

TEST(RandomFeatureNetworkTest, IsTheSameEverywhereAndForAnySize) {
  for (const int side : {8, 32, 64, 128}) {
    const std::vector<float> images = Noise(2 * 3 * static_cast<size_t>(side * side), 1);
    ASSERT_OK_AND_ASSIGN(const Features first, MakeRandomFeatureNetwork()->Extract(images, side));
    ASSERT_OK_AND_ASSIGN(const Features second, MakeRandomFeatureNetwork()->Extract(images, side));
    EXPECT_EQ(first.count, 2);
    EXPECT_EQ(first.dimensions, 256);
    EXPECT_EQ(first.values, second.values);
  }
}

TEST(RandomFeatureNetworkTest, TellsTexturesApart) {
  constexpr size_t kValues = 3 * 32 * 32;
  const auto network = MakeRandomFeatureNetwork();
  const std::vector<float> noise = Noise(128 * kValues, 1), other = Noise(128 * kValues, 2);
  std::vector<float> smooth(128 * kValues);
  for (size_t i = 0; i < smooth.size(); ++i) smooth[i] = noise[i - i % kValues];
  ASSERT_OK_AND_ASSIGN(const Features a, network->Extract(noise, 32));
  ASSERT_OK_AND_ASSIGN(const Features b, network->Extract(other, 32));
  ASSERT_OK_AND_ASSIGN(const Features c, network->Extract(smooth, 32));

  EXPECT_LT(10 * *FrechetDistance(a, b), *FrechetDistance(a, c));
}

TEST(RandomFeatureNetworkTest, WholeImagesAreNeeded) {
  EXPECT_THAT(MakeRandomFeatureNetwork()->Extract({}, 32), base::StatusIs(kInvalid));
  EXPECT_THAT(MakeRandomFeatureNetwork()->Extract(std::vector<float>(100), 32),
              base::StatusIs(kInvalid));
}

class TorchScriptTest : public ::testing::Test {
 protected:
  TorchScriptTest() {
    std::string name = ::testing::TempDir() + "/gannet_script_XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  ~TorchScriptTest() override { std::filesystem::remove_all(folder_); }

  std::string Save(const std::string& forward) const {
    torch::jit::Module module("network");
    module.define(forward);
    module.save(folder_ + "/network.pt");
    return folder_ + "/network.pt";
  }

  std::string folder_;
};

TEST_F(TorchScriptTest, ANetworkOfOnesOwnGivesTheFeatures) {
  ASSERT_OK_AND_ASSIGN(const auto network,
                       LoadTorchScriptNetwork(Save(
                           "def forward(self, x):\n  return x.mean(dim=3).mean(dim=2) * 2\n")));
  // Blue is 1, the other colours are -1.
  std::vector<float> image(3 * 32 * 32, -1);
  for (size_t i = 2 * 32 * 32; i < image.size(); ++i) image[i] = 1;

  ASSERT_OK_AND_ASSIGN(const Features features, network->Extract(image, 32));

  EXPECT_THAT(features.values, ElementsAre(-2, -2, 2));
}

TEST_F(TorchScriptTest, WhatIsNoFeatureIsAnError) {
  const std::vector<float> image(3 * 32 * 32);
  for (const char* forward :
       {"def forward(self, x):\n  return x\n", "def forward(self, x):\n  return x.sum()\n",
        "def forward(self, x):\n  return [x]\n",
        "def forward(self, x):\n  return x.mean(dim=3).mean(dim=2) / 0\n",
        "def forward(self, x):\n  assert x.size(0) > 100\n  return x\n"}) {
    ASSERT_OK_AND_ASSIGN(const auto network, LoadTorchScriptNetwork(Save(forward)));
    EXPECT_THAT(network->Extract(image, 32), base::StatusIs(absl::StatusCode::kInternal))
        << forward;
  }
}

TEST_F(TorchScriptTest, OtherFilesAreExplained) {
  EXPECT_THAT(LoadTorchScriptNetwork(folder_ + "/none"),
              base::StatusIs(absl::StatusCode::kNotFound));
  std::ofstream(folder_ + "/text") << "weights, surely";
  EXPECT_THAT(LoadTorchScriptNetwork(folder_ + "/text"),
              base::StatusIs(kInvalid, HasSubstr("torch.jit.save")));
}

}  // namespace
}  // namespace gannet::quality
