#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/data/dataset.h"
#include "libs/data/dataset_check.h"
#include "libs/data/dataset_kind.h"
#include "libs/data/packed_dataset.h"
#include "libs/data/testing/archive_files.h"
#include "libs/image/testing/image_files.h"

// CIFAR-10, packed data sets, crops, and labels from files beside the images.

namespace gannet::data {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kFailed = absl::StatusCode::kFailedPrecondition;
constexpr size_t kRecordBytes = 3073;

std::vector<uint8_t> Read(const Dataset& dataset, int64_t index, int image_size) {
  std::vector<uint8_t> rgb(3 * static_cast<size_t>(image_size) * static_cast<size_t>(image_size));
  EXPECT_OK(dataset.ReadRgb(index, absl::MakeSpan(rgb)));
  return rgb;
}

// `count` records; every value of image i is i, its label i % 10.
std::string CifarFile(int first, int count) {
  std::string bytes;
  for (int i = first; i < first + count; ++i) {
    bytes.push_back(static_cast<char>(i % 10));
    bytes.append(kRecordBytes - 1, static_cast<char>(i));
  }
  return bytes;
}

DatasetOptions Options(const std::string& kind, const std::string& path, int image_size = 32) {
  return {.kind = kind, .path = path, .image_size = image_size};
}

TEST(CifarDatasetTest, ReadsTheFiveFilesInOrder) {
  const image::TempFolder folder;
  for (int i = 0; i < 5; ++i) {
    folder.Write("cifar-10-batches-bin/data_batch_" + std::to_string(i + 1) + ".bin",
                 CifarFile(3 * i, 3));
  }

  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(Options("cifar10", folder.path())));

  EXPECT_EQ(dataset->size(), 15);
  EXPECT_EQ(dataset->LabelOf(12), 2);
  EXPECT_TRUE(dataset->has_labels());
  EXPECT_THAT(Read(*dataset, 7, 32), ::testing::Each(7));
  ASSERT_OK_AND_ASSIGN(
      const auto larger,
      OpenDataset(Options("cifar10", folder.path() + "/cifar-10-batches-bin", 64)));
  EXPECT_THAT(Read(*larger, 14, 64), ::testing::Each(14));
  EXPECT_EQ(larger->fingerprint().digest, dataset->fingerprint().digest);
}

TEST(CifarDatasetTest, PlanesKeepTheirColours) {
  const image::TempFolder folder;
  std::string record(kRecordBytes, '\0');
  for (size_t i = 0; i < 1024; ++i) record[1 + 1024 + i] = '\x40';
  const std::string path = folder.Write("one.bin", record);

  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(Options("cifar10", path, 64)));

  const std::vector<uint8_t> rgb = Read(*dataset, 0, 64);
  EXPECT_EQ(rgb[0], 0);
  EXPECT_EQ(rgb[size_t{64} * 64], 0x40);
  EXPECT_EQ(rgb[size_t{2} * 64 * 64], 0);
}

TEST(CifarDatasetTest, WhatIsCutShortMissingOrNoneIsRefused) {
  const image::TempFolder folder;
  const std::string cut = folder.Write("cut.bin", CifarFile(0, 2).substr(0, 5000));
  EXPECT_THAT(OpenDataset(Options("cifar10", cut)),
              base::StatusIs(kFailed, HasSubstr("cut short")));
  const std::string other = folder.Write("other.bin", std::string(kRecordBytes, '\x20'));
  EXPECT_THAT(OpenDataset(Options("cifar10", other)), base::StatusIs(kFailed, HasSubstr("label")));
  EXPECT_THAT(OpenDataset(Options("cifar10", folder.path())),
              base::StatusIs(kFailed, HasSubstr("binary version")));
  folder.Write("data_batch_1.bin", CifarFile(0, 1));
  EXPECT_THAT(OpenDataset(Options("cifar10", folder.path())),
              base::StatusIs(kFailed, HasSubstr("data_batch_2.bin")));
  EXPECT_THAT(OpenDataset(Options("cifar10", folder.path() + "/none")),
              base::StatusIs(absl::StatusCode::kNotFound));
}

