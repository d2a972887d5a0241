// Which files a data set consists of, and what it says about those that are none of it.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/data/dataset.h"
#include "libs/data/dataset_check.h"
#include "libs/data/own_output.h"
#include "libs/data/testing/archive_files.h"
#include "libs/image/testing/image_files.h"

namespace gannet::data {
namespace {

namespace fs = std::filesystem;

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

DatasetOptions Options(const std::string& kind, const std::string& path) {
  DatasetOptions options;
  options.kind = kind;
  options.path = path;
  options.image_size = 16;
  return options;
}

DatasetOptions Folder(const std::string& path) { return Options("folder", path); }
DatasetOptions Zip(const std::string& path) { return Options("zip", path); }

std::string Jpeg(int variant) { return image::EncodeJpeg(image::SoftImage(20, 24, variant)); }

std::vector<std::string> Names(const Dataset& dataset) {
  std::vector<std::string> names;
  for (int64_t i = 0; i < dataset.size(); ++i) names.push_back(dataset.NameOf(i));
  return names;
}

// The names of the images, or why there are none.
std::vector<std::string> NamesIn(const DatasetOptions& options) {
  const auto dataset = OpenDataset(options);
  return dataset.ok() ? Names(**dataset) : std::vector<std::string>{dataset.status().ToString()};
}

std::string DigestOf(const DatasetOptions& options) {
  const auto dataset = OpenDataset(options);
  return dataset.ok() ? (*dataset)->fingerprint().digest : dataset.status().ToString();
}

// What is passed over, as "COUNT WHAT FIRST", one after the other.
std::string PassedOverIn(const DatasetOptions& options) {
  const auto report = CheckDataset(options, nullptr);
  if (!report.ok()) return report.status().ToString();
  std::vector<std::string> texts;
  for (const PassedOver& one : report->passed_over) {
    EXPECT_THAT(one.why, Not(IsEmpty())) << one.what;
    texts.push_back(absl::StrCat(one.count, " ", one.what, " ", one.first));
  }
  return absl::StrJoin(texts, ", ");
}

// "NAME: REASON" of all images that cannot be used.
std::string BadIn(const DatasetOptions& options) {
  const auto report = CheckDataset(options, nullptr);
  if (!report.ok()) return report.status().ToString();
  return absl::StrJoin(report->bad, "\n", [](std::string* out, const BadImage& image) {
    absl::StrAppend(out, image.name, ": ", image.reason);
  });
}

// --- Endings.

TEST(DatasetFilesTest, EndingsThatAreNotReadAreCountedAndNamed) {
  const image::TempFolder folder;
  for (const char* name : {"a.jpg", "d.jfif", "e.jpe", "G.JPG"}) folder.Write(name, Jpeg(1));
  for (const char* name : {"b.gif", "c.bmp", "f.tif", "deep/h.gif", "noext", "list.txt"}) {
    folder.Write(name, "x");
  }
  const DatasetOptions options = Folder(folder.path());

  EXPECT_THAT(NamesIn(options), ElementsAre("G.JPG", "a.jpg", "d.jfif", "e.jpe"));
  EXPECT_EQ(PassedOverIn(options),
            "1 .bmp c.bmp, 2 .gif b.gif, 1 .tif f.tif, 1 without ending noext");
  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(options));
  EXPECT_THAT(dataset->fingerprint().description,
              HasSubstr("passed over: 1 .bmp, 2 .gif, 1 .tif, 1 without ending"));
  EXPECT_EQ(dataset->passed_over().size(), 4U);
}

TEST(DatasetFilesTest, AFolderOfOtherFormatsSaysWhatItHolds) {
  const image::TempFolder folder;
  folder.Write("a.heic", "x");
  folder.Write("b.heic", "x");

  EXPECT_THAT(
      OpenDataset(Folder(folder.path())),
      base::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("passed over: 2 .heic")));
  const std::string zip = folder.Write("outer.zip", EncodeZip({{"inner.zip", "PK"}}));
  EXPECT_THAT(OpenDataset(Zip(zip)), base::StatusIs(absl::StatusCode::kFailedPrecondition,
                                                    HasSubstr("passed over: 1 .zip")));
}

