#include "services/coordinator/rate_meter.h"

#include "gtest/gtest.h"

namespace gannet::coordinator {
namespace {

TEST(RateMeterTest, IsZeroBeforeTheFirstRound) {
  RateMeter meter;
  EXPECT_EQ(meter.ImagesPerSecond(absl::Seconds(5)), 0);

  meter.Start(absl::Seconds(5));

  EXPECT_EQ(meter.ImagesPerSecond(absl::Seconds(5)), 0);
  EXPECT_EQ(meter.ImagesPerSecond(absl::Seconds(10)), 0);
}

TEST(RateMeterTest, CountsFromTheStart) {
  RateMeter meter;
  meter.Start(absl::Seconds(100));
  meter.AddRound(absl::Seconds(102), 10);
  meter.AddRound(absl::Seconds(104), 30);

  EXPECT_DOUBLE_EQ(meter.ImagesPerSecond(absl::Seconds(104)), 10);
  EXPECT_DOUBLE_EQ(meter.RoundsPerSecond(absl::Seconds(104)), 0.5);
}

TEST(RateMeterTest, FallsWhileNothingHappens) {
  RateMeter meter;
  meter.Start(absl::ZeroDuration());
  meter.AddRound(absl::Seconds(1), 10);

  EXPECT_DOUBLE_EQ(meter.ImagesPerSecond(absl::Seconds(10)), 1);
}

TEST(RateMeterTest, ForgetsWhatIsOlderThanAMinute) {
  RateMeter meter;
  meter.Start(absl::ZeroDuration());
  // Ten images a second, then one.
  for (int i = 1; i <= 100; ++i) meter.AddRound(absl::Seconds(i), 10);
  for (int i = 101; i <= 200; ++i) meter.AddRound(absl::Seconds(i), 1);

  EXPECT_DOUBLE_EQ(meter.ImagesPerSecond(absl::Seconds(200)), 1);
}

TEST(RateMeterTest, ManyShortRoundsAreCountedExactly) {
  RateMeter meter;
  meter.Start(absl::ZeroDuration());
  for (int i = 1; i <= 50'000; ++i) meter.AddRound(i * absl::Milliseconds(1), 2);

  EXPECT_DOUBLE_EQ(meter.ImagesPerSecond(absl::Seconds(50)), 2000);
  EXPECT_DOUBLE_EQ(meter.RoundsPerSecond(absl::Seconds(50)), 1000);
}

}  // namespace
}  // namespace gannet::coordinator
