#include "services/coordinator/lease_renewer.h"

#include "libs/base/testing/fake_clock.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/memory_backend.h"
#include "libs/exchange/testing/test_values.h"
#include "services/coordinator/testing/faulty_store.h"

namespace gannet::coordinator {
namespace {

constexpr absl::Duration kTtl = absl::Milliseconds(30);

class LeaseRenewerTest : public ::testing::Test {
 protected:
  LeaseRenewerTest() {
    run_ = *backend_.store().CreateRun(exchange::TestNewRun(exchange::TinyRunConfig()));
    leadership_ = *backend_.store().AcquireLeadership(run_, exchange::TestLeader(1), kTtl);
  }

  base::FakeClock clock_;  // the database's
  base::FakeClock local_;  // this machine's
  exchange::MemoryBackend backend_{clock_};
  FaultyStore store_{backend_.store()};
  base::RunId run_;
  exchange::Leadership leadership_;
};

TEST_F(LeaseRenewerTest, RenewsBeforeTheTimeRunsOut) {
  LeaseRenewer renewer(store_, run_, leadership_, kTtl, local_, telemetry::NullLogger());

  for (int i = 0; i < 5; ++i) {
    // Two calls, because one may have been under way when the time moved.
    const int seen = store_.calls("AcquireLeadership");
    ASSERT_TRUE(store_.AwaitUntil([&] { return store_.calls("AcquireLeadership") >= seen + 2; }));
    clock_.Advance(kTtl - absl::Milliseconds(1));
  }

  EXPECT_FALSE(renewer.lost());
  EXPECT_THAT(backend_.store().AcquireLeadership(run_, exchange::TestLeader(2), kTtl),
              base::StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(LeaseRenewerTest, NoticesAnotherLeader) {
  clock_.Advance(kTtl);
  ASSERT_OK(backend_.store().AcquireLeadership(run_, exchange::TestLeader(2), kTtl));

  LeaseRenewer renewer(store_, run_, leadership_, kTtl, local_, telemetry::NullLogger());

  EXPECT_TRUE(store_.AwaitUntil([&] { return renewer.lost(); }));
}

TEST_F(LeaseRenewerTest, NoticesAnotherLeaderThatHasGoneAgain) {
  clock_.Advance(kTtl);
  ASSERT_OK(backend_.store().AcquireLeadership(run_, exchange::TestLeader(2), kTtl));
  clock_.Advance(kTtl);

  LeaseRenewer renewer(store_, run_, leadership_, kTtl, local_, telemetry::NullLogger());

  EXPECT_TRUE(store_.AwaitUntil([&] { return renewer.lost(); }));
}

TEST_F(LeaseRenewerTest, ADatabaseThatIsAwayProvesNothing) {
  store_.FailBefore("AcquireLeadership", absl::UnavailableError("gone"), 3);
  LeaseRenewer renewer(store_, run_, leadership_, kTtl, local_, telemetry::NullLogger());

  ASSERT_TRUE(store_.AwaitUntil([&] { return store_.calls("AcquireLeadership") >= 4; }));

  EXPECT_EQ(store_.failures("AcquireLeadership"), 3);
  EXPECT_FALSE(renewer.lost());
}

TEST_F(LeaseRenewerTest, WithoutARenewalNobodyTrustsItBeyondItsTime) {
  store_.FailBefore("AcquireLeadership", absl::UnavailableError("gone"), 1'000'000);
  LeaseRenewer renewer(store_, run_, leadership_, kTtl, local_, telemetry::NullLogger());
  EXPECT_FALSE(renewer.lost());

  local_.Advance(kTtl);

  EXPECT_TRUE(renewer.lost());
}

TEST_F(LeaseRenewerTest, ARenewalAfterASleepIsTrustedAgain) {
  LeaseRenewer renewer(store_, run_, leadership_, kTtl, local_, telemetry::NullLogger());

  local_.Advance(10 * kTtl);

  EXPECT_TRUE(store_.AwaitUntil([&] { return !renewer.lost(); }));
}

}  // namespace
}  // namespace gannet::coordinator
