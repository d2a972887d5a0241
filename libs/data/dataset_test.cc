#include "libs/data/dataset.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/hex.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/data/dataset_check.h"
#include "libs/data/procedural_faces.h"
#include "libs/data/testing/archive_files.h"
#include "libs/image/testing/image_files.h"

namespace gannet::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr char kFashionMnist[] = "/usr/share/datasets/fashion-mnist";

DatasetOptions Options(const std::string& kind, const std::string& path, int image_size = 16) {
  DatasetOptions options;
  options.kind = kind;
  options.path = path;
  options.image_size = image_size;
  return options;
}

std::string Jpeg(int variant, int width = 20, int height = 24) {
  return image::EncodeJpeg(image::SoftImage(width, height, variant));
}

std::vector<std::string> Names(const Dataset& dataset) {
  std::vector<std::string> names;
  for (int64_t i = 0; i < dataset.size(); ++i) names.push_back(dataset.NameOf(i));
  return names;
}

absl::StatusOr<std::vector<uint8_t>> Read(const Dataset& dataset, int64_t index, int size = 16) {
  std::vector<uint8_t> rgb(3 * static_cast<size_t>(size) * static_cast<size_t>(size));
  const absl::Status status = dataset.ReadRgb(index, absl::MakeSpan(rgb));
  if (!status.ok()) return status;
  return rgb;
}

std::string DigestOf(const DatasetOptions& options) {
  const auto dataset = OpenDataset(options);
  return dataset.ok() ? (*dataset)->fingerprint().digest : dataset.status().ToString();
}

// --- Options.

TEST(DatasetTest, WrongOptionsAreNamed) {
  EXPECT_THAT(OpenDataset(Options("cifar", "x")),
              base::StatusIs(absl::StatusCode::kInvalidArgument,
                             HasSubstr("procedural, folder, zip, idx, cifar10, packed")));
  EXPECT_THAT(OpenDataset(Options("folder", "")),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("path")));
  EXPECT_THAT(OpenDataset(Options("procedural", "", 7)),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("image_size")));
  EXPECT_THAT(OpenDataset(Options("procedural", "", 1025)),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("image_size")));
  DatasetOptions none = Options("procedural", "");
  none.count = 0;
  EXPECT_THAT(OpenDataset(none),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("count")));
}

// --- Procedural.

TEST(DatasetTest, ProceduralFacesAreTheDefault) {
  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(DatasetOptions{}));

  EXPECT_EQ(dataset->size(), 10'000);
  EXPECT_EQ(dataset->fingerprint().kind, "procedural");
  EXPECT_TRUE(base::IsHex(dataset->fingerprint().digest, 64));
  EXPECT_EQ(dataset->LabelOf(3), FaceLabels(1, 3));
  std::vector<uint8_t> drawn(3 * 64 * 64);
  DrawFace(1, 3, 64, absl::MakeSpan(drawn));
  EXPECT_THAT(Read(*dataset, 3, 64), base::IsOkAndHolds(drawn));
}

TEST(DatasetTest, ProceduralFingerprintHoldsSeedAndCountButNotTheSize) {
  DatasetOptions options;
  const std::string digest = DigestOf(options);

  options.image_size = 32;
  EXPECT_EQ(DigestOf(options), digest);
  options.seed = 2;
  EXPECT_NE(DigestOf(options), digest);
  options.seed = 1;
  options.count = 5;
  EXPECT_NE(DigestOf(options), digest);
}

// --- Every kind.

TEST(DatasetTest, IndicesAndRoomAreChecked) {
  const image::TempFolder folder;
  folder.Write("a.jpg", Jpeg(1));
  for (const DatasetOptions& options : {Options("procedural", ""), Options("folder", folder.path()),
                                        Options("idx", kFashionMnist)}) {
    ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(options));
    EXPECT_THAT(Read(*dataset, -1), base::StatusIs(absl::StatusCode::kOutOfRange));
    EXPECT_THAT(Read(*dataset, dataset->size()), base::StatusIs(absl::StatusCode::kOutOfRange));
    EXPECT_THAT(Read(*dataset, 0, 17), base::StatusIs(absl::StatusCode::kInvalidArgument));
    EXPECT_OK(Read(*dataset, dataset->size() - 1));
  }
}

