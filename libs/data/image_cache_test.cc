#include "libs/data/image_cache.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::data {
namespace {

constexpr int kSize = 8;
constexpr int64_t kImageBytes = 3 * kSize * kSize;

// Images whose every value is their index; counts how often one is read. Image `bad` fails.
class CountingDataset final : public Dataset {
 public:
  CountingDataset(int64_t size, int64_t bad, std::atomic<int>* reads)
      : size_(size), bad_(bad), reads_(reads) {}

  int64_t size() const override { return size_; }
  const DatasetFingerprint& fingerprint() const override { return fingerprint_; }
  std::string NameOf(int64_t index) const override { return absl::StrCat("image-", index); }
  int64_t LabelOf(int64_t index) const override { return index * 10; }
  absl::Status ReadRgb(int64_t index, absl::Span<uint8_t> out) const override {
    ++*reads_;
    if (index == bad_) return absl::DataLossError("damaged");
    std::fill(out.begin(), out.end(), static_cast<uint8_t>(index));
    return absl::OkStatus();
  }

 private:
  const int64_t size_;
  const int64_t bad_;
  std::atomic<int>* const reads_;
  const DatasetFingerprint fingerprint_{"counting", size_, std::string(64, '0'), "for tests"};
};

class ImageCacheTest : public testing::Test {
 protected:
  std::unique_ptr<ImageCache> MakeCache(int64_t size, int64_t byte_limit, int64_t bad = -1) {
    return std::make_unique<ImageCache>(std::make_unique<CountingDataset>(size, bad, &reads_),
                                        kSize, byte_limit);
  }

  // Whether image `index` is read as it should be.
  static bool ReadsRight(const ImageCache& cache, int64_t index) {
    std::vector<uint8_t> rgb(kImageBytes);
    return cache.ReadRgb(index, absl::MakeSpan(rgb)).ok() &&
           std::all_of(rgb.begin(), rgb.end(), [&](uint8_t v) { return v == index; });
  }

  std::atomic<int> reads_{0};
};

TEST_F(ImageCacheTest, EveryImageIsDecodedOnce) {
  const auto cache = MakeCache(5, 1 << 20);

  for (int pass = 0; pass < 3; ++pass) {
    for (int64_t i = 0; i < 5; ++i) EXPECT_TRUE(ReadsRight(*cache, i));
  }

  EXPECT_EQ(reads_, 5);
  EXPECT_EQ(cache->held_bytes(), 5 * kImageBytes);
}

TEST_F(ImageCacheTest, TheLimitIsKeptAndTheFirstImagesStay) {
  const auto cache = MakeCache(5, 3 * kImageBytes - 1);

  for (int pass = 0; pass < 2; ++pass) {
    for (int64_t i = 0; i < 5; ++i) EXPECT_TRUE(ReadsRight(*cache, i));
  }

  EXPECT_EQ(cache->held_bytes(), 2 * kImageBytes);
  EXPECT_EQ(reads_, 5 + 3);
}

TEST_F(ImageCacheTest, WithoutRoomEverythingIsPassedOn) {
  for (const int64_t limit : {int64_t{0}, int64_t{-1}, kImageBytes - 1}) {
    const auto cache = MakeCache(5, limit);
    reads_ = 0;
    EXPECT_TRUE(ReadsRight(*cache, 4));
    EXPECT_TRUE(ReadsRight(*cache, 4));
    EXPECT_EQ(reads_, 2);
    EXPECT_EQ(cache->held_bytes(), 0);
  }
}

TEST_F(ImageCacheTest, ErrorsAreNotRemembered) {
  const auto cache = MakeCache(5, 1 << 20, 3);
  std::vector<uint8_t> rgb(kImageBytes);

  EXPECT_THAT(cache->ReadRgb(3, absl::MakeSpan(rgb)), base::StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(cache->ReadRgb(3, absl::MakeSpan(rgb)), base::StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(cache->ReadRgb(5, absl::MakeSpan(rgb)),
              base::StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_THAT(cache->ReadRgb(-1, absl::MakeSpan(rgb)),
              base::StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_THAT(cache->ReadRgb(0, absl::MakeSpan(rgb).subspan(1)),
              base::StatusIs(absl::StatusCode::kInvalidArgument));

  EXPECT_EQ(reads_, 2);
  EXPECT_EQ(cache->held_bytes(), 0);
}

TEST_F(ImageCacheTest, EverythingElseIsTheDataSets) {
  const auto cache = MakeCache(5, 1 << 20);

  EXPECT_EQ(cache->size(), 5);
  EXPECT_EQ(cache->fingerprint().kind, "counting");
  EXPECT_EQ(cache->NameOf(2), "image-2");
  EXPECT_EQ(cache->LabelOf(2), 20);
}

TEST_F(ImageCacheTest, ThreadsShareIt) {
  const auto cache = MakeCache(100, 60 * kImageBytes);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};

  for (int64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int64_t k = 0; k < 400; ++k) {
        if (!ReadsRight(*cache, (k * 7 + t * 13) % 100)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(wrong, 0);
  EXPECT_LE(cache->held_bytes(), 60 * kImageBytes);
}

}  // namespace
}  // namespace gannet::data
