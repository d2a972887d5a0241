#include "libs/data/own_output.h"

#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/file_bytes.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/image/testing/image_files.h"

namespace gannet::data {
namespace {

using testing::HasSubstr;

TEST(OwnOutputTest, AGridIsAPngThatSaysWhatItIs) {
  const image::RgbImage image = image::SoftImage(30, 20, 1);

  ASSERT_OK_AND_ASSIGN(const std::string grid, EncodeGridPng(image));

  EXPECT_TRUE(IsGridPng(grid.substr(0, kGridHeadBytes)));
  ASSERT_OK_AND_ASSIGN(const image::RgbImage read, image::ReadPng(grid));
  EXPECT_EQ(read.pixels, image.pixels);
  ASSERT_OK_AND_ASSIGN(const std::string plain, image::EncodePngRgb(30, 20, image.pixels));
  EXPECT_FALSE(IsGridPng(plain.substr(0, kGridHeadBytes)));
  EXPECT_FALSE(IsGridPng(image::EncodeJpeg(image)));
  EXPECT_FALSE(IsGridPng(grid.substr(0, 40)));
  EXPECT_FALSE(IsGridPng(""));
}

TEST(OwnOutputTest, AFolderOfSomebodysImagesIsNotMarked) {
  const image::TempFolder folder;
  const std::string image = folder.Write("faces/deep/a.jpg", "whatever");
  const std::string faces = folder.path() + "/faces";

  EXPECT_THAT(MarkOutputFolder(faces),
              base::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("deep/a.jpg")));
  EXPECT_FALSE(std::filesystem::exists(faces + "/" + kOutputMarker));

  std::filesystem::remove(image);
  folder.Write("faces/metrics.csv", "round");
  ASSERT_OK(WriteGridPng(faces + "/latest.png", image::SoftImage(30, 20, 1)));
  EXPECT_OK(MarkOutputFolder(faces)) << "grids are Gannet's";
  folder.Write("faces/seed0001.png", "a single image that was drawn");
  EXPECT_OK(MarkOutputFolder(faces)) << "marked already";
  EXPECT_THAT(MarkOutputFolder(folder.path() + "/none"),
              base::StatusIs(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace gannet::data
