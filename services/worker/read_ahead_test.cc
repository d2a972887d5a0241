#include "services/worker/read_ahead.h"

#include <atomic>
#include <memory>
#include <string>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::worker {
namespace {

constexpr size_t kBytes = 4;

// Images of one value, their number; counts what is read, and may be held up.
class CountingDataset final : public data::Dataset {
 public:
  int64_t size() const override { return 100; }
  const data::DatasetFingerprint& fingerprint() const override { return fingerprint_; }
  std::string NameOf(int64_t) const override { return ""; }
  absl::Status ReadRgb(int64_t index, absl::Span<uint8_t> out) const override {
    ++reads;
    if (gate != nullptr) gate->WaitForNotification();
    if (index == broken) return absl::DataLossError("broken");
    for (uint8_t& value : out) value = static_cast<uint8_t>(index);
    return absl::OkStatus();
  }

  mutable std::atomic<int> reads = 0;
  int64_t broken = -1;
  absl::Notification* gate = nullptr;

 private:
  const data::DatasetFingerprint fingerprint_;
};

class ReadAheadTest : public ::testing::Test {
 protected:
  int Read(int64_t index) {
    std::vector<uint8_t> out(kBytes);
    const absl::Status status = ahead_.Read(index, absl::MakeSpan(out));
    return status.ok() ? out[0] : -1;
  }

  CountingDataset dataset_;
  ReadAhead ahead_{dataset_};
};

TEST_F(ReadAheadTest, WithoutABeginningImagesAreReadNow) {
  EXPECT_EQ(Read(7), 7);
  EXPECT_EQ(dataset_.reads, 1);
}

TEST_F(ReadAheadTest, WhatIsReadAheadIsReadOnce) {
  ahead_.Begin({30, 10, 20, 10}, kBytes);

  EXPECT_EQ(Read(20), 20);
  EXPECT_EQ(Read(10), 10);
  EXPECT_EQ(Read(30), 30);
  EXPECT_EQ(dataset_.reads, 4);  // a number that is named twice is read twice
  EXPECT_EQ(Read(11), 11);
  EXPECT_EQ(dataset_.reads, 5);
}

TEST_F(ReadAheadTest, TheNextBeginningForgetsTheLast) {
  ahead_.Begin({1}, kBytes);
  ahead_.Begin({2}, kBytes);

  EXPECT_EQ(Read(2), 2);
  const int before = dataset_.reads;
  EXPECT_EQ(Read(1), 1);
  EXPECT_EQ(dataset_.reads, before + 1);
}

TEST_F(ReadAheadTest, WhoComesTooEarlyWaits) {
  absl::Notification gate;
  dataset_.gate = &gate;
  ahead_.Begin({5}, kBytes);
  std::future<int> early = std::async(std::launch::async, [&] { return Read(5); });
  gate.Notify();

  EXPECT_EQ(early.get(), 5);
  EXPECT_EQ(dataset_.reads, 1);
}

TEST_F(ReadAheadTest, WhatCannotBeReadIsTriedAgainByWhoNeedsIt) {
  dataset_.broken = 5;
  ahead_.Begin({5}, kBytes);
  std::vector<uint8_t> out(kBytes);

  EXPECT_THAT(ahead_.Read(5, absl::MakeSpan(out)), base::StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace gannet::worker
