#include "libs/exchange/memory_backend.h"

#include <memory>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/fake_clock.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/testing/memory_inspector.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/exchange/validation.h"

namespace gannet::exchange {
namespace {

// What any backend must do is in the contract suite; here is what is true of this one only.

TEST(MemoryBackendTest, PayloadsAreSharedNotCopied) {
  base::FakeClock clock;
  MemoryBackend backend(clock);
  const domain::RunConfig config = TinyRunConfig();
  const NewRun run = TestNewRun(config);
  ASSERT_OK_AND_ASSIGN(const base::RunId id, backend.store().CreateRun(run));
  ASSERT_OK(backend.exchange().Join(TestJoin(TestWorker(1), config)));

  ASSERT_OK_AND_ASSIGN(const Payload weights, backend.exchange().FetchWeights(
                                                  {TestWorker(1), id, base::WeightsVersion(0)}));

  EXPECT_EQ(weights.bytes.get(), run.weights.bytes.get());
}

TEST(MemoryBackendTest, ARunKnowsSoManyWorkersAndThoseComeAgain) {
  base::FakeClock clock;
  MemoryBackend backend(clock);
  const domain::RunConfig config = TinyRunConfig();
  ASSERT_OK(backend.store().CreateRun(TestNewRun(config)));
  for (int i = 1; i <= kMaxWorkersOfRun; ++i) {
    ASSERT_OK(backend.exchange().Join(TestJoin(TestWorker(i), config)));
  }

  const WorkerIdentity newcomer = TestWorker(kMaxWorkersOfRun + 1);
  EXPECT_THAT(backend.exchange().Join(TestJoin(newcomer, config)),
              base::StatusIs(absl::StatusCode::kResourceExhausted, testing::HasSubstr("10000")));
  EXPECT_OK(backend.exchange().Join(TestJoin(TestWorker(7, 2), config)));
}

TEST(MemoryBackendTest, PreparingARoundGivesTheMemoryBack) {
  base::FakeClock clock;
  MemoryBackend backend(clock);
  Store& store = backend.store();
  const domain::RunConfig config = TinyRunConfig();
  NewRun run = TestNewRun(config);
  const std::weak_ptr<const std::string> first = run.weights.bytes;
  ASSERT_OK_AND_ASSIGN(const base::RunId id, store.CreateRun(run));
  run = NewRun();
  ASSERT_OK_AND_ASSIGN(const Leadership leadership,
                       store.AcquireLeadership(id, TestLeader(1), absl::Seconds(60)));
  for (int version = 1; version < kBlobRing; ++version) {
    ASSERT_OK(
        store.Publish(TestPublish(config, id, leadership, base::WeightsVersion(version - 1))));
  }
  ASSERT_FALSE(first.expired());

  ASSERT_OK(store.ReclaimOldBlobs(id, leadership, base::Round(kBlobRing)));

  EXPECT_TRUE(first.expired());
}

TEST(MemoryBackendTest, AChangeBetweenTwoWaitsIsNotLost) {
  base::FakeClock clock;
  MemoryBackend backend(clock);
  Store& store = backend.store();
  ASSERT_OK_AND_ASSIGN(const base::RunId id, store.CreateRun(TestNewRun(TinyRunConfig())));
  ASSERT_OK(store.SetRunState(id, domain::RunState::kPaused, "lunch"));

  store.AwaitChange(id, absl::InfiniteDuration());  // would wait for ever

  ASSERT_OK(store.SetRunState(id, domain::RunState::kRunning, ""));
  store.AwaitChange(id, absl::InfiniteDuration());
  store.AwaitChange(id, absl::ZeroDuration());
}

TEST(MemoryBackendTest, AUnitThatFailsForGoodIsAChange) {
  base::FakeClock clock;
  MemoryBackend backend(clock);
  Store& store = backend.store();
  Exchange& exchange = backend.exchange();
  const domain::RunConfig config = TinyRunConfig();
  ASSERT_OK_AND_ASSIGN(const base::RunId id, store.CreateRun(TestNewRun(config)));
  const WorkerIdentity worker = TestWorker(1);
  ASSERT_OK(exchange.Join(TestJoin(worker, config)));

  for (int i = 0; i < domain::kMaxUnitFailures; ++i) {
    ASSERT_OK_AND_ASSIGN(const ClaimResult claim,
                         exchange.Claim({worker, id, std::string(32, 'a'), absl::ZeroDuration()}));
    ASSERT_TRUE(claim.unit.has_value());
    ASSERT_OK(exchange.Fail(worker, id, claim.unit->unit, claim.unit->attempt, "broken"));
    clock.Advance(domain::RequeueBackoff(claim.unit->attempt, domain::RequeueCause::kFailed));
  }

  store.AwaitChange(id, absl::InfiniteDuration());
}

TEST(MemoryBackendTest, AReapedLeaseWakesAWaitingClaim) {
  base::FakeClock clock;
  MemoryBackend backend(clock);
  Store& store = backend.store();
  Exchange& exchange = backend.exchange();
  const domain::RunConfig config = TinyRunConfig();
  NewRun run = TestNewRun(config);
  run.units.resize(1);
  ASSERT_OK_AND_ASSIGN(const base::RunId id, store.CreateRun(run));
  ASSERT_OK(exchange.Join(TestJoin(TestWorker(1), config)));
  ASSERT_OK(exchange.Join(TestJoin(TestWorker(2), config)));
  ASSERT_OK(exchange.Claim({TestWorker(1), id, std::string(32, 'a'), absl::ZeroDuration()}));
  absl::StatusOr<ClaimResult> result;
  std::thread waiter([&] {
    result = exchange.Claim({TestWorker(2), id, std::string(32, 'b'), kMaxClaimWait});
  });

  clock.Advance(config.lease);
  ASSERT_OK_AND_ASSIGN(const Leadership leadership,
                       store.AcquireLeadership(id, TestLeader(1), absl::Seconds(60)));
  EXPECT_THAT(store.ReapExpiredLeases(id, leadership), base::IsOkAndHolds(1));
  waiter.join();

  ASSERT_OK(result);
  ASSERT_TRUE(result->unit.has_value());
  EXPECT_EQ(result->unit->attempt, base::Attempt(2));
}

TEST(MemoryBackendTest, DumpOfNoRunIsNotFound) {
  base::FakeClock clock;
  MemoryBackend backend(clock);
  EXPECT_THAT(MemoryBackendInspector::Dump(backend, base::RunId(1)),
              base::StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace gannet::exchange
