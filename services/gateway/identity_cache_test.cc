#include "services/gateway/identity_cache.h"

#include "gtest/gtest.h"
#include "libs/base/testing/fake_clock.h"
#include "libs/exchange/testing/test_values.h"

namespace gannet::gateway {
namespace {

constexpr absl::Duration kLifetime = absl::Seconds(5);
const base::RunId kRun(1);

TEST(IdentityCacheTest, KnowsWhatItWasToldUntilTheLifetimeIsOver) {
  base::FakeClock clock;
  IdentityCache cache(clock, kLifetime, 10);
  cache.Insert(exchange::TestWorker(1), kRun);

  clock.Advance(kLifetime - absl::Nanoseconds(1));
  EXPECT_TRUE(cache.Contains(exchange::TestWorker(1), kRun));

  clock.Advance(absl::Nanoseconds(1));
  EXPECT_FALSE(cache.Contains(exchange::TestWorker(1), kRun));
}

TEST(IdentityCacheTest, EveryPartOfTheIdentityCounts) {
  base::FakeClock clock;
  IdentityCache cache(clock, kLifetime, 10);
  cache.Insert(exchange::TestWorker(1), kRun);
  exchange::WorkerIdentity wrong_secret = exchange::TestWorker(1);
  wrong_secret.secret = exchange::TestWorker(2).secret;

  EXPECT_FALSE(cache.Contains(exchange::TestWorker(2), kRun));
  EXPECT_FALSE(cache.Contains(wrong_secret, kRun));
  EXPECT_FALSE(cache.Contains(exchange::TestWorker(1, 2), kRun));
  EXPECT_FALSE(cache.Contains(exchange::TestWorker(1), base::RunId(2)));
}

TEST(IdentityCacheTest, ANewIncarnationTakesThePlaceOfTheOldOne) {
  base::FakeClock clock;
  IdentityCache cache(clock, kLifetime, 10);
  cache.Insert(exchange::TestWorker(1, 1), kRun);

  cache.Insert(exchange::TestWorker(1, 2), kRun);

  EXPECT_FALSE(cache.Contains(exchange::TestWorker(1, 1), kRun));
  EXPECT_TRUE(cache.Contains(exchange::TestWorker(1, 2), kRun));
}

TEST(IdentityCacheTest, ForgetsTheOldestBeyondItsLimit) {
  base::FakeClock clock;
  IdentityCache cache(clock, kLifetime, 2);
  for (int i = 1; i <= 3; ++i) {
    cache.Insert(exchange::TestWorker(i), kRun);
    clock.Advance(absl::Milliseconds(1));
  }

  EXPECT_FALSE(cache.Contains(exchange::TestWorker(1), kRun));
  EXPECT_TRUE(cache.Contains(exchange::TestWorker(2), kRun));
  EXPECT_TRUE(cache.Contains(exchange::TestWorker(3), kRun));
}

TEST(IdentityCacheTest, ForgetsWhomTheDatabaseRefuses) {
  base::FakeClock clock;
  IdentityCache cache(clock, kLifetime, 10);
  cache.Insert(exchange::TestWorker(1), kRun);
  cache.Insert(exchange::TestWorker(2), kRun);

  cache.Erase(exchange::TestWorker(1).id, kRun);

  EXPECT_FALSE(cache.Contains(exchange::TestWorker(1), kRun));
  EXPECT_TRUE(cache.Contains(exchange::TestWorker(2), kRun));
}

TEST(IdentityCacheTest, ClearForgetsAll) {
  base::FakeClock clock;
  IdentityCache cache(clock, kLifetime, 2);
  cache.Insert(exchange::TestWorker(1), kRun);

  cache.Clear();

  EXPECT_FALSE(cache.Contains(exchange::TestWorker(1), kRun));
}

}  // namespace
}  // namespace gannet::gateway