// --- Folder.

TEST(DatasetTest, FoldersAreReadInBytewiseOrderOfRelativePaths) {
  const image::TempFolder folder;
  for (const char* name : {"b.jpg", "a/z.png", "a.jpg", "B.JPG", "a/b/c.jpeg", "a-b.jpg"}) {
    folder.Write(name, Jpeg(1));
  }

  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(Options("folder", folder.path())));

  // '-' < '.' < '/' in bytes, and capitals before small letters.
  EXPECT_THAT(Names(*dataset),
              ElementsAre("B.JPG", "a-b.jpg", "a.jpg", "a/b/c.jpeg", "a/z.png", "b.jpg"));
}

TEST(DatasetTest, HiddenAndOtherFilesArePassedOver) {
  const image::TempFolder folder;
  folder.Write("a.jpg", Jpeg(1));
  folder.Write(".hidden.jpg", Jpeg(1));
  folder.Write("._a.jpg", Jpeg(1));
  folder.Write(".git/b.jpg", Jpeg(1));
  folder.Write("list.txt", "a.jpg");
  folder.Write("jpg", Jpeg(1));
  std::filesystem::create_directory_symlink(folder.path(), folder.path() + "/circle");
  std::filesystem::create_directory(folder.path() + "/folder.jpg");

  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(Options("folder", folder.path())));

  EXPECT_THAT(Names(*dataset), ElementsAre("a.jpg"));
}

TEST(DatasetTest, DamagedHeadersHaveNoIndexAndNoPartInTheFingerprint) {
  const image::TempFolder folder;
  folder.Write("a.jpg", Jpeg(1));
  folder.Write("c.jpg", Jpeg(2));
  const std::string clean = DigestOf(Options("folder", folder.path()));
  folder.Write("b.jpg", "");
  folder.Write("d.png", "no picture");
  std::filesystem::create_symlink("/nonexistent", folder.path() + "/e.jpg");

  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(Options("folder", folder.path())));

  EXPECT_THAT(Names(*dataset), ElementsAre("a.jpg", "c.jpg"));
  EXPECT_EQ(dataset->fingerprint().digest, clean);
  EXPECT_EQ(dataset->fingerprint().image_count, 2);
  EXPECT_THAT(dataset->fingerprint().description, HasSubstr("3 unreadable ones left out"));
}

TEST(DatasetTest, FingerprintsSeeNamesSizesAndNumbersButNotWhereTheFolderIs) {
  const image::TempFolder folder;
  const image::TempFolder copy;
  const image::TempFolder doubled;
  for (const char* name : {"1.jpg", "2.jpg"}) {
    folder.Write(name, Jpeg(1));
    copy.Write(name, Jpeg(1));
    doubled.Write(std::string("img_align_celeba/img_align_celeba/") + name, Jpeg(1));
  }
  const std::string digest = DigestOf(Options("folder", folder.path()));

  EXPECT_TRUE(base::IsHex(digest, 64));
  EXPECT_EQ(DigestOf(Options("folder", copy.path() + "/")), digest);
  EXPECT_EQ(DigestOf(Options("folder", doubled.path(), 32)), digest);
  EXPECT_EQ(DigestOf(Options("folder", doubled.path() + "/img_align_celeba")), digest);

  copy.Write("2.jpg", Jpeg(1, 40, 40));
  EXPECT_NE(DigestOf(Options("folder", copy.path())), digest) << "another size";
  copy.Write("2.jpg", Jpeg(1));
  EXPECT_EQ(DigestOf(Options("folder", copy.path())), digest);
  std::filesystem::rename(copy.path() + "/2.jpg", copy.path() + "/3.jpg");
  EXPECT_NE(DigestOf(Options("folder", copy.path())), digest) << "another name";
  folder.Write("3.jpg", Jpeg(1));
  EXPECT_NE(DigestOf(Options("folder", folder.path())), digest) << "another number";
}

