#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/hex.h"
#include "libs/base/sha256.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/data/dataset.h"
#include "libs/data/dataset_check.h"
#include "libs/data/packed_dataset.h"
#include "libs/data/testing/archive_files.h"
#include "libs/image/testing/image_files.h"

// What is in the files of a data set: its fingerprint, labels in all spellings, pictures as cameras
// and phones write them.

namespace gannet::data {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kFailed = absl::StatusCode::kFailedPrecondition;

DatasetOptions Options(const std::string& kind, const std::string& path, int image_size = 16) {
  return {.kind = kind, .path = path, .image_size = image_size};
}

DatasetFingerprint FingerprintOf(const DatasetOptions& options) {
  const auto dataset = OpenDataset(options);
  EXPECT_OK(dataset);
  return dataset.ok() ? (*dataset)->fingerprint() : DatasetFingerprint();
}

std::vector<int64_t> LabelsOf(const Dataset& dataset) {
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < dataset.size(); ++i) labels.push_back(dataset.LabelOf(i));
  return labels;
}

std::vector<uint8_t> Read(const Dataset& dataset, int64_t index, int image_size = 16) {
  std::vector<uint8_t> rgb(3 * static_cast<size_t>(image_size) * static_cast<size_t>(image_size));
  EXPECT_OK(dataset.ReadRgb(index, absl::MakeSpan(rgb)));
  return rgb;
}

// Two pictures of the same number of bytes.
const std::string& Picture(int variant) {
  static const auto* const pictures = new std::vector<std::string>{
      image::EncodePng(image::PlainImage(16, 16, 200, 10, 10), image::PngKind::kRgb),
      image::EncodePng(image::PlainImage(16, 16, 10, 200, 10), image::PngKind::kRgb)};
  return (*pictures)[static_cast<size_t>(variant)];
}

// --- Fingerprints.

TEST(ContentFingerprintTest, OtherPixelsUnderTheSameNamesAndSizesAreOtherData) {
  ASSERT_EQ(Picture(0).size(), Picture(1).size());
  const image::TempFolder folder;
  folder.Write("a/faces/1.png", Picture(0));
  folder.Write("b/faces/1.png", Picture(1));
  folder.Write("c/faces/1.png", Picture(0));
  const auto of = [&](const char* name) {
    return FingerprintOf(Options("folder", folder.path() + "/" + name + "/faces"));
  };

  EXPECT_NE(of("a").digest, of("b").digest);
  EXPECT_EQ(of("a").digest, of("c").digest);
  EXPECT_TRUE(base::IsHex(of("a").digest, 64));
  EXPECT_EQ(of("a").former_digest, of("b").former_digest) << "which is why it is the former one";
}

TEST(ContentFingerprintTest, ItIsMadeOfNamesSizesAndChecksums) {
  const image::TempFolder folder;
  folder.Write("top/1.png", Picture(0));
  folder.Write("top/x/2.png", Picture(1));
  std::string text = "gannet folder 2\n";
  for (const auto& [name, bytes] : {std::pair{"1.png", Picture(0)}, {"x/2.png", Picture(1)}}) {
    text += std::string(name) + '\0' + std::to_string(bytes.size()) + " " + base::Sha256Hex(bytes) +
            "\n";
  }

  EXPECT_EQ(FingerprintOf(Options("folder", folder.path())).digest, base::Sha256Hex(text));
}

TEST(ContentFingerprintTest, WhatOlderVersionsMadeIsKnown) {
  const image::TempFolder folder;
  folder.Write("1.png", Picture(0));
  const std::string size = std::to_string(Picture(0).size());
  const DatasetFingerprint fingerprint = FingerprintOf(Options("folder", folder.path()));
  // As version 0.1 made it.
  const std::string former =
      base::Sha256Hex(std::string("gannet folder 1\n1.png") + '\0' + size + " 0\n");

  EXPECT_EQ(fingerprint.former_digest, former);
  EXPECT_EQ(DigestKnownAs(fingerprint, former), former);
  EXPECT_EQ(DigestKnownAs(fingerprint, std::string(64, 'a')), fingerprint.digest);
  EXPECT_EQ(DigestKnownAs(FingerprintOf(Options("procedural", "")), ""),
            FingerprintOf(Options("procedural", "")).digest);
}