TEST(DatasetFilesTest, ADescriptionIsNeverTooLongForARun) {
  const image::TempFolder folder;
  const std::string set = std::string(200, 's');
  folder.Write(absl::StrCat(set, "/", std::string(200, 'a'), ".jpg"), Jpeg(1));
  folder.Write(absl::StrCat(set, "/", std::string(200, 'b'), ".jpg"), Jpeg(1));
  folder.Write(set + ".gannet-exclude", "c.jpg\n");
  for (const char* ending : {"gif", "bmp", "tif", "tiff", "heic", "heif", "avif", "zip", "tar",
                             "svg", "mp4", "mov", "dng", "psd", "rar"}) {
    folder.Write(absl::StrCat(set, "/x.", ending), "x");
  }

  ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(Folder(folder.path() + "/" + set)));

  EXPECT_LE(dataset->fingerprint().description.size(), 500U);
  EXPECT_THAT(dataset->fingerprint().description, HasSubstr("7 more kinds"));
}

TEST(DatasetFilesTest, ThumbnailsAreNotTrainedOn) {
  const image::TempFolder folder;
  std::vector<ZipEntry> entries;
  for (const char* name :
       {"img00.jpg", "@eaDir/img00.jpg/SYNOPHOTO_THUMB_M.jpg", "deep/@eaDir/img01.jpg",
        "__MACOSX/._img00.jpg", "__MACOSX/img00.jpg", "$RECYCLE.BIN/a.jpg", ".thumbnails/b.jpg",
        "Thumbs.db", ".DS_Store", "deep/img01.jpg"}) {
    folder.Write(absl::StrCat("set/", name), Jpeg(1));
    entries.push_back({name, Jpeg(1)});
  }
  const std::string zip = folder.Write("set.zip", EncodeZip(entries));

  for (const DatasetOptions& options : {Folder(folder.path() + "/set"), Zip(zip)}) {
    EXPECT_THAT(NamesIn(options), ElementsAre("deep/img01.jpg", "img00.jpg")) << options.kind;
    EXPECT_EQ(PassedOverIn(options),
              "2 hidden .DS_Store, 4 thumbnails @eaDir, 1 waste $RECYCLE.BIN")
        << options.kind;
  }
}

// --- What Gannet drew.

TEST(DatasetFilesTest, WhatGannetDrewIsNoPartOfADataSet) {
  const image::TempFolder folder;
  folder.Write("a.jpg", Jpeg(1));
  folder.Write("b.png", image::EncodePng(image::SoftImage(20, 24, 2), image::PngKind::kRgb));
  const std::string digest = DigestOf(Folder(folder.path()));
  ASSERT_OK_AND_ASSIGN(const std::string grid, EncodeGridPng(image::SoftImage(20, 24, 3)));

  folder.Write("preview.png", grid);
  folder.Write("cats/sample.png", grid);
  fs::create_directories(folder.path() + "/training/samples");
  ASSERT_OK(MarkOutputFolder(folder.path() + "/training"));
  folder.Write("training/samples/seed0001.png",
               image::EncodePng(image::SoftImage(20, 24, 2), image::PngKind::kRgb));

  EXPECT_EQ(DigestOf(Folder(folder.path())), digest);
  EXPECT_EQ(PassedOverIn(Folder(folder.path())),
            "2 grids of Gannet cats/sample.png, 1 results of Gannet training");
  EXPECT_THAT(NamesIn(Folder(folder.path() + "/training")), ElementsAre("samples/seed0001.png"))
      << "who points at drawn images means them";

  const std::string zip =
      folder.Write("set.zip", EncodeZip({{"x/a.jpg", Jpeg(1)},
                                         {"x/preview.png", grid, true},
                                         {"x/training/samples/1.jpg", Jpeg(2)},
                                         {absl::StrCat("x/training/", kOutputMarker), ""}}));
  EXPECT_THAT(NamesIn(Zip(zip)), ElementsAre("x/a.jpg"));
  EXPECT_EQ(PassedOverIn(Zip(zip)),
            "1 grids of Gannet x/preview.png, 1 results of Gannet x/training");
}

