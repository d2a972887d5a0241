#include "libs/data/content_digest.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/sha256.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/image/testing/image_files.h"

namespace gannet::data {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ContentDigestTest : public ::testing::Test {
 protected:
  ContentDigestTest() {
    for (const char* name : {"a", "b", "c"}) files_.Write(name, std::string("content of ") + name);
  }

  std::string PathOf(const std::string& name) const { return files_.path() + "/" + name; }

  // Hashes the three files, as if an hour had passed since they were written.
  ContentDigests Digest(absl::Duration later = absl::Hours(1), int thread_count = 1) {
    const std::vector<std::string> names = {"a", "b", "c"};
    std::vector<DigestItem> items;
    for (const std::string& name : names) {
      const absl::StatusOr<FileIdentity> identity = IdentifyFile(PathOf(name));
      EXPECT_OK(identity);
      items.push_back({name, *identity});
    }
    const auto hash = [&](size_t i) -> absl::StatusOr<std::string> {
      std::ifstream in(PathOf(names[i]), std::ios::binary);
      if (!in) return absl::DataLossError("gone");
      return base::Sha256(std::string(std::istreambuf_iterator<char>(in), {}));
    };
    return DigestContents(items, hash,
                          {.cache_folder = cache_.path() + "/gannet",
                           .cache_key = "folder\nx",
                           .thread_count = thread_count,
                           .now = absl::Now() + later,
                           .progress = [&](int64_t done, int64_t total) {
                             progress_.push_back(done);
                             EXPECT_LE(done, total);
                           }});
  }

  std::string CacheFile() const {
    for (const auto& entry : std::filesystem::directory_iterator(cache_.path() + "/gannet")) {
      return entry.path().string();
    }
    return "";
  }

  const image::TempFolder files_;
  const image::TempFolder cache_;
  std::vector<int64_t> progress_;
};

TEST_F(ContentDigestTest, EveryItemIsReadOnceAndKnownFromThenOn) {
  const ContentDigests first = Digest();
  EXPECT_EQ(first.read_count, 3);
  EXPECT_THAT(first.sha256, ElementsAre(base::Sha256("content of a"), base::Sha256("content of b"),
                                        base::Sha256("content of c")));
  EXPECT_EQ(progress_.back(), 36);

  const ContentDigests second = Digest();
  EXPECT_EQ(second.read_count, 0);
  EXPECT_EQ(second.sha256, first.sha256);
}

TEST_F(ContentDigestTest, ManyThreadsFindTheSame) {
  const std::vector<std::string> expected = Digest().sha256;
  std::filesystem::remove_all(cache_.path() + "/gannet");
  const ContentDigests digests = Digest(absl::Hours(1), 8);
  EXPECT_EQ(digests.sha256, expected);
  EXPECT_EQ(digests.read_count, 3);
}

TEST_F(ContentDigestTest, WhatHasChangedIsReadAgainEvenUnderAnOldTime) {
  struct stat before;
  ASSERT_EQ(stat(PathOf("b").c_str(), &before), 0);
  Digest();

  files_.Write("b", "CONTENT OF b");  // of the same size
  const timespec times[2] = {before.st_atim, before.st_mtim};
  ASSERT_EQ(utimensat(AT_FDCWD, PathOf("b").c_str(), times, 0), 0);

  const ContentDigests digests = Digest();
  EXPECT_EQ(digests.read_count, 1);
  EXPECT_EQ(digests.sha256[1], base::Sha256("CONTENT OF b"));
}

TEST_F(ContentDigestTest, WhatIsTooYoungToTellItFromItsSuccessorIsNotKept) {
  Digest(absl::ZeroDuration());
  EXPECT_EQ(Digest(absl::ZeroDuration()).read_count, 3);
}

TEST_F(ContentDigestTest, ADamagedCacheIsAsNone) {
  const std::vector<std::string> expected = Digest().sha256;
  const std::string path = CacheFile();
  std::ifstream in(path, std::ios::binary);
  const std::string whole(std::istreambuf_iterator<char>(in), {});
  ASSERT_GT(whole.size(), 100U);
  for (size_t at = 0; at < whole.size(); at += 7) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x41);
    std::ofstream(path, std::ios::binary | std::ios::trunc) << changed;
    const ContentDigests digests = Digest();
    EXPECT_EQ(digests.sha256, expected) << at;
    EXPECT_EQ(digests.read_count, 3) << at;
  }
  for (size_t keep = 0; keep < whole.size(); keep += 11) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << whole.substr(0, keep);
    EXPECT_EQ(Digest().sha256, expected) << keep;
  }
  EXPECT_EQ(Digest().read_count, 0) << "it was written anew";
}

TEST_F(ContentDigestTest, ACacheThatCannotBeWrittenIsNoError) {
  cache_.Write("gannet", "a file where the folder should be");
  EXPECT_EQ(Digest().read_count, 3);
  EXPECT_EQ(Digest().unreadable_count, 0);
}

TEST_F(ContentDigestTest, WhatCannotBeReadHasNoDigestAndIsNotKept) {
  bool broken = true;
  const auto hash = [&](size_t i) -> absl::StatusOr<std::string> {
    if (broken && i == 1) return absl::DataLossError("broken");
    return base::Sha256(std::to_string(i));
  };
  const std::vector<DigestItem> items = {{"a", {.bytes = 1}}, {"b", {.bytes = 1}}};
  const DigestOptions options = {
      .cache_folder = cache_.path(), .cache_key = "k", .now = absl::Now(), .progress = nullptr};

  const ContentDigests digests = DigestContents(items, hash, options);
  EXPECT_EQ(digests.unreadable_count, 1);
  EXPECT_THAT(digests.sha256, ElementsAre(base::Sha256("0"), IsEmpty()));

  broken = false;
  EXPECT_EQ(DigestContents(items, hash, options).read_count, 1);
}

TEST_F(ContentDigestTest, IdentityOfWhatIsNotThereIsAnError) {
  EXPECT_THAT(IdentifyFile(PathOf("none")), base::StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace gannet::data