TEST(DatasetTest, WhatIsNoFolderOfImagesIsRefused) {
  const image::TempFolder folder;
  const std::string file = folder.Write("archive", "x");

  EXPECT_THAT(OpenDataset(Options("folder", folder.path() + "/none")),
              base::StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(OpenDataset(Options("folder", file)),
              base::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("kind zip")));
  EXPECT_THAT(
      OpenDataset(Options("folder", folder.path())),
      base::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("no readable image")));
  folder.Write("bad.jpg", "bad");
  EXPECT_THAT(OpenDataset(Options("folder", folder.path())),
              base::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("bad.jpg")));
}

TEST(DatasetTest, AnImageThatCannotBeDecodedIsNamed) {
  const image::TempFolder folder;
  folder.Write("a.jpg", Jpeg(1).substr(0, 300));
  folder.Write("b.jpg", Jpeg(2));
  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(Options("folder", folder.path())));
  ASSERT_EQ(dataset->size(), 2);

  EXPECT_THAT(Read(*dataset, 0), base::StatusIs(absl::StatusCode::kDataLoss, HasSubstr("a.jpg")));
  EXPECT_OK(Read(*dataset, 1));

  folder.Write("b.jpg", Jpeg(2, 50, 50));
  EXPECT_THAT(Read(*dataset, 1), base::StatusIs(absl::StatusCode::kDataLoss, HasSubstr("changed")));
  std::filesystem::remove(folder.path() + "/b.jpg");
  EXPECT_THAT(Read(*dataset, 1), base::StatusIs(absl::StatusCode::kDataLoss, HasSubstr("b.jpg")));
}

// The preparation of CelebA: 178 x 218 pixels to 64 x 78 (218 * 64 / 178 = 78.4), of which the rows
// 7 to 70 remain.
TEST(DatasetTest, CelebAIsScaledByItsShorterSideAndCutInTheMiddle) {
  const image::TempFolder folder;
  image::RgbImage image = image::PlainImage(178, 218, 0, 0, 0);
  for (int y = 0; y < 218; ++y) {
    for (int x = 0; x < 178; ++x) {
      image.pixels[static_cast<size_t>(y * 178 + x) * 3] = static_cast<uint8_t>(y);
      image.pixels[static_cast<size_t>(y * 178 + x) * 3 + 1] = static_cast<uint8_t>(x);
    }
  }
  folder.Write("img_align_celeba/000001.jpg", image::EncodeJpeg(image));
  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(Options("folder", folder.path(), 64)));

  ASSERT_OK_AND_ASSIGN(const std::vector<uint8_t> rgb, Read(*dataset, 0, 64));

  const double scale = 218.0 / 78;
  EXPECT_NEAR(rgb[32], 7.5 * scale - 0.5, 4) << "first row";
  EXPECT_NEAR(rgb[63 * 64 + 32], 70.5 * scale - 0.5, 4) << "last row";
  EXPECT_NEAR(rgb[4096 + 32 * 64], 0.5 * 178.0 / 64 - 0.5, 4) << "first column";
  EXPECT_NEAR(rgb[4096 + 32 * 64 + 63], 63.5 * 178.0 / 64 - 0.5, 4) << "last column";
}

// --- Zip.

TEST(DatasetTest, ArchivesHoldTheSameImagesAsFolders) {
  const image::TempFolder folder;
  std::vector<ZipEntry> entries = {{"img_align_celeba/", ""}};
  for (const int i : {3, 1, 2}) {
    const std::string name = "img_align_celeba/00000" + std::to_string(i) + ".jpg";
    folder.Write("plain/" + name, Jpeg(i));
    entries.push_back({name, Jpeg(i), i == 2});
  }
  entries.push_back({"__MACOSX/img_align_celeba/._000001.jpg", "resource fork"});
  entries.push_back({"readme.txt", "text"});
  const std::string zip = folder.Write("celeba.zip", EncodeZip(entries));

  ASSERT_OK_AND_ASSIGN(const auto plain, OpenDataset(Options("folder", folder.path() + "/plain")));
  ASSERT_OK_AND_ASSIGN(const auto packed, OpenDataset(Options("zip", zip)));

  EXPECT_THAT(Names(*packed),
              ElementsAre("img_align_celeba/000001.jpg", "img_align_celeba/000002.jpg",
                          "img_align_celeba/000003.jpg"));
  EXPECT_EQ(Names(*packed), Names(*plain));
  for (int64_t i = 0; i < 3; ++i) {
    ASSERT_OK_AND_ASSIGN(const std::vector<uint8_t> expected, Read(*plain, i));
    EXPECT_THAT(Read(*packed, i), base::IsOkAndHolds(expected));
  }
}

