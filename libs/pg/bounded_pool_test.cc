#include "libs/pg/bounded_pool.h"

#include <atomic>
#include <memory>
#include <optional>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/fake_clock.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::pg {
namespace {

using ::testing::HasSubstr;

struct FakeConnection {
  explicit FakeConnection(int number_in, std::atomic<int>& open_in)
      : number(number_in), open(open_in) {
    ++open;
  }
  ~FakeConnection() { --open; }
  bool Usable() const { return usable; }

  const int number;
  std::atomic<int>& open;
  bool usable = true;
};

class BoundedPoolTest : public ::testing::Test {
 protected:
  using Pool = BoundedPool<FakeConnection>;

  std::unique_ptr<Pool> MakePool(int size) {
    BoundedPoolOptions options;
    options.name = "test";
    options.size = size;
    options.acquire_timeout = absl::Milliseconds(1);
    options.reconnect = {absl::Seconds(1), absl::Seconds(10), 2.0};
    return std::make_unique<Pool>(
        options,
        [this]() -> absl::StatusOr<std::unique_ptr<FakeConnection>> {
          ++attempts_;
          if (!reachable_) return absl::UnavailableError("down");
          return std::make_unique<FakeConnection>(++made_, open_);
        },
        clock_, metrics_);
  }

  base::FakeClock clock_;
  telemetry::Metrics metrics_;
  std::atomic<int> open_{0};
  std::atomic<int> made_{0};
  int attempts_ = 0;
  bool reachable_ = true;
};

TEST_F(BoundedPoolTest, AConnectionIsUsedAgain) {
  const std::unique_ptr<Pool> pool = MakePool(2);

  for (int i = 0; i < 3; ++i) {
    ASSERT_OK_AND_ASSIGN(const Pool::Lease lease, pool->Acquire());
    EXPECT_EQ(lease->number, 1);
  }

  EXPECT_EQ(open_, 1);
}

TEST_F(BoundedPoolTest, NoMoreThanItsSizeAreOpen) {
  const std::unique_ptr<Pool> pool = MakePool(2);
  ASSERT_OK_AND_ASSIGN(const Pool::Lease first, pool->Acquire());
  ASSERT_OK_AND_ASSIGN(const Pool::Lease second, pool->Acquire());

  EXPECT_THAT(pool->Acquire(),
              base::StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("2")));
  EXPECT_EQ(open_, 2);
}

TEST_F(BoundedPoolTest, WhoWaitsGetsTheConnectionThatComesBack) {
  BoundedPoolOptions options;
  options.name = "test";
  options.size = 1;
  options.acquire_timeout = absl::Minutes(1);
  Pool pool(
      options, [this] { return std::make_unique<FakeConnection>(++made_, open_); }, clock_,
      metrics_);
  absl::StatusOr<Pool::Lease> held = pool.Acquire();
  ASSERT_OK(held);
  std::thread waiter([&] {
    const absl::StatusOr<Pool::Lease> lease = pool.Acquire();
    EXPECT_OK(lease);
    EXPECT_EQ((*lease)->number, 1);
  });

  held = absl::CancelledError();
  waiter.join();

  EXPECT_EQ(made_, 1);
}

TEST_F(BoundedPoolTest, ABrokenConnectionDoesNotComeBack) {
  const std::unique_ptr<Pool> pool = MakePool(1);
  {
    ASSERT_OK_AND_ASSIGN(const Pool::Lease lease, pool->Acquire());
    lease->usable = false;
  }

  EXPECT_EQ(open_, 0);
  ASSERT_OK_AND_ASSIGN(const Pool::Lease lease, pool->Acquire());
  EXPECT_EQ(lease->number, 2);
}

TEST_F(BoundedPoolTest, AConnectionThatWentStaleInThePoolIsNotHandedOut) {
  const std::unique_ptr<Pool> pool = MakePool(1);
  FakeConnection* connection = nullptr;
  {
    ASSERT_OK_AND_ASSIGN(const Pool::Lease lease, pool->Acquire());
    connection = &*lease;
  }
  connection->usable = false;

  ASSERT_OK_AND_ASSIGN(const Pool::Lease lease, pool->Acquire());

  EXPECT_EQ(lease->number, 2);
  EXPECT_EQ(open_, 1);
}

TEST_F(BoundedPoolTest, AfterAFailureNobodyTriesUntilTheBackOffHasPassed) {
  const std::unique_ptr<Pool> pool = MakePool(4);
  reachable_ = false;

  EXPECT_THAT(pool->Acquire(), base::StatusIs(absl::StatusCode::kUnavailable, HasSubstr("down")));
  EXPECT_THAT(pool->Acquire(), base::StatusIs(absl::StatusCode::kUnavailable, HasSubstr("down")));
  EXPECT_EQ(attempts_, 1);

  clock_.Advance(absl::Seconds(2));
  EXPECT_THAT(pool->Acquire(), base::StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(attempts_, 2);
}

TEST_F(BoundedPoolTest, ItRecoversWhenTheDatabaseIsBack) {
  const std::unique_ptr<Pool> pool = MakePool(1);
  reachable_ = false;
  EXPECT_THAT(pool->Acquire(), base::StatusIs(absl::StatusCode::kUnavailable));
  reachable_ = true;

  clock_.Advance(absl::Seconds(20));

  EXPECT_OK(pool->Acquire());
}

TEST_F(BoundedPoolTest, OpenConnectionsAndWaitsAreMeasured) {
  const std::unique_ptr<Pool> pool = MakePool(2);

  ASSERT_OK_AND_ASSIGN(const Pool::Lease lease, pool->Acquire());

  const std::string text = metrics_.Render();
  EXPECT_THAT(text, HasSubstr("gannet_database_connections{pool=\"test\"} 1"));
  EXPECT_THAT(text, HasSubstr("gannet_database_pool_wait_seconds_count{pool=\"test\"} 1"));
}

}  // namespace
}  // namespace gannet::pg