class PackedDatasetTest : public ::testing::Test {
 protected:
  PackedDatasetTest() {
    for (int i = 0; i < 7; ++i) {
      folder_.Write("images/" + std::to_string(i) + ".png",
                    image::EncodePng(image::SoftImage(50, 60, i), image::PngKind::kRgb));
    }
    path_ = folder_.path() + "/images.packed";
  }

  void Pack(const DatasetOptions& options) {
    ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(options));
    ASSERT_OK(WritePackedDataset(*dataset, options.image_size, path_, nullptr));
  }

  std::string Bytes() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  void Overwrite(const std::string& bytes) const {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
  }

  image::TempFolder folder_;
  std::string path_;
};

TEST_F(PackedDatasetTest, HoldsWhatWasPackedUnderItsFingerprint) {
  const DatasetOptions source = Options("folder", folder_.path() + "/images");
  Pack(source);

  ASSERT_OK_AND_ASSIGN(const auto packed, OpenDataset(Options("packed", path_)));
  ASSERT_OK_AND_ASSIGN(const auto plain, OpenDataset(source));

  EXPECT_EQ(packed->fingerprint().kind, "folder");
  EXPECT_EQ(packed->fingerprint().digest, plain->fingerprint().digest);
  EXPECT_EQ(packed->fingerprint().description, plain->fingerprint().description);
  EXPECT_EQ(packed->size(), 7);
  EXPECT_TRUE(packed->is_decoded());
  EXPECT_FALSE(packed->has_labels());
  for (int64_t i = 0; i < 7; ++i) EXPECT_EQ(Read(*packed, i, 32), Read(*plain, i, 32)) << i;
  EXPECT_THAT(CheckDataset(Options("packed", path_), nullptr)->good_count, 7);
}

TEST_F(PackedDatasetTest, KeepsLabelsAndTheirNames) {
  DatasetOptions faces;
  faces.image_size = 32;
  faces.count = 100;
  Pack(faces);

  ASSERT_OK_AND_ASSIGN(const auto packed, OpenDataset(Options("packed", path_)));
  ASSERT_OK_AND_ASSIGN(const auto plain, OpenDataset(faces));

  for (int64_t i = 0; i < 100; ++i) EXPECT_EQ(packed->LabelOf(i), plain->LabelOf(i));
  EXPECT_EQ(packed->label_bits(), plain->label_bits());
  EXPECT_FALSE(packed->label_bits().empty());
}

TEST_F(PackedDatasetTest, AnotherSizeIsRefusedSayingHowToMendIt) {
  Pack(Options("folder", folder_.path() + "/images"));

  EXPECT_THAT(OpenDataset(Options("packed", path_, 64)),
              base::StatusIs(kFailed, HasSubstr("--model.image_size 64")));
}

TEST_F(PackedDatasetTest, DamageIsFound) {
  Pack(Options("folder", folder_.path() + "/images"));
  const std::string bytes = Bytes();

  for (size_t length : {size_t{0}, size_t{11}, size_t{4095}, size_t{5000}, bytes.size() - 1}) {
    Overwrite(bytes.substr(0, length));
    EXPECT_THAT(OpenDataset(Options("packed", path_)), base::StatusIs(kFailed)) << length;
  }
  std::string changed = bytes;
  changed[9000] = static_cast<char>(changed[9000] ^ 1);
  Overwrite(changed);
  EXPECT_THAT(OpenDataset(Options("packed", path_)),
              base::StatusIs(kFailed, HasSubstr("checksum")));
  EXPECT_THAT(CheckDataset(Options("packed", path_), nullptr),
              base::StatusIs(kFailed, HasSubstr("checksum")));
  EXPECT_THAT(FindDatasetKind("packed")->verify(Options("packed", path_)),
              base::StatusIs(absl::StatusCode::kDataLoss, HasSubstr("checksum")));
  Overwrite("GANNETPK" + std::string("\xff\xff\xff\xff", 4) + std::string(5000, 'x'));
  EXPECT_THAT(OpenDataset(Options("packed", path_)), base::StatusIs(kFailed));
}