TEST(DatasetTest, ArchiveFingerprintsSeeTheContent) {
  const image::TempFolder folder;
  std::string other = Jpeg(1);
  other[other.size() - 3] = static_cast<char>(other[other.size() - 3] ^ 1);
  const std::string a = folder.Write("a.zip", EncodeZip({{"1.jpg", Jpeg(1)}}));
  const std::string same = folder.Write("b.zip", EncodeZip({{"x/1.jpg", Jpeg(1), true}}));
  const std::string changed = folder.Write("c.zip", EncodeZip({{"1.jpg", other}}));

  EXPECT_TRUE(base::IsHex(DigestOf(Options("zip", a)), 64));
  EXPECT_EQ(DigestOf(Options("zip", a)), DigestOf(Options("zip", same)));
  EXPECT_NE(DigestOf(Options("zip", a)), DigestOf(Options("zip", changed)));
}

TEST(DatasetTest, DamageInAnArchiveIsNoticedByItsChecksum) {
  const image::TempFolder folder;
  std::string bytes = EncodeZip({{"1.jpg", Jpeg(1)}, {"2.jpg", Jpeg(2)}});
  const size_t last_of_first = bytes.find("PK\x03\x04", 4) - 1;
  bytes[last_of_first] = static_cast<char>(bytes[last_of_first] ^ 0x10);
  const std::string zip = folder.Write("a.zip", bytes);

  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(Options("zip", zip)));

  EXPECT_THAT(Read(*dataset, 0), base::StatusIs(absl::StatusCode::kDataLoss, HasSubstr("1.jpg")));
  EXPECT_OK(Read(*dataset, 1));
}

TEST(DatasetTest, WhatIsNoArchiveOfImagesIsRefused) {
  const image::TempFolder folder;
  const std::string text = folder.Write("text.zip", "no archive");
  const std::string empty = folder.Write("empty.zip", EncodeZip({{"readme.txt", "x"}}));
  const std::string whole = EncodeZip({{"1.jpg", Jpeg(1)}});
  const std::string cut = folder.Write("cut.zip", whole.substr(0, whole.size() - 30));

  EXPECT_THAT(OpenDataset(Options("zip", folder.path() + "/none.zip")),
              base::StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(OpenDataset(Options("zip", folder.path())),
              base::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("kind folder")));
  EXPECT_THAT(OpenDataset(Options("zip", text)),
              base::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("text.zip")));
  EXPECT_THAT(
      OpenDataset(Options("zip", empty)),
      base::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("no readable image")));
  EXPECT_THAT(OpenDataset(Options("zip", cut)),
              base::StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST(DatasetTest, TheLastOfTwoEntriesOfOneNameCounts) {
  const image::TempFolder folder;
  const std::string both =
      folder.Write("both.zip", EncodeZip({{"1.jpg", Jpeg(1)}, {"1.jpg", Jpeg(2)}}));
  const std::string last = folder.Write("last.zip", EncodeZip({{"1.jpg", Jpeg(2)}}));

  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(Options("zip", both)));

  EXPECT_EQ(dataset->size(), 1);
  EXPECT_EQ(dataset->fingerprint().digest, DigestOf(Options("zip", last)));
}

