#include "services/gateway/claim_queue.h"

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/memory_backend.h"
#include "libs/exchange/testing/forwarding_exchange.h"
#include "libs/exchange/testing/test_values.h"
#include "services/gateway/testing/waiting.h"

namespace gannet::gateway {
namespace {

// Counts looks, and how many there were at the same time.
class CountingExchange final : public exchange::ForwardingExchange {
 public:
  using exchange::ForwardingExchange::ForwardingExchange;

  absl::StatusOr<exchange::ClaimResult> Claim(const exchange::ClaimRequest& request) override {
    EXPECT_EQ(request.wait, absl::ZeroDuration());
    ++looks;
    return exchange::ForwardingExchange::Claim(request);
  }

  std::atomic<int> looks = 0;
};

// A run of the memory backend with three units in round 1, and a queue before it.
class ClaimQueueTest : public ::testing::Test {
 protected:
  void SetUp() override {
    run_ = backend_.store().CreateRun(exchange::TestNewRun(config_)).value();
    leadership_ =
        backend_.store().AcquireLeadership(run_, exchange::TestLeader(1), absl::Hours(1)).value();
  }

  void TearDown() override {
    if (queue_ != nullptr) queue_->Stop();
    pool_.Stop();
  }

  void MakeQueue(ClaimQueueOptions options = {.poll_interval = absl::Hours(1)}) {
    queue_ = std::make_unique<ClaimQueue>(exchange_, signal_, pool_, clock_, parked_, refusals_,
                                          options);
  }

  exchange::WorkerIdentity Join(int number, int64_t incarnation = 1) {
    const exchange::WorkerIdentity worker = exchange::TestWorker(number, incarnation);
    EXPECT_OK(backend_.exchange().Join(exchange::TestJoin(worker, config_)));
    return worker;
  }

  struct Pending {
    ClaimQueue::Ticket ticket = 0;
    std::future<absl::StatusOr<exchange::ClaimResult>> answer;
  };

  Pending Claim(const exchange::WorkerIdentity& worker,
                absl::Duration wait = exchange::kMaxClaimWait) {
    auto promise = std::make_shared<std::promise<absl::StatusOr<exchange::ClaimResult>>>();
    Pending pending;
    pending.answer = promise->get_future();
    pending.ticket = queue_->Enter({.worker = worker,
                                    .run = run_,
                                    .request_id = absl::StrFormat("%032x", ++last_request_),
                                    .wait = wait},
                                   [promise](absl::StatusOr<exchange::ClaimResult> result) {
                                     promise->set_value(std::move(result));
                                   });
    return pending;
  }