// --- Links.

TEST(DatasetFilesTest, LinkedFoldersAreReadOnceAndOthersAreNamed) {
  const image::TempFolder folder;
  for (const char* name : {"set/img00.jpg", "set/img01.jpg"}) folder.Write(name, Jpeg(1));
  for (int i = 0; i < 5; ++i) folder.Write(absl::StrCat("elsewhere/img0", i, ".jpg"), Jpeg(i));
  const std::string set = folder.path() + "/set";
  fs::create_directory_symlink(folder.path() + "/elsewhere", set + "/more");
  fs::create_directory_symlink("more", set + "/again");
  fs::create_symlink(folder.path() + "/elsewhere/img00.jpg", set + "/one.jpg");
  fs::create_directory_symlink(".", set + "/loop");
  fs::create_directory_symlink("..", set + "/up");
  fs::create_symlink("/nonexistent.jpg", set + "/dangling.jpg");
  fs::create_symlink("/nonexistent", set + "/lost");
  fs::create_symlink("round", set + "/round");

  // The first of two links to one folder gives the names.
  EXPECT_THAT(
      NamesIn(Folder(set)),
      ElementsAre("again/img00.jpg", "again/img01.jpg", "again/img02.jpg", "again/img03.jpg",
                  "again/img04.jpg", "img00.jpg", "img01.jpg", "one.jpg"));
  EXPECT_EQ(PassedOverIn(Folder(set)),
            "2 dangling links lost, 1 folders seen twice more, 2 links in a circle loop");
  EXPECT_THAT(BadIn(Folder(set)), HasSubstr("dangling.jpg: the link's target does not exist"));
}

TEST(DatasetFilesTest, AFolderThatIsReallyThereIsReadUnderItsOwnName) {
  const image::TempFolder folder;
  folder.Write("set/z/deep/1.jpg", Jpeg(1));
  folder.Write("set/2.jpg", Jpeg(1));
  const std::string digest = DigestOf(Folder(folder.path() + "/set"));
  fs::create_directory_symlink("z/deep", folder.path() + "/set/a");

  EXPECT_THAT(NamesIn(Folder(folder.path() + "/set")), ElementsAre("2.jpg", "z/deep/1.jpg"));
  EXPECT_EQ(DigestOf(Folder(folder.path() + "/set")), digest);
}

TEST(DatasetFilesTest, WhatMayNotBeReadIsNamed) {
  const image::TempFolder folder;
  folder.Write("set/a.jpg", Jpeg(1));
  folder.Write("set/b.jpg", Jpeg(1));
  folder.Write("set/closed/c.jpg", Jpeg(1));
  const std::string set = folder.path() + "/set";
  ASSERT_EQ(chmod(folder.path().c_str(), 0755), 0);
  ASSERT_EQ(chmod((set + "/b.jpg").c_str(), 0), 0);
  ASSERT_EQ(chmod((set + "/closed").c_str(), 0), 0);
  // Root may read everything: the test is somebody else for a while.
  const bool is_root = geteuid() == 0;
  ASSERT_EQ(is_root ? seteuid(65534) : 0, 0);

  const std::vector<std::string> names = NamesIn(Folder(set));
  const std::string bad = BadIn(Folder(set));
  const absl::Status closed = OpenDataset(Folder(set + "/closed")).status();

  ASSERT_EQ(is_root ? seteuid(0) : 0, 0);
  ASSERT_EQ(chmod((set + "/closed").c_str(), 0755), 0);
  EXPECT_THAT(names, ElementsAre("a.jpg"));
  EXPECT_THAT(bad, HasSubstr("b.jpg: file cannot be read: Permission denied"));
  EXPECT_THAT(bad, HasSubstr("closed: folder cannot be read: Permission denied"));
  EXPECT_THAT(closed, base::StatusIs(absl::StatusCode::kFailedPrecondition,
                                     HasSubstr("cannot be read: Permission denied")));
}

