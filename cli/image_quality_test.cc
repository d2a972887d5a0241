#include "cli/image_quality.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/data/dataset.h"

namespace gannet {
namespace {

constexpr size_t kValues = 3 * 32 * 32;

std::vector<float> ImageOf(const Dataset& dataset, int64_t index) {
  std::vector<uint8_t> rgb(kValues);
  EXPECT_OK(dataset.ReadRgb(index, absl::MakeSpan(rgb)));
  std::vector<float> pixels(kValues);
  RgbToFloat(rgb, absl::MakeSpan(pixels));
  return pixels;
}

TEST(ImageQualityTest, ProceduralFacesAreTakenFromBeyondTheTrainingSet) {
  Config config;
  config.data.count = 10;
  ASSERT_OK_AND_ASSIGN(
      const auto dataset,
      OpenDataset({.kind = "procedural", .path = "", .image_size = 32, .count = 20}));

  ASSERT_OK_AND_ASSIGN(const RealImages real, ReadRealImages(config, 32, 3, 2));

  EXPECT_TRUE(real.held_out);
  ASSERT_EQ(real.count, 3);
  for (int64_t i = 0; i < 3; ++i) {
    const auto begin = real.pixels.begin() + i * static_cast<int64_t>(kValues);
    EXPECT_EQ(std::vector<float>(begin, begin + kValues), ImageOf(*dataset, 12 + i));
  }
}

TEST(ImageQualityTest, AnotherDataSetCannotBeOpened) {
  Config config;
  config.data.kind = "folder";
  config.data.path = "/nonexistent";

  EXPECT_THAT(ReadRealImages(config, 32, 3, 0), StatusIs(absl::StatusCode::kNotFound));
}

TEST(ImageQualityTest, FlatteningKeepsTheOrder) {
  EXPECT_THAT(Flattened({.image_size = 1, .images = {{1, 2, 3}, {4, 5, 6}}}),
              testing::ElementsAre(1, 2, 3, 4, 5, 6));
}

}  // namespace
}  // namespace gannet
