#include "libs/quality/reference_images.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/image/pixel_range.h"

namespace gannet::quality {
namespace {

constexpr size_t kValues = size_t{3} * 32 * 32;

std::vector<float> ImageOf(const data::Dataset& dataset, int64_t index) {
  std::vector<uint8_t> rgb(kValues);
  EXPECT_OK(dataset.ReadRgb(index, absl::MakeSpan(rgb)));
  std::vector<float> pixels(kValues);
  image::RgbToFloat(rgb, absl::MakeSpan(pixels));
  return pixels;
}

TEST(ReferenceImagesTest, ProceduralFacesAreTakenFromBeyondTheTrainingSet) {
  const data::DatasetOptions options = {
      .kind = "procedural", .path = "", .image_size = 32, .count = 10};
  data::DatasetOptions more = options;
  more.count = 20;
  ASSERT_OK_AND_ASSIGN(const auto dataset, data::OpenDataset(more));

  ASSERT_OK_AND_ASSIGN(const ReferenceImages real, ReadReferenceImages(options, 3, 2));

  EXPECT_TRUE(real.held_out);
  ASSERT_EQ(real.count, 3);
  for (int64_t i = 0; i < 3; ++i) {
    const auto begin = real.pixels.begin() + i * static_cast<int64_t>(kValues);
    EXPECT_EQ(std::vector<float>(begin, begin + kValues), ImageOf(*dataset, 12 + i));
  }
}

TEST(ReferenceImagesTest, ADataSetThatCannotBeOpenedIsAnError) {
  EXPECT_THAT(
      ReadReferenceImages({.kind = "folder", .path = "/nonexistent", .image_size = 32}, 3, 0),
      base::StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace gannet::quality