// --- Names in archives.

TEST(DatasetFilesTest, NamesInArchivesMeanWhatUnpackingMakesOfThem) {
  const image::TempFolder folder;
  const std::string plain =
      folder.Write("plain.zip", EncodeZip({{"faces/1.jpg", Jpeg(1)}, {"faces/2.jpg", Jpeg(2)}}));
  for (const char* way : {"/faces/", "faces//", "./faces/./", "faces\\", "\\faces\\"}) {
    const std::string zip =
        folder.Write("a.zip", EncodeZip({{absl::StrCat(way, "2.jpg"), Jpeg(2), true},
                                         {absl::StrCat(way, "1.jpg"), Jpeg(1)}}));
    EXPECT_THAT(NamesIn(Zip(zip)), ElementsAre("faces/1.jpg", "faces/2.jpg")) << way;
    EXPECT_EQ(DigestOf(Zip(zip)), DigestOf(Zip(plain))) << way;
    EXPECT_EQ(BadIn(Zip(zip)), "") << way;
  }
}

TEST(DatasetFilesTest, NamesThatLeadOutOfAnArchiveAreLeftOutByName) {
  const image::TempFolder folder;
  const std::string zip = folder.Write("a.zip", EncodeZip({{"../faces/1.jpg", Jpeg(1)},
                                                           {"x\\..\\..\\2.jpg", Jpeg(1)},
                                                           {"ok/..3.jpg", Jpeg(1)},
                                                           {"ok/4.jpg", Jpeg(1)}}));

  EXPECT_THAT(NamesIn(Zip(zip)), ElementsAre("ok/4.jpg"));
  EXPECT_THAT(BadIn(Zip(zip)), HasSubstr("../faces/1.jpg: its name leads out of the archive"));
  EXPECT_THAT(BadIn(Zip(zip)), HasSubstr("2.jpg: its name leads out of the archive"));
  EXPECT_EQ(PassedOverIn(Zip(zip)), "1 hidden ok/..3.jpg");
}