TEST_F(PackedDatasetTest, AnUnreadableImageLeavesNoFile) {
  // Its header is whole, so that only decoding finds the damage.
  folder_.Write("images/7.jpg", image::EncodeJpeg(image::SoftImage(50, 60, 1)).substr(0, 700));
  ASSERT_OK_AND_ASSIGN(const auto dataset,
                       OpenDataset(Options("folder", folder_.path() + "/images")));

  EXPECT_THAT(WritePackedDataset(*dataset, 32, path_, nullptr),
              base::StatusIs(absl::StatusCode::kDataLoss, HasSubstr("7.jpg")));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
}

TEST(CropTest, TheMiddleIsCutBeforeScaling) {
  const image::TempFolder folder;
  // CelebA's size: red, but for a green square of 108 pixels in the middle.
  image::RgbImage image = image::PlainImage(178, 218, 255, 0, 0);
  for (int y = 55; y < 163; ++y) {
    for (int x = 35; x < 143; ++x) {
      uint8_t* pixel = image.pixels.data() + std::ptrdiff_t{3} * (y * 178 + x);
      pixel[0] = 0;
      pixel[1] = 255;
    }
  }
  folder.Write("000001.png", image::EncodePng(image, image::PngKind::kRgb));
  DatasetOptions options = Options("folder", folder.path(), 64);

  options.crop = 108;
  ASSERT_OK_AND_ASSIGN(const auto cut, OpenDataset(options));
  const std::vector<uint8_t> green = Read(*cut, 0, 64);
  EXPECT_THAT(std::vector<uint8_t>(green.begin(), green.begin() + std::ptrdiff_t{64} * 64),
              ::testing::Each(0));
  options.crop = 148;
  ASSERT_OK_AND_ASSIGN(const auto wider, OpenDataset(options));
  EXPECT_EQ(Read(*wider, 0, 64)[0], 255);
  options.crop = 178;
  ASSERT_OK_AND_ASSIGN(const auto widest, OpenDataset(options));
  options.crop = 0;
  ASSERT_OK_AND_ASSIGN(const auto full, OpenDataset(options));
  EXPECT_EQ(Read(*widest, 0, 64)[0], 255);

  EXPECT_NE(cut->fingerprint().digest, full->fingerprint().digest);
  EXPECT_NE(cut->fingerprint().digest, wider->fingerprint().digest);
  EXPECT_THAT(cut->fingerprint().description, HasSubstr("108"));
}

TEST(CropTest, ThatIsLargerThanAnImageIsAnError) {
  const image::TempFolder folder;
  folder.Write("small.png",
               image::EncodePng(image::PlainImage(178, 218, 255, 0, 0), image::PngKind::kRgb));
  DatasetOptions options = Options("folder", folder.path(), 64);
  options.crop = 179;
  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(options));
  std::vector<uint8_t> pixels(size_t{3} * 64 * 64);

  EXPECT_THAT(dataset->ReadRgb(0, absl::MakeSpan(pixels)),
              base::StatusIs(absl::StatusCode::kDataLoss,
                             AllOf(HasSubstr("178x218"), HasSubstr("data.crop 179"),
                                   HasSubstr("178 or less"), HasSubstr("small.png"))));
  ASSERT_OK_AND_ASSIGN(const DatasetCheckReport report, CheckDataset(options, nullptr));
  EXPECT_EQ(report.good_count, 0);
  ASSERT_EQ(report.bad.size(), 1U);
  EXPECT_EQ(report.bad[0].name, "small.png");
  EXPECT_THAT(report.bad[0].reason, HasSubstr("data.crop 179"));
}

TEST(CropTest, WithoutOneSmallImagesAreEnlarged) {
  const image::TempFolder folder;
  folder.Write("small.png",
               image::EncodePng(image::PlainImage(10, 12, 255, 0, 0), image::PngKind::kRgb));

  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(Options("folder", folder.path(), 64)));

  EXPECT_EQ(Read(*dataset, 0, 64)[0], 255);
}

TEST(CropTest, OtherKindsHaveNone) {
  DatasetOptions options;
  options.crop = 5;
  EXPECT_THAT(OpenDataset(options),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("crop")));
}

std::string SmallPng() {
  return image::EncodePng(image::PlainImage(40, 40, 1, 2, 3), image::PngKind::kRgb);
}