TEST(ContentFingerprintTest, ArchivesAreComparedByTheirBytesNotByWhatTheySayOfThem) {
  const image::TempFolder folder;
  const std::string plain = folder.Write("a.zip", EncodeZip({{"1.png", Picture(0)}}));
  const std::string other = folder.Write("b.zip", EncodeZip({{"1.png", Picture(1)}}));
  const std::string packed = folder.Write("c.zip", EncodeZip({{"x/1.png", Picture(0), true}}));
  const std::string damaged_bytes = [] {
    std::string bytes = EncodeZip({{"1.png", Picture(0)}});
    const size_t at = bytes.find(Picture(0)) + 50;
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    return bytes;
  }();
  const std::string damaged = folder.Write("d.zip", damaged_bytes);

  EXPECT_NE(FingerprintOf(Options("zip", plain)).digest,
            FingerprintOf(Options("zip", other)).digest);
  EXPECT_EQ(FingerprintOf(Options("zip", plain)).digest,
            FingerprintOf(Options("zip", packed)).digest);
  EXPECT_NE(FingerprintOf(Options("zip", plain)).digest,
            FingerprintOf(Options("zip", damaged)).digest)
      << "the checksum in the archive is the same";
  EXPECT_THAT(FingerprintOf(Options("zip", damaged)).description,
              HasSubstr("1 of them cannot be read"));
}

TEST(ContentFingerprintTest, PackedFilesKeepThatOfTheirImages) {
  const image::TempFolder folder;
  std::vector<DatasetFingerprint> fingerprints;
  for (const int variant : {0, 1}) {
    const std::string name = std::to_string(variant);
    folder.Write(name + "/1.png", Picture(variant));
    ASSERT_OK_AND_ASSIGN(const auto dataset,
                         OpenDataset(Options("folder", folder.path() + "/" + name)));
    const std::string path = folder.path() + "/" + name + ".packed";
    ASSERT_OK(WritePackedDataset(*dataset, 16, path, nullptr));
    fingerprints.push_back(FingerprintOf(Options("packed", path)));
    EXPECT_EQ(fingerprints.back().digest, dataset->fingerprint().digest);
    EXPECT_EQ(fingerprints.back().former_digest, dataset->fingerprint().former_digest);
  }
  EXPECT_NE(fingerprints[0].digest, fingerprints[1].digest);
}

TEST(ContentFingerprintTest, PackedFilesOfOlderVersionsSayWhatTheyAre) {
  const image::TempFolder folder;
  folder.Write("images/1.png", Picture(0));
  const std::string path = folder.path() + "/images.packed";
  ASSERT_OK_AND_ASSIGN(const auto dataset,
                       OpenDataset(Options("folder", folder.path() + "/images")));
  ASSERT_OK(WritePackedDataset(*dataset, 16, path, nullptr));
  std::ifstream in(path, std::ios::binary);
  std::string bytes(std::istreambuf_iterator<char>(in), {});
  // Without the key, and with the digest of names and sizes, as such a file has it.
  const DatasetFingerprint& known = dataset->fingerprint();
  const std::string key = "\"former_digest\":\"" + known.former_digest + "\",";
  const size_t at = bytes.find(key);
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at, key.size(), std::string(key.size(), ' '));
  bytes.replace(bytes.find(known.digest), 64, known.former_digest);
  folder.Write("images.packed", bytes);

  const DatasetFingerprint old = FingerprintOf(Options("packed", path));
  EXPECT_EQ(old.digest, known.former_digest);
  EXPECT_EQ(DigestKnownAs(old, known.former_digest), known.former_digest) << "runs of then go on";
  EXPECT_NE(DigestKnownAs(old, known.digest), known.digest) << "but it is no proof of content";
  EXPECT_THAT(old.description, HasSubstr("pack it again"));
}

TEST(ContentFingerprintTest, ReadingIsReported) {
  const image::TempFolder folder;
  folder.Write("1.png", Picture(0));
  folder.Write("2.png", Picture(1));
  DatasetOptions options = Options("folder", folder.path());
  std::vector<int64_t> last;
  options.on_reading = [&](int64_t done, int64_t total) { last = {done, total}; };

  FingerprintOf(options);

  const auto all = static_cast<int64_t>(Picture(0).size() + Picture(1).size());
  EXPECT_THAT(last, ElementsAre(all, all));
}