TEST(DatasetTest, ManyThreadsReadOneArchive) {
  const image::TempFolder folder;
  std::vector<ZipEntry> entries;
  for (int i = 0; i < 24; ++i) {
    entries.push_back({std::to_string(100 + i) + ".jpg", Jpeg(i), i % 2 == 0});
  }
  const std::string zip = folder.Write("a.zip", EncodeZip(entries));
  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(Options("zip", zip)));
  std::vector<std::vector<uint8_t>> expected;
  for (int64_t i = 0; i < dataset->size(); ++i) {
    ASSERT_OK_AND_ASSIGN(expected.emplace_back(), Read(*dataset, i));
  }

  std::vector<std::thread> threads;
  std::vector<int> wrong(8, 0);
  for (size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (size_t k = 0; k < 48; ++k) {
        const size_t i = (k * 7 + t * 5) % expected.size();
        const auto rgb = Read(*dataset, static_cast<int64_t>(i));
        if (!rgb.ok() || *rgb != expected[i]) ++wrong[t];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_THAT(wrong, testing::Each(0));
}

// --- idx.

// A file of the format; `magic` is its third and fourth byte.
std::string Idx(const std::string& magic, const std::vector<uint32_t>& dimensions,
                const std::string& values) {
  std::string out("\0\0", 2);
  out += magic;
  for (const uint32_t d : dimensions) {
    for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(d >> shift));
  }
  return out + values;
}

