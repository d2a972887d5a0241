#include "services/gateway/identity_cache.h"

#include "gtest/gtest.h"
#include "libs/base/testing/fake_clock.h"
#include "libs/exchange/testing/test_values.h"

namespace gannet::gateway {
namespace {

constexpr absl::Duration kLifetime = absl::Seconds(5);
const RunId kRun(1);

TEST(IdentityCacheTest, KnowsWhatItWasToldUntilTheLifetimeIsOver) {
  FakeClock clock;
  IdentityCache memo(clock, kLifetime, 10);
  memo.Remember(TestWorker(1), kRun);

  clock.Advance(kLifetime - absl::Nanoseconds(1));
  EXPECT_TRUE(memo.Knows(TestWorker(1), kRun));

  clock.Advance(absl::Nanoseconds(1));
  EXPECT_FALSE(memo.Knows(TestWorker(1), kRun));
}

TEST(IdentityCacheTest, EveryPartOfTheIdentityCounts) {
  FakeClock clock;
  IdentityCache memo(clock, kLifetime, 10);
  memo.Remember(TestWorker(1), kRun);
  WorkerIdentity wrong_secret = TestWorker(1);
  wrong_secret.secret = TestWorker(2).secret;

  EXPECT_FALSE(memo.Knows(TestWorker(2), kRun));
  EXPECT_FALSE(memo.Knows(wrong_secret, kRun));
  EXPECT_FALSE(memo.Knows(TestWorker(1, 2), kRun));
  EXPECT_FALSE(memo.Knows(TestWorker(1), RunId(2)));
}

TEST(IdentityCacheTest, ANewIncarnationTakesThePlaceOfTheOldOne) {
  FakeClock clock;
  IdentityCache memo(clock, kLifetime, 10);
  memo.Remember(TestWorker(1, 1), kRun);

  memo.Remember(TestWorker(1, 2), kRun);

  EXPECT_FALSE(memo.Knows(TestWorker(1, 1), kRun));
  EXPECT_TRUE(memo.Knows(TestWorker(1, 2), kRun));
}

TEST(IdentityCacheTest, ForgetsTheOldestBeyondItsLimit) {
  FakeClock clock;
  IdentityCache memo(clock, kLifetime, 2);
  for (int i = 1; i <= 3; ++i) {
    memo.Remember(TestWorker(i), kRun);
    clock.Advance(absl::Milliseconds(1));
  }

  EXPECT_FALSE(memo.Knows(TestWorker(1), kRun));
  EXPECT_TRUE(memo.Knows(TestWorker(2), kRun));
  EXPECT_TRUE(memo.Knows(TestWorker(3), kRun));
}

TEST(IdentityCacheTest, ForgetsWhomTheDatabaseRefuses) {
  FakeClock clock;
  IdentityCache memo(clock, kLifetime, 10);
  memo.Remember(TestWorker(1), kRun);
  memo.Remember(TestWorker(2), kRun);

  memo.Forget(TestWorker(1).id, kRun);

  EXPECT_FALSE(memo.Knows(TestWorker(1), kRun));
  EXPECT_TRUE(memo.Knows(TestWorker(2), kRun));
}

TEST(IdentityCacheTest, ClearForgetsAll) {
  FakeClock clock;
  IdentityCache memo(clock, kLifetime, 2);
  memo.Remember(TestWorker(1), kRun);

  memo.Clear();

  EXPECT_FALSE(memo.Knows(TestWorker(1), kRun));
}

}  // namespace
}  // namespace gannet::gateway
