#include "libs/base/backoff.h"

#include "gtest/gtest.h"

namespace gannet::base {
namespace {

TEST(BackoffTest, GrowsToTheMaximumWithinTheJitter) {
  Backoff backoff({.initial = absl::Milliseconds(100), .max = absl::Seconds(1), .multiplier = 2});

  absl::Duration nominal = absl::Milliseconds(100);
  for (int i = 0; i < 10; ++i) {
    const absl::Duration wait = backoff.Next();
    EXPECT_GE(wait, nominal * 0.8);
    EXPECT_LE(wait, nominal * 1.2);
    nominal = std::min(nominal * 2.0, absl::Seconds(1));
  }
}

TEST(BackoffTest, ResetStartsOver) {
  Backoff backoff(
      {.initial = absl::Milliseconds(100), .max = absl::Seconds(100), .multiplier = 10});
  backoff.Next();
  backoff.Next();

  backoff.Reset();

  EXPECT_LE(backoff.Next(), absl::Milliseconds(120));
}

TEST(BackoffTest, StaleLeasesAreNotRetried) {
  EXPECT_TRUE(IsRetryable(absl::UnavailableError("")));
  EXPECT_TRUE(IsRetryable(absl::AbortedError("")));
  EXPECT_FALSE(IsRetryable(absl::FailedPreconditionError("")));
  EXPECT_FALSE(IsRetryable(absl::OkStatus()));
}

}  // namespace
}  // namespace gannet::base
