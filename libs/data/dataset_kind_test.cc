#include "libs/data/dataset_kind.h"

#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/image/testing/image_files.h"

namespace gannet::data {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(DatasetKindNamesTest, EachIsFoundByItsNameAndNoOther) {
  std::set<absl::string_view> names;
  for (const absl::string_view name : base::kDatasetNames) {
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_NE(FindDatasetKind(name), nullptr) << name;
  }
  EXPECT_EQ(FindDatasetKind("cifar"), nullptr);
  EXPECT_EQ(FindDatasetKind(""), nullptr);
  EXPECT_FALSE(HasImageFiles("cifar"));
}

// What holds for every kind.
class DatasetKindTest : public ::testing::TestWithParam<absl::string_view> {
 protected:
  DatasetKindTest() { options_.kind = std::string(GetParam()); }

  const DatasetKind& kind() const { return *FindDatasetKind(GetParam()); }

  image::TempFolder folder_;
  DatasetOptions options_;
};

INSTANTIATE_TEST_SUITE_P(All, DatasetKindTest, ::testing::ValuesIn(base::kDatasetNames),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(DatasetKindTest, IsDescribedWhereDataSetsAre) {
  std::ifstream in(GANNET_SOURCE_DIR "/docs/data.md", std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());

  EXPECT_THAT(text, HasSubstr(absl::StrCat("\n| `", GetParam(), "` | ")));
  EXPECT_NE(base::DatasetSource(GetParam()), "");
  EXPECT_THAT(base::DescribeDatasets(),
              HasSubstr(absl::StrCat(GetParam(), ": ", base::DatasetSource(GetParam()))));
}

TEST_P(DatasetKindTest, NeedsAPathUnlessItsImagesAreDrawn) {
  if (base::IsDrawnDataset(GetParam())) {
    EXPECT_OK(OpenDataset(options_));
    return;
  }
  EXPECT_THAT(OpenDataset(options_), base::StatusIs(absl::StatusCode::kInvalidArgument,
                                                    HasSubstr(base::DatasetSource(GetParam()))));
  options_.path = folder_.path() + "/none";
  EXPECT_THAT(OpenDataset(options_),
              base::StatusIs(absl::StatusCode::kNotFound, HasSubstr("/none")));
}

TEST_P(DatasetKindTest, WhatIsNothingOfItIsRefused) {
  if (base::IsDrawnDataset(GetParam())) return;
  for (const std::string& path :
       {folder_.path(), folder_.Write("file", "neither images nor text")}) {
    options_.path = path;
    const auto is_refused =
        AnyOf(base::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(path)),
              base::StatusIs(absl::StatusCode::kNotFound, HasSubstr("folder holds no ")));
    EXPECT_THAT(OpenDataset(options_), is_refused);
    if (kind().verify != nullptr) {
      EXPECT_THAT(kind().verify(options_), is_refused);
    }
  }
}

TEST_P(DatasetKindTest, OnlyFilesAreCroppedAndCropsThatDoNotApplyAreRefused) {
  options_.path = folder_.path();
  options_.crop = 8;

  const auto dataset = OpenDataset(options_);

  const auto is_refused =
      base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("data.crop"));
  if (HasImageFiles(GetParam())) {
    EXPECT_THAT(dataset, Not(is_refused));
  } else {
    EXPECT_THAT(dataset, is_refused);
    EXPECT_THAT(dataset,
                base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("folder, zip")));
  }
}

}  // namespace
}  // namespace gannet::data