// --- Labels.

TEST(LabelFilesTest, OneThatDoesNotFitLeavesImagesWithoutLabels) {
  const std::vector<std::pair<std::string, std::string>> files = {
      {"dataset.json", "{"},
      {"dataset.json", "[]"},
      {"dataset.json", R"({"images": [], "annotations": []})"},
      {"dataset.json", R"({"labels": 3})"},
      {"dataset.json", R"({"labels": [["a.png", [0.1, 0.9]]]})"},
      {"dataset.json", R"({"labels": [["b.png", 1]]})"},
      {"list_attr_celeba.txt", "1\nBald Smiling\na.png 1\n"},
      {"list_attr_celeba.txt", "1\nBald\na.png 7\n"},
      {"list_attr_celeba.txt", "1\nBald\nb.png 1\n"},
      {"list_attr_celeba.csv", "image_id,Bald\n\"a.png,1\n"},
      {"list_attr_celeba.csv", ""}};
  for (const auto& [name, text] : files) {
    const image::TempFolder folder;
    folder.Write("a.png", Picture(0));
    folder.Write(name, text);

    ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(Options("folder", folder.path())));

    EXPECT_FALSE(dataset->has_labels()) << text;
    EXPECT_THAT(dataset->labels_problem(), HasSubstr(name + ": ")) << text;
  }
}

TEST(LabelFilesTest, TheOneThatFitsIsTaken) {
  const image::TempFolder folder;
  folder.Write("000001.png", Picture(0));
  folder.Write("dataset.json", R"({"images": [], "annotations": []})");
  folder.Write("list_attr_celeba.txt", "1\nBald Young\n000001.png -1 1\n");

  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(Options("folder", folder.path())));

  EXPECT_THAT(LabelsOf(*dataset), ElementsAre(2));
  EXPECT_THAT(dataset->labels_problem(), IsEmpty());
}

TEST(LabelFilesTest, AListOfJpegsLabelsPngsOfTheSameNames) {
  const image::TempFolder folder;
  for (const char* name : {"000001.png", "000002.png", "preview.png"}) {
    folder.Write(std::string("img_align_celeba/") + name, Picture(0));
  }
  folder.Write("list_attr_celeba.txt", "2\nMale Young\n000001.jpg 1 -1\n000002.jpg -1  1\n");

  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(Options("folder", folder.path())));

  EXPECT_THAT(LabelsOf(*dataset), ElementsAre(1, 2, kNoLabel)) << "nothing is known of preview.png";
  EXPECT_THAT(dataset->label_bits(), ElementsAre("Male", "Young"));

  const image::TempFolder json;
  json.Write("a.png", Picture(0));
  json.Write("b.png", Picture(0));
  json.Write("dataset.json", R"({"labels": [["a.jpg", 4], ["b.jpg", 1], ["b.webp", 2]]})");
  ASSERT_OK_AND_ASSIGN(const auto classes, OpenDataset(Options("folder", json.path())));
  EXPECT_THAT(LabelsOf(*classes), ElementsAre(4, kNoLabel)) << "either of two could be meant";
}

TEST(LabelFilesTest, AttributesMayComeOutOfASpreadsheet) {
  for (const char* text :
       {"\xef\xbb\xbfimage_id,Male,Smiling,Young\r\n000001.jpg,-1,1,-1\r\n000002.jpg,1,-1,1\r\n",
        R"("image_id","Male","Smiling","Young"
"000001.jpg",-1,1,-1
"000002.jpg","1",-1,1
)",
        "image_id;Male;Smiling;Young\r\n000001.jpg;-1;1;-1\r\n000002.jpg;1;-1;1\r\n",
        "image_id\tMale\tSmiling\tYoung\n000001.jpg\t-1\t1\t-1\n000002.jpg\t1\t-1\t1\n",
        "file,Male,Smiling,Young,,\n000001.jpg,-1,1,-1,,\n000002.jpg,1,-1,1\n,,,,,\n"}) {
    const image::TempFolder folder;
    folder.Write("img_align_celeba/000001.jpg", image::EncodeJpeg(image::SoftImage(20, 20, 1)));
    folder.Write("img_align_celeba/000002.jpg", image::EncodeJpeg(image::SoftImage(20, 20, 2)));
    folder.Write("list_attr_celeba.csv", text);

    ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(Options("folder", folder.path())));

    EXPECT_THAT(dataset->label_bits(), ElementsAre("Male", "Smiling", "Young")) << text;
    EXPECT_THAT(LabelsOf(*dataset), ElementsAre(2, 5)) << text;
  }
}