TEST(DatasetTest, FashionMnistIsRead) {
  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(Options("idx", kFashionMnist, 28)));

  EXPECT_EQ(dataset->size(), 60'000);
  EXPECT_EQ(dataset->fingerprint().image_count, 60'000);
  // The first image is an ankle boot (class 9), black around it.
  EXPECT_EQ(dataset->LabelOf(0), 9);
  EXPECT_EQ(dataset->LabelOf(1), 0);
  ASSERT_OK_AND_ASSIGN(const std::vector<uint8_t> rgb, Read(*dataset, 0, 28));
  EXPECT_EQ(rgb[0], 0);
  EXPECT_EQ(rgb[14 * 28 + 14], rgb[784 + 14 * 28 + 14]);
  EXPECT_GT(rgb[20 * 28 + 14], 100);
  std::vector<int> per_class(10, 0);
  for (int64_t i = 0; i < dataset->size(); ++i) {
    ++per_class[static_cast<size_t>(dataset->LabelOf(i))];
  }
  EXPECT_THAT(per_class, testing::Each(6000));
}

TEST(DatasetTest, FashionMnistIsScaledToTheNetworksSize) {
  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(Options("idx", kFashionMnist, 32)));

  ASSERT_OK_AND_ASSIGN(const std::vector<uint8_t> rgb, Read(*dataset, 59'999, 32));

  EXPECT_GT(*std::max_element(rgb.begin(), rgb.end()), 100);
}

TEST(DatasetTest, IdxFilesArePlainOrCompressed) {
  const image::TempFolder folder;
  const std::string values = "0123456789abcdef";
  const std::string images = Idx("\x08\x03", {1, 4, 4}, values);
  const std::string labels = Idx("\x08\x01", {1}, "\x07");
  folder.Write("plain/train-images-idx3-ubyte", images);
  folder.Write("plain/train-labels-idx1-ubyte", labels);
  folder.Write("packed/train-images-idx3-ubyte.gz", Gzip(images));
  folder.Write("packed/train-labels-idx1-ubyte", labels);
  const std::string file = folder.Write("file/t10k-images-idx3-ubyte", images);

  ASSERT_OK_AND_ASSIGN(const auto plain, OpenDataset(Options("idx", folder.path() + "/plain")));
  ASSERT_OK_AND_ASSIGN(const auto packed, OpenDataset(Options("idx", folder.path() + "/packed")));
  ASSERT_OK_AND_ASSIGN(const auto alone, OpenDataset(Options("idx", file)));

  EXPECT_EQ(plain->fingerprint().digest, packed->fingerprint().digest);
  EXPECT_EQ(plain->fingerprint().digest, alone->fingerprint().digest);
  EXPECT_EQ(plain->LabelOf(0), 7);
  EXPECT_EQ(packed->LabelOf(0), 7);
  EXPECT_EQ(alone->LabelOf(0), 0);
  ASSERT_OK_AND_ASSIGN(const std::vector<uint8_t> rgb, Read(*plain, 0));
  EXPECT_THAT(Read(*packed, 0), base::IsOkAndHolds(rgb));
  EXPECT_EQ(rgb[0], '0');
  EXPECT_EQ(rgb[255], 'f');
}

TEST(DatasetTest, DamagedIdxFilesAreRefused) {
  const image::TempFolder folder;
  const std::string values(48, 'x');
  const std::string good = Idx("\x08\x03", {3, 4, 4}, values);
  const auto open = [&](const std::string& bytes) {
    return OpenDataset(Options("idx", folder.Write("images-idx3-ubyte", bytes)));
  };
  const auto refused = [](const char* why) {
    return base::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(why));
  };

  EXPECT_OK(open(good));
  EXPECT_THAT(open(good.substr(0, good.size() - 1)), refused("cut short"));
  EXPECT_THAT(open(good.substr(0, 9)), refused("cut short"));
  EXPECT_THAT(open(good + "x"), refused("longer"));
  EXPECT_THAT(open(Gzip(good).substr(0, 30)), refused("damaged"));
  std::string checksum = Gzip(good);
  checksum[checksum.size() - 6] = static_cast<char>(checksum[checksum.size() - 6] ^ 1);
  EXPECT_THAT(open(checksum), refused("damaged"));
  EXPECT_THAT(open(Idx("\x08\x01", {3}, "abc")), refused("00 00 08 03"));
  EXPECT_THAT(open(Idx("\x0d\x03", {3, 4, 4}, values)), refused("00000d03"));
  EXPECT_THAT(open(Idx("\x08\x03", {0, 4, 4}, "")), refused("nothing"));
  EXPECT_THAT(open(Idx("\x08\x03", {3, 0, 4}, "")), refused("larger"));
  EXPECT_THAT(open(Idx("\x08\x03", {0xffffffff, 0xffffffff, 0xffffffff}, "")), refused("larger"));
  EXPECT_THAT(open(Idx("\x08\x03", {0x00ffffff, 8, 8}, "")), refused("cut short"))
      << "a gigabyte is promised and never comes";
}

TEST(DatasetTest, AFolderWithoutImagesInIdxIsRefused) {
  const image::TempFolder folder;
  EXPECT_THAT(OpenDataset(Options("idx", folder.path() + "/none")),
              base::StatusIs(absl::StatusCode::kNotFound));
  std::filesystem::create_directory(folder.path() + "/empty");
  EXPECT_THAT(OpenDataset(Options("idx", folder.path() + "/empty")),
              base::StatusIs(absl::StatusCode::kNotFound, HasSubstr("train-images-idx3-ubyte")));
}

// --- Check and exclusions.

std::vector<std::string> BadNames(const DatasetCheckReport& report) {
  std::vector<std::string> names;
  for (const BadImage& image : report.bad) names.push_back(image.name);
  return names;
}

TEST(DatasetTest, CheckFindsWhatTheHeaderHides) {
  const image::TempFolder folder;
  folder.Write("data/a.jpg", Jpeg(1));
  folder.Write("data/b.jpg", Jpeg(2).substr(0, 300));
  folder.Write("data/c.jpg", "no picture");
  folder.Write("data/x/d.png",
               image::EncodePng(image::SoftImage(64, 64, 3), image::PngKind::kRgb).substr(0, 100));
  folder.Write("data/x/e.png", image::EncodePng(image::SoftImage(9, 9, 3), image::PngKind::kRgb));
  const DatasetOptions options = Options("folder", folder.path() + "/data");
  std::vector<int64_t> progress;

  ASSERT_OK_AND_ASSIGN(const DatasetCheckReport report,
                       CheckDataset(options, [&](int64_t done, int64_t total) {
                         progress = {done, total};
                       }));

  EXPECT_EQ(report.good_count, 2);
  EXPECT_THAT(BadNames(report), ElementsAre("b.jpg", "c.jpg", "x/d.png"));
  for (const BadImage& image : report.bad) EXPECT_THAT(image.reason, Not(IsEmpty()));
  EXPECT_THAT(progress, ElementsAre(4, 4)) << "c.jpg was left out when it was opened";
}

TEST(DatasetTest, ExclusionsLeaveImagesOutAsIfTheyWereNotThere) {
  const image::TempFolder folder;
  folder.Write("data/a.jpg", Jpeg(1));
  folder.Write("data/b.jpg", Jpeg(2).substr(0, 300));
  folder.Write("data/#c.jpg", Jpeg(2).substr(0, 300));
  folder.Write("clean/a.jpg", Jpeg(1));
  const DatasetOptions options = Options("folder", folder.path() + "/data/");
  ASSERT_OK_AND_ASSIGN(const DatasetCheckReport report, CheckDataset(options, nullptr));

  ASSERT_OK(WriteExclusions(options, report.bad));

  EXPECT_TRUE(std::filesystem::exists(folder.path() + "/data/.gannet-exclude"));
  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(options));
  EXPECT_THAT(Names(*dataset), ElementsAre("a.jpg"));
  EXPECT_EQ(dataset->fingerprint().digest, DigestOf(Options("folder", folder.path() + "/clean")));
  ASSERT_OK_AND_ASSIGN(const DatasetCheckReport again, CheckDataset(options, nullptr));
  EXPECT_THAT(BadNames(again), ElementsAre("#c.jpg", "b.jpg")) << "checks see excluded images too";

  ASSERT_OK(WriteExclusions(options, {}));
  ASSERT_OK_AND_ASSIGN(const auto all, OpenDataset(options));
  EXPECT_EQ(all->size(), 3);
  ASSERT_OK(WriteExclusions(options, {})) << "nothing to remove";
}