TEST(DatasetFilesTest, AnArchiveBehindAProgramIsRead) {
  const image::TempFolder folder;
  std::vector<ZipEntry> entries;
  entries.reserve(6);
  for (int i = 0; i < 6; ++i) {
    entries.push_back({absl::StrCat("f/", i, ".jpg"), Jpeg(i), i % 2 == 0});
  }
  const std::string archive = EncodeZip(entries);
  const std::string plain = folder.Write("plain.zip", archive);
  const std::string behind = folder.Write("behind.zip", absl::StrCat("#!/bin/sh\nexit\n", archive));
  // As long as a real program, with another archive's signatures in it.
  const std::string far =
      folder.Write("far.zip", absl::StrCat(std::string(200'000, 'x'), "PK\x05\x06", archive));

  for (const std::string& path : {behind, far}) {
    EXPECT_EQ(NamesIn(Zip(path)).size(), 6U) << path;
    EXPECT_EQ(DigestOf(Zip(path)), DigestOf(Zip(plain))) << path;
    EXPECT_EQ(BadIn(Zip(path)), "") << path;
  }
  EXPECT_THAT(OpenDataset(Zip(folder.Write("cut.zip", "#!/bin/sh\n" + archive.substr(0, 500)))),
              base::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("cut.zip")));
}

// --- Unicode.

TEST(DatasetFilesTest, NamesThatLookTheSameAreTheSame) {
  const image::TempFolder folder;
  // Zoë, José, ångström and Zoo, as Linux writes them and as a Mac does.
  const std::vector<std::vector<std::string>> forms = {
      {"Zo\xC3\xAB", "Jos\xC3\xA9", "\xC3\xA5ngstr\xC3\xB6m", "Zoo"},
      {"Zoe\xCC\x88", "Jose\xCC\x81", "a\xCC\x8Angstro\xCC\x88m", "Zoo"}};
  std::vector<ZipEntry> entries;
  for (size_t form = 0; form < forms.size(); ++form) {
    for (size_t i = 0; i < forms[form].size(); ++i) {
      const std::string name = forms[form][i] + ".jpg";
      folder.Write(absl::StrCat(form, "/faces/", name), Jpeg(static_cast<int>(i)));
      if (form == 1) entries.push_back({name, Jpeg(static_cast<int>(i))});
    }
  }
  const DatasetOptions linux_folder = Folder(folder.path() + "/0");
  const DatasetOptions mac_folder = Folder(folder.path() + "/1");

  EXPECT_EQ(DigestOf(linux_folder), DigestOf(mac_folder));
  EXPECT_EQ(NamesIn(linux_folder), NamesIn(mac_folder));
  ASSERT_OK_AND_ASSIGN(const auto one, OpenDataset(linux_folder));
  ASSERT_OK_AND_ASSIGN(const auto other, OpenDataset(mac_folder));
  for (int64_t i = 0; i < 4; ++i) {
    std::vector<uint8_t> a(size_t{3} * 16 * 16), b(a.size());
    ASSERT_OK(one->ReadRgb(i, absl::MakeSpan(a)));
    ASSERT_OK(other->ReadRgb(i, absl::MakeSpan(b)));
    EXPECT_EQ(a, b) << i;
  }
  EXPECT_EQ(NamesIn(Zip(folder.Write("mac.zip", EncodeZip(entries)))),
            NamesIn(Folder(folder.path() + "/0/faces")));
}

TEST(DatasetFilesTest, BothFormsOfOneNameAndForeignBytesAreKept) {
  const image::TempFolder folder;
  folder.Write("Zoe\xCC\x88.jpg", Jpeg(1));
  folder.Write("Zo\xC3\xAB.jpg", Jpeg(2));
  folder.Write("latin\xFC.jpg", Jpeg(3));

  EXPECT_THAT(NamesIn(Folder(folder.path())),
              ElementsAre("Zo\xC3\xAB.jpg", "Zo\xC3\xAB.jpg", "latin\xFC.jpg"));
}

TEST(DatasetFilesTest, ExclusionsHoldForBothForms) {
  const image::TempFolder folder;
  folder.Write("mac/Zoe\xCC\x88.jpg", Jpeg(1).substr(0, 300));
  folder.Write("mac/good.jpg", Jpeg(1));
  folder.Write("linux/Zo\xC3\xAB.jpg", Jpeg(1).substr(0, 300));
  folder.Write("linux/good.jpg", Jpeg(1));
  const DatasetOptions mac = Folder(folder.path() + "/mac");
  const DatasetOptions other = Folder(folder.path() + "/linux");
  ASSERT_OK_AND_ASSIGN(const DatasetCheckReport report, CheckDataset(mac, nullptr));
  ASSERT_OK(WriteExclusions(mac, report.bad));
  fs::copy_file(ExclusionFilePath(mac), ExclusionFilePath(other));

  EXPECT_THAT(NamesIn(mac), ElementsAre("good.jpg"));
  EXPECT_THAT(NamesIn(other), ElementsAre("good.jpg"));
}

// --- Exclusions.

class ExclusionTest : public testing::Test {
 protected:
  ExclusionTest() : before_(fs::current_path()) {
    for (int i = 0; i < 7; ++i) folder_.Write(absl::StrCat("x/", i, ".jpg"), Jpeg(i));
    for (int i = 7; i < 9; ++i) {
      folder_.Write(absl::StrCat("x/", i, ".jpg"), Jpeg(i).substr(0, 300));
    }
    fs::create_directory_symlink(folder_.path() + "/x", folder_.path() + "/link");
  }
  ~ExclusionTest() override { fs::current_path(before_); }

  static void Exclude(const DatasetOptions& options) {
    ASSERT_OK_AND_ASSIGN(const DatasetCheckReport report, CheckDataset(options, nullptr));
    EXPECT_EQ(report.bad.size(), 2U);
    ASSERT_OK(WriteExclusions(options, report.bad));
  }

  const image::TempFolder folder_;
  const fs::path before_;
};

TEST_F(ExclusionTest, EverySpellingOfAFolderHasTheSameExclusions) {
  const std::string x = folder_.path() + "/x";
  const std::vector<std::string> absolute = {x,
                                             x + "/",
                                             x + "/.",
                                             x + "/../x",
                                             x + "//",
                                             folder_.path() + "/link",
                                             folder_.path() + "/link/."};
  std::vector<std::string> all = absolute;
  all.insert(all.end(), {".", "./", "../x", "../link"});
  fs::current_path(x);
  for (const std::string& written : all) {
    Exclude(Folder(written));
    const std::string digest = DigestOf(Folder(x));
    for (const std::string& read : all) {
      EXPECT_EQ(NamesIn(Folder(read)).size(), 7U) << written << " read as " << read;
      EXPECT_EQ(DigestOf(Folder(read)), digest) << written << " read as " << read;
    }
    // A copy brings them along, and so does a mount.
    fs::copy(x, folder_.path() + "/copy", fs::copy_options::recursive);
    EXPECT_EQ(NamesIn(Folder(folder_.path() + "/copy")).size(), 7U) << written;
    fs::remove_all(folder_.path() + "/copy");
    ASSERT_OK(WriteExclusions(Folder(written), {}));
    EXPECT_EQ(NamesIn(Folder(x)).size(), 9U) << written;
  }
  std::vector<std::string> beside;
  for (const auto& entry : fs::directory_iterator(folder_.path())) {
    beside.push_back(entry.path().filename());
  }
  EXPECT_THAT(beside, testing::UnorderedElementsAre("x", "link"));
}

TEST_F(ExclusionTest, FilesInTheOldPlacesAreReadUntilANewOneReplacesThem) {
  const std::string x = folder_.path() + "/x";
  for (const std::string& place : {x + ".gannet-exclude", x + "/..gannet-exclude"}) {
    folder_.Write(place.substr(folder_.path().size() + 1), "# damaged\n7.jpg\n8.jpg\n");
    for (const std::string& path : {x, x + "/.", folder_.path() + "/link"}) {
      ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(Folder(path)));
      EXPECT_EQ(dataset->size(), 7) << place << " read as " << path;
      EXPECT_THAT(dataset->fingerprint().description, HasSubstr("an old place")) << path;
    }
    const std::string digest = DigestOf(Folder(x));
    Exclude(Folder(folder_.path() + "/link"));
    EXPECT_FALSE(fs::exists(place));
    EXPECT_EQ(DigestOf(Folder(x)), digest);
    ASSERT_OK_AND_ASSIGN(const auto dataset, OpenDataset(Folder(x)));
    EXPECT_THAT(dataset->fingerprint().description, HasSubstr("2 names excluded"));
    EXPECT_THAT(dataset->fingerprint().description, Not(HasSubstr("an old place")));
    ASSERT_OK(WriteExclusions(Folder(x), {}));
  }
}

TEST_F(ExclusionTest, ALinkToAnArchiveHasTheArchivesExclusions) {
  const std::string zip = folder_.Write("a.zip", EncodeZip({{"1.jpg", Jpeg(1)},
                                                            {"2.jpg", Jpeg(2).substr(0, 300)},
                                                            {"3.jpg", Jpeg(3).substr(0, 300)}}));
  fs::create_symlink("a.zip", folder_.path() + "/b.zip");
  const std::string linked = folder_.path() + "/b.zip";

  Exclude(Zip(linked));

  EXPECT_TRUE(fs::exists(zip + ".gannet-exclude"));
  EXPECT_THAT(NamesIn(Zip(zip)), ElementsAre("1.jpg"));
  EXPECT_THAT(NamesIn(Zip(linked)), ElementsAre("1.jpg"));
  fs::current_path(folder_.path());
  EXPECT_THAT(NamesIn(Zip("./b.zip")), ElementsAre("1.jpg"));
}

}  // namespace
}  // namespace gannet::data