  // Takes the three units of the open round.
  void TakeAllUnits() {
    for (int i = 0; i < config_.units_per_round; ++i) {
      const absl::StatusOr<exchange::ClaimResult> result = Claim(Join(1'000 + i)).answer.get();
      ASSERT_OK(result);
      ASSERT_TRUE(result->unit.has_value());
    }
  }

  void Publish() {
    ASSERT_OK(
        backend_.store().Publish(exchange::TestPublish(config_, run_, leadership_, version_)));
    version_ = base::WeightsVersion(version_.value() + 1);
    signal_.Notify();
  }

  bool AwaitParked(int count) {
    return AwaitTrue([&] { return parked_.value() == count; });
  }

  const domain::RunConfig config_ = exchange::TinyRunConfig();
  base::RealClock clock_;
  exchange::MemoryBackend backend_{clock_};
  base::RunId run_;
  exchange::Leadership leadership_;
  base::WeightsVersion version_{0};
  CountingExchange exchange_{backend_.exchange()};
  exchange::WorkSignal signal_;
  ReadableGauge queued_;
  ReadableGauge parked_;
  TaskPool pool_{4, 1'000, queued_};
  telemetry::Metrics metrics_;
  Refusals refusals_{metrics_, clock_};
  std::unique_ptr<ClaimQueue> queue_;
  int last_request_ = 0;
};

TEST_F(ClaimQueueTest, AReadyUnitIsAnsweredAtOnce) {
  MakeQueue();

  ASSERT_OK_AND_ASSIGN(const exchange::ClaimResult result, Claim(Join(1)).answer.get());

  EXPECT_TRUE(result.unit.has_value());
}

TEST_F(ClaimQueueTest, WithoutAWaitNothingIsParked) {
  MakeQueue();
  TakeAllUnits();

  ASSERT_OK_AND_ASSIGN(const exchange::ClaimResult result,
                       Claim(Join(1), absl::ZeroDuration()).answer.get());

  EXPECT_FALSE(result.unit.has_value());
}

TEST_F(ClaimQueueTest, AWorkerParksTwoClaimsAndTheNewestOnesStay) {
  MakeQueue();
  TakeAllUnits();
  const exchange::WorkerIdentity worker = Join(1);
  Pending lost = Claim(worker);
  ASSERT_TRUE(AwaitParked(1));
  Pending second = Claim(worker);
  ASSERT_TRUE(AwaitParked(2));
  Pending other = Claim(Join(2));
  ASSERT_TRUE(AwaitParked(3));

  Pending third = Claim(worker);

  EXPECT_THAT(lost.answer.get(), base::StatusIs(absl::StatusCode::kResourceExhausted));
  ASSERT_TRUE(AwaitParked(3));
  EXPECT_THAT(refusals_.Current(), ::testing::ElementsAre(domain::RefusalReason::kClaimsOfWorker));
  Publish();
  for (Pending* pending : {&second, &other, &third}) {
    ASSERT_OK_AND_ASSIGN(const exchange::ClaimResult result, pending->answer.get());
    EXPECT_TRUE(result.unit.has_value());
  }
}

TEST_F(ClaimQueueTest, AStrangerWhoUsesTheNameOfAWorkerTakesNoneOfItsPlaces) {
  MakeQueue();
  TakeAllUnits();
  const exchange::WorkerIdentity worker = Join(1);
  std::vector<Pending> own;
  own.push_back(Claim(worker));
  own.push_back(Claim(worker));
  ASSERT_TRUE(AwaitParked(2));
  exchange::WorkerIdentity stranger = worker;
  stranger.secret = exchange::TestWorker(2).secret;

  for (int i = 0; i < 5; ++i) {
    EXPECT_THAT(Claim(stranger).answer.get(), base::StatusIs(absl::StatusCode::kUnauthenticated));
  }

  EXPECT_EQ(parked_.value(), 2);
}

TEST_F(ClaimQueueTest, TheSignalWakesParkedClaimsInOrderOfArrival) {
  // With more than one look at the same time the order is only nearly that.
  MakeQueue({.max_concurrent_polls = 1, .poll_interval = absl::Hours(1)});
  TakeAllUnits();
  std::vector<Pending> pending;
  for (int i = 1; i <= 5; ++i) {
    pending.push_back(Claim(Join(i)));
    ASSERT_TRUE(AwaitParked(i));
  }

  Publish();  // three units

  for (int i = 0; i < 3; ++i) {
    ASSERT_OK_AND_ASSIGN(const exchange::ClaimResult result, pending[i].answer.get());
    EXPECT_TRUE(result.unit.has_value()) << i;
  }
  EXPECT_TRUE(AwaitParked(2));
}

TEST_F(ClaimQueueTest, ThreeHundredParkedClaimsDoNotAllLookForThreeUnits) {
  MakeQueue({.max_concurrent_polls = 2, .poll_interval = absl::Hours(1)});
  TakeAllUnits();
  std::vector<Pending> pending;
  for (int i = 1; i <= 300; ++i) pending.push_back(Claim(Join(i)));
  ASSERT_TRUE(AwaitParked(300));
  const int before = exchange_.looks;

  Publish();
  ASSERT_TRUE(AwaitParked(297));

  // Three that find a unit, and as many that find nothing as may look at the same time.
  EXPECT_LE(exchange_.looks - before, 3 + 2);
  queue_->Stop();
  int with_unit = 0;
  for (Pending& claim : pending) {
    const absl::StatusOr<exchange::ClaimResult> result = claim.answer.get();
    ASSERT_OK(result);
    with_unit += result->unit.has_value() ? 1 : 0;
  }
  EXPECT_EQ(with_unit, 3);
}

TEST_F(ClaimQueueTest, WithoutASignalTheIntervalFindsTheUnit) {
  MakeQueue({.poll_interval = absl::Milliseconds(5)});
  TakeAllUnits();
  Pending pending = Claim(Join(1));
  ASSERT_TRUE(AwaitParked(1));

  ASSERT_OK(backend_.store().Publish(exchange::TestPublish(config_, run_, leadership_, version_)));

  ASSERT_OK_AND_ASSIGN(const exchange::ClaimResult result, pending.answer.get());
  EXPECT_TRUE(result.unit.has_value());
}

TEST_F(ClaimQueueTest, TheEndOfTheWaitIsAnAnswerWithoutAUnit) {
  MakeQueue();
  TakeAllUnits();

  ASSERT_OK_AND_ASSIGN(const exchange::ClaimResult result,
                       Claim(Join(1), absl::Milliseconds(30)).answer.get());

  EXPECT_FALSE(result.unit.has_value());
  EXPECT_EQ(result.state, domain::RunState::kRunning);
}

TEST_F(ClaimQueueTest, TheEndOfTheRunAnswersEveryParkedClaim) {
  MakeQueue();
  TakeAllUnits();
  std::vector<Pending> pending;
  for (int i = 1; i <= 20; ++i) pending.push_back(Claim(Join(i)));
  ASSERT_TRUE(AwaitParked(20));

  ASSERT_OK(backend_.store().SetRunState(run_, domain::RunState::kStopped, "the lesson is over"));
  signal_.Notify();

  for (Pending& claim : pending) {
    ASSERT_OK_AND_ASSIGN(const exchange::ClaimResult result, claim.answer.get());
    EXPECT_EQ(result.state, domain::RunState::kStopped);
  }
}

TEST_F(ClaimQueueTest, AWorkerTakenOverWhileParkedGetsNoUnit) {
  MakeQueue();
  TakeAllUnits();
  Pending stale = Claim(Join(1, 1));
  ASSERT_TRUE(AwaitParked(1));
  Join(1, 2);

  Publish();

  EXPECT_THAT(stale.answer.get(), base::StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(ClaimQueueTest, ACancelledClaimTakesNoUnit) {
  MakeQueue();
  TakeAllUnits();
  Pending gone = Claim(Join(1));
  ASSERT_TRUE(AwaitParked(1));

  queue_->Cancel(gone.ticket);
  EXPECT_THAT(gone.answer.get(), base::StatusIs(absl::StatusCode::kCancelled));
  Publish();

  for (int i = 2; i <= 4; ++i) {
    ASSERT_OK_AND_ASSIGN(const exchange::ClaimResult result, Claim(Join(i)).answer.get());
    EXPECT_TRUE(result.unit.has_value());
  }
}

TEST_F(ClaimQueueTest, MoreThanTheLimitAreRefused) {
  MakeQueue({.max_parked = 2, .poll_interval = absl::Hours(1)});
  TakeAllUnits();
  Pending first = Claim(Join(1));
  Pending second = Claim(Join(2));
  ASSERT_TRUE(AwaitParked(2));

  EXPECT_THAT(Claim(Join(3)).answer.get(), base::StatusIs(absl::StatusCode::kResourceExhausted));

  queue_->Drain();
  EXPECT_OK(first.answer.get());
  EXPECT_OK(second.answer.get());
}

TEST_F(ClaimQueueTest, DrainingAnswersTheParkedAndParksNoMore) {
  MakeQueue();
  TakeAllUnits();
  Pending parked = Claim(Join(1));
  ASSERT_TRUE(AwaitParked(1));

  queue_->Drain();

  ASSERT_OK_AND_ASSIGN(const exchange::ClaimResult result, parked.answer.get());
  EXPECT_FALSE(result.unit.has_value());
  ASSERT_OK_AND_ASSIGN(const exchange::ClaimResult later, Claim(Join(2)).answer.get());
  EXPECT_FALSE(later.unit.has_value());
}

}  // namespace
}  // namespace gannet::gateway