TEST(DatasetTest, ExclusionsWorkInArchives) {
  const image::TempFolder folder;
  const std::string zip =
      folder.Write("a.zip", EncodeZip({{"f/1.jpg", Jpeg(1).substr(0, 300)}, {"f/2.jpg", Jpeg(2)}}));
  const DatasetOptions options = Options("zip", zip);
  ASSERT_OK_AND_ASSIGN(const DatasetCheckReport report, CheckDataset(options, nullptr));
  EXPECT_THAT(BadNames(report), ElementsAre("f/1.jpg"));

  ASSERT_OK(WriteExclusions(options, report.bad));

  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(options));
  EXPECT_THAT(Names(*dataset), ElementsAre("f/2.jpg"));
}

TEST(DatasetTest, ExclusionsThatCannotBeWrittenOrReadAreReported) {
  const image::TempFolder folder;
  folder.Write("data/a.jpg", Jpeg(1));
  const DatasetOptions options = Options("folder", folder.path() + "/data");

  EXPECT_THAT(WriteExclusions(options, {{"a\nb.jpg", "damaged"}}),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("rename")));
  EXPECT_THAT(WriteExclusions(DatasetOptions{}, {{"a", "damaged"}}),
              base::StatusIs(absl::StatusCode::kInvalidArgument));
  std::filesystem::create_directory(ExclusionFilePath(options));
  EXPECT_THAT(OpenDataset(options),
              base::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("gannet-exclude")));
  folder.Write("other/a.jpg", "damaged");
  const DatasetOptions nothing = Options("folder", folder.path() + "/other");
  EXPECT_THAT(CheckDataset(nothing, nullptr), base::IsOk()) << "a report, even if nothing is good";
}

TEST(DatasetTest, CheckReadsDataSetsWithoutFilesToo) {
  DatasetOptions options = Options("procedural", "");
  options.count = 150;

  ASSERT_OK_AND_ASSIGN(const DatasetCheckReport report, CheckDataset(options, nullptr));

  EXPECT_EQ(report.good_count, 150);
  EXPECT_THAT(report.bad, IsEmpty());
}

}  // namespace
}  // namespace gannet::data