TEST(LabelsTest, DatasetJsonOfAnArchiveNamesClasses) {
  const image::TempFolder folder;
  const std::string json = R"({"labels": [["00000/b.png", 3], ["00000/a.png", 7]]})";
  const std::string path = folder.Write("set.zip", EncodeZip({{"00000/a.png", SmallPng()},
                                                              {"00000/b.png", SmallPng()},
                                                              {"dataset.json", json, true}}));

  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(Options("zip", path)));

  EXPECT_EQ(dataset->size(), 2);
  EXPECT_TRUE(dataset->has_labels());
  EXPECT_EQ(dataset->LabelOf(0), 7);
  EXPECT_EQ(dataset->LabelOf(1), 3);
  EXPECT_THAT(dataset->label_bits(), IsEmpty());
}

TEST(LabelsTest, DatasetJsonBelowAFolderOfTheArchiveIsRelativeToIt) {
  const image::TempFolder folder;
  const std::string path =
      folder.Write("set.zip", EncodeZip({{"top/a.png", SmallPng()},
                                         {"top/dataset.json", R"({"labels": [["a.png", 4]]})"}}));

  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(Options("zip", path)));

  EXPECT_EQ(dataset->LabelOf(0), 4);
}

TEST(LabelsTest, DatasetJsonMayNameSomeOfTheImages) {
  const image::TempFolder folder;
  folder.Write("images/a.png", SmallPng());
  folder.Write("images/b.png", SmallPng());
  folder.Write("images/dataset.json", R"({"labels": [["b.png", 3], ["gone.png", 5]]})");
  ASSERT_OK_AND_ASSIGN(const auto dataset,
                       OpenDataset(Options("folder", folder.path() + "/images")));

  EXPECT_TRUE(dataset->has_labels());
  EXPECT_EQ(dataset->LabelOf(0), kNoLabel);
  EXPECT_EQ(dataset->LabelOf(1), 3);
  EXPECT_EQ(Read(*dataset, 0, 32)[0], 1);

  // It stays so when it is packed.
  const std::string path = folder.path() + "/set.packed";
  ASSERT_OK(WritePackedDataset(*dataset, 32, path, nullptr));
  ASSERT_OK_AND_ASSIGN(const auto packed, OpenDataset(Options("packed", path)));
  EXPECT_EQ(packed->LabelOf(0), kNoLabel);
  EXPECT_EQ(packed->LabelOf(1), 3);
}

TEST(LabelsTest, NoLabelsInDatasetJsonAreNone) {
  const image::TempFolder folder;
  folder.Write("a.png", SmallPng());
  folder.Write("dataset.json", R"({"labels": null})");

  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(Options("folder", folder.path())));

  EXPECT_FALSE(dataset->has_labels());
}

TEST(LabelsTest, CelebaAttributesAreBits) {
  const image::TempFolder folder;
  folder.Write("celeba/img_align_celeba/000001.png", SmallPng());
  folder.Write("celeba/img_align_celeba/000002.png", SmallPng());
  folder.Write("celeba/Anno/list_attr_celeba.txt",
               "2\nBald Smiling Young\n000001.png -1  1 -1\n000002.png  1 -1  1\n");

  ASSERT_OK_AND_ASSIGN(const auto dataset,
                       OpenDataset(Options("folder", folder.path() + "/celeba/img_align_celeba")));

  EXPECT_THAT(dataset->label_bits(), ElementsAre("Bald", "Smiling", "Young"));
  EXPECT_EQ(dataset->LabelOf(0), 2);
  EXPECT_EQ(dataset->LabelOf(1), 5);
}

TEST(LabelsTest, KagglesArchiveHasTheDoubledFolderAndACsv) {
  const image::TempFolder folder;
  const std::string path = folder.Write(
      "archive.zip",
      EncodeZip({{"img_align_celeba/img_align_celeba/000001.png", SmallPng()},
                 {"list_attr_celeba.csv", "image_id,Bald,Smiling\n000001.png,-1,1\n", true},
                 {"list_eval_partition.csv", "image_id,partition\n", true}}));

  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(Options("zip", path)));

  EXPECT_EQ(dataset->LabelOf(0), 2);
  EXPECT_THAT(dataset->label_bits(), ElementsAre("Bald", "Smiling"));
}

}  // namespace
}  // namespace gannet::data