// --- idx.

// Ten grey pictures of 4x4 pixels, or their labels.
std::string IdxImages() {
  return std::string("\0\0\x08\x03\0\0\0\x0a\0\0\0\x04\0\0\0\x04", 16) + std::string(160, 'x');
}
std::string IdxLabels(int count = 10) {
  std::string bytes("\0\0\x08\x01\0\0\0", 7);
  bytes.push_back(static_cast<char>(count));
  for (int i = 0; i < count; ++i) bytes.push_back(static_cast<char>(i % 10));
  return bytes;
}

TEST(IdxNamesTest, EveryUsualSpellingIsFoundWithItsLabels) {
  struct Spelling {
    const char* images;
    const char* labels;
  };
  for (const auto& [images, labels] :
       {Spelling{"train-images-idx3-ubyte", "train-labels-idx1-ubyte"},
        {"train-images.idx3-ubyte", "train-labels.idx1-ubyte"},
        {"train-images.idx3-ubyte", "train-labels-idx1-ubyte"},
        {"train-images.idx3-ubyte.gz", "train-labels.idx1-ubyte"},
        {"TRAIN-IMAGES-IDX3-UBYTE", "train-labels-idx1-ubyte.gz"},
        {"t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte"},
        {"emnist-letters-train-images-idx3-ubyte", "emnist-letters-train-labels-idx1-ubyte"},
        {"MNIST/raw/train-images-idx3-ubyte", "MNIST/raw/train-labels-idx1-ubyte"},
        {"train-images-idx3-ubyte/train-images-idx3-ubyte",
         "train-labels-idx1-ubyte/train-labels-idx1-ubyte"}}) {
    const image::TempFolder folder;
    const auto write = [&](const std::string& name, const std::string& bytes) {
      return folder.Write(name, name.ends_with(".gz") ? Gzip(bytes) : bytes);
    };
    const std::string file = write(images, IdxImages());
    write(labels, IdxLabels());
    for (const std::string& path : {folder.path(), file}) {
      const auto dataset = OpenDataset(Options("idx", path));
      ASSERT_OK(dataset) << images;
      EXPECT_EQ((*dataset)->size(), 10) << images;
      EXPECT_TRUE((*dataset)->has_labels()) << images << ": " << (*dataset)->labels_problem();
      EXPECT_THAT(LabelsOf(**dataset), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)) << images;
    }
  }
}

TEST(IdxNamesTest, TheImagesForTrainingAreMeant) {
  const image::TempFolder folder;
  folder.Write("t10k-images-idx3-ubyte", IdxImages());
  folder.Write("train-images-idx3-ubyte", IdxImages());
  folder.Write("train-images-idx3-ubyte.gz", "damaged, but the other one is read");
  EXPECT_THAT(FingerprintOf(Options("idx", folder.path())).description,
              HasSubstr("/train-images-idx3-ubyte"));

  folder.Write("emnist-train-images-idx3-ubyte", IdxImages());
  EXPECT_THAT(OpenDataset(Options("idx", folder.path())),
              base::StatusIs(kFailed, AllOf(HasSubstr("2 files of images"), HasSubstr("data.path"),
                                            HasSubstr("emnist-train-images-idx3-ubyte"))));
}

TEST(IdxNamesTest, LabelsThatDoNotFitAreNone) {
  const image::TempFolder folder;
  folder.Write("train-images-idx3-ubyte", IdxImages());
  ASSERT_OK_AND_ASSIGN(const auto none, OpenDataset(Options("idx", folder.path())));
  EXPECT_THAT(none->labels_problem(), HasSubstr("there is no train-labels-idx1-ubyte"));

  folder.Write("train-labels-idx1-ubyte", IdxLabels(9));
  ASSERT_OK_AND_ASSIGN(const auto fewer, OpenDataset(Options("idx", folder.path())));
  EXPECT_FALSE(fewer->has_labels());
  EXPECT_THAT(fewer->labels_problem(), HasSubstr("9 labels, 10 images"));

  const std::string other = folder.Write("pictures.bin", IdxImages());
  ASSERT_OK_AND_ASSIGN(const auto named, OpenDataset(Options("idx", other)));
  EXPECT_THAT(named->labels_problem(), HasSubstr("pictures.bin"));
}

// --- Pictures.

TEST(PicturesTest, PhonesAreReadUprightAndPackedSo) {
  const image::TempFolder folder;
  // Stored with red on the left; a quarter turn clockwise puts that to the top.
  image::RgbImage stored = image::PlainImage(80, 80, 0, 0, 255);
  for (size_t i = 0; i < size_t{80} * 80; ++i) {
    if (i % 80 >= 40) continue;
    stored.pixels[3 * i] = 255;
    stored.pixels[3 * i + 2] = 0;
  }
  folder.Write("images/phone.jpg", image::WithExif(image::EncodeJpeg(stored), image::ExifBlock(6)));
  const DatasetOptions options = Options("folder", folder.path() + "/images");
  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(options));
  const std::string path = folder.path() + "/images.packed";
  ASSERT_OK(WritePackedDataset(*dataset, 16, path, nullptr));
  ASSERT_OK_AND_ASSIGN(const auto packed, OpenDataset(Options("packed", path)));

  const std::vector<uint8_t> rgb = Read(*dataset, 0);

  for (size_t x = 0; x < 16; ++x) {
    EXPECT_GT(rgb[x], 240) << "red at the top, column " << x;
    EXPECT_LT(rgb[15 * 16 + x], 15) << "not at the bottom, column " << x;
    EXPECT_GT(rgb[size_t{2} * 256 + 15 * 16 + x], 240) << "blue at the bottom, column " << x;
  }
  EXPECT_EQ(Read(*packed, 0), rgb);
}

TEST(PicturesTest, EveryEndingOfJpegAndWebpIsRead) {
  const image::TempFolder folder;
  for (const char* name : {"a.jfif", "b.JPE", "c.jpeg", "d.jpg"}) {
    folder.Write(name, image::EncodeJpeg(image::PlainImage(20, 20, 90, 90, 90)));
  }
  folder.Write("e.webp", image::EncodeWebp(image::PlainImage(20, 20, 90, 90, 90)));
  folder.Write("f.webp", image::EncodeWebp(image::PlainImage(20, 20, 0, 0, 0), 0));

  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(Options("folder", folder.path())));

  ASSERT_EQ(dataset->size(), 6);
  EXPECT_THAT(Read(*dataset, 4), Each(90));
  EXPECT_THAT(Read(*dataset, 5), Each(255)) << "transparent pixels lie over white";
  EXPECT_THAT(CheckDataset(Options("folder", folder.path()), nullptr)->good_count, 6);
}

TEST(PicturesTest, ACropCountsThePixelsOfTheFile) {
  const image::TempFolder folder;
  // 8,200 x 8,200 pixels are more than 64 million, so that half of them are decoded.
  image::RgbImage image = image::PlainImage(8200, 8200, 0, 0, 0);
  for (size_t y = 4000; y < 4200; ++y) {
    std::fill_n(image.pixels.begin() + static_cast<std::ptrdiff_t>(3 * (y * 8200 + 4000)), 600,
                255);
  }
  folder.Write("huge.jpg", image::EncodeJpeg(image));
  DatasetOptions options = Options("folder", folder.path());
  options.crop = 200;
  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(options));
  EXPECT_THAT(Read(*dataset, 0), Each(::testing::Ge(250)));

  options.crop = 8201;
  ASSERT_OK_AND_ASSIGN(const auto larger, OpenDataset(options));
  std::vector<uint8_t> rgb(size_t{3} * 16 * 16);
  EXPECT_THAT(larger->ReadRgb(0, absl::MakeSpan(rgb)),
              base::StatusIs(absl::StatusCode::kDataLoss, HasSubstr("8200x8200")));
}

}  // namespace
}  // namespace gannet::data
