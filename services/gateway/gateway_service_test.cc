// What callers of one address may take from the others, with peers that a test makes up.
#include "services/gateway/gateway_service.h"

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/clock.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/memory_backend.h"
#include "libs/exchange/testing/forwarding_exchange.h"
#include "libs/exchange/testing/test_values.h"
#include "services/gateway/testing/waiting.h"

namespace gannet::gateway {
namespace {

using ::testing::HasSubstr;

constexpr char kFlooder[] = "ipv4:198.51.100.1:4711";
constexpr char kSchool[] = "ipv4:192.0.2.7:4711";
constexpr int kMaxCalls = 3;

// A database that answers heartbeats once it is let go on.
class HangingExchange final : public exchange::ForwardingExchange {
 public:
  using exchange::ForwardingExchange::ForwardingExchange;

  absl::StatusOr<exchange::HeartbeatResult> Heartbeat(
      const exchange::WorkerIdentity& worker, base::RunId run,
      const std::vector<exchange::UnitProgress>& held) override {
    gate.wait();
    return exchange::ForwardingExchange::Heartbeat(worker, run, held);
  }

  std::shared_future<void> gate;
};

class GatewayServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    run_ = backend_.store().CreateRun(exchange::TestNewRun(config_)).value();
    exchange_.gate = go_on_.get_future().share();
    GatewayServiceOptions options;
    options.control_threads = 1;
    options.max_calls_per_address = kMaxCalls;
    service_ = std::make_unique<GatewayService>(exchange_, signal_, clock_, gateway_metrics_,
                                                refusals_, telemetry::NullLogger(), options);
  }

  void TearDown() override {
    if (!went_on_) GoOn();
    service_->Stop();
  }

  void GoOn() {
    went_on_ = true;
    go_on_.set_value();
  }

  using Answer = std::future<absl::Status>;

  Answer Heartbeat(const std::string& peer, int number = 1) {
    auto promise = std::make_shared<std::promise<absl::Status>>();
    service_->Heartbeat(
        {.worker = exchange::TestWorker(number), .run = run_, .held = {}}, peer,
        [] { return false; },
        [promise](const absl::StatusOr<exchange::HeartbeatResult>& result) {
          promise->set_value(result.status());
        });
    return promise->get_future();
  }

  Answer Release(const std::string& peer) {
    auto promise = std::make_shared<std::promise<absl::Status>>();
    service_->Release({.worker = exchange::TestWorker(1),
                       .run = run_,
                       .unit = base::UnitId(1),
                       .attempt = base::Attempt(1)},
                      peer, [promise](const absl::Status& status) { promise->set_value(status); });
    return promise->get_future();
  }

  Answer Claim(const std::string& peer, absl::Duration wait = absl::ZeroDuration()) {
    auto promise = std::make_shared<std::promise<absl::Status>>();
    service_->Claim({.worker = exchange::TestWorker(1),
                     .run = run_,
                     .request_id = absl::StrFormat("%032x", ++last_request_),
                     .wait = wait},
                    peer, [promise](const absl::StatusOr<exchange::ClaimResult>& result) {
                      promise->set_value(result.status());
                    });
    return promise->get_future();
  }

  // Puts as many calls of the address into the queue as it may have.
  std::vector<Answer> Flood(const std::string& address) {
    std::vector<Answer> answers;
    answers.reserve(kMaxCalls);
    for (int i = 0; i < kMaxCalls; ++i) {
      answers.push_back(Heartbeat(absl::StrCat(address, ":", 1'000 + i), 500 + i));
    }
    return answers;
  }

  const domain::RunConfig config_ = exchange::TinyRunConfig();
  base::RealClock clock_;
  exchange::MemoryBackend backend_{clock_};
  base::RunId run_;
  HangingExchange exchange_{backend_.exchange()};
  std::promise<void> go_on_;
  bool went_on_ = false;
  exchange::WorkSignal signal_;
  telemetry::Metrics metrics_;
  GatewayMetrics gateway_metrics_{metrics_};
  Refusals refusals_{metrics_, clock_};
  std::unique_ptr<GatewayService> service_;
  int last_request_ = 0;
};

TEST_F(GatewayServiceTest, AnAddressThatFloodsTheQueueIsRefusedAndTheOthersAreTaken) {
  ASSERT_OK(backend_.exchange().Join(exchange::TestJoin(exchange::TestWorker(1), config_)));
  std::vector<Answer> flood = Flood("ipv4:198.51.100.1");

  const auto refused =
      base::StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("from this address"));
  EXPECT_THAT(Heartbeat(kFlooder).get(), refused);
  EXPECT_THAT(Release(kFlooder).get(), refused);
  EXPECT_THAT(Claim(kFlooder).get(), refused);
  EXPECT_EQ(
      MetricValue(metrics_.Render(), "gannet_gateway_refused_total{reason=\"calls_of_address\"}"),
      3);
  Answer heartbeat = Heartbeat(kSchool);
  Answer release = Release(kSchool);
  Answer claim = Claim(kSchool);
  GoOn();

  EXPECT_OK(heartbeat.get());
  EXPECT_OK(release.get());
  EXPECT_OK(claim.get());
  for (Answer& answer : flood) {
    EXPECT_THAT(answer.get(), base::StatusIs(absl::StatusCode::kUnauthenticated));
  }
  EXPECT_OK(Heartbeat(kFlooder).get()) << "its places are free again";
}

// A worker asks again the moment it has its answer: by then its last call must hold nothing.
TEST_F(GatewayServiceTest, AFetchThatFailedHoldsNoSlotWhenTheWorkerKnows) {
  GoOn();
  ASSERT_OK(backend_.exchange().Join(exchange::TestJoin(exchange::TestWorker(1), config_)));
  std::atomic<int> answered = 0;
  std::atomic<int> not_found = 0;
  std::promise<void> all;
  std::function<void()> fetch = [&] {
    service_->FetchWeights(
        {.worker = exchange::TestWorker(1), .run = run_, .version = base::WeightsVersion(77)},
        kSchool, [] { return false; },
        [&](const absl::StatusOr<WeightsTransfer>& transfer) {
          if (absl::IsNotFound(transfer.status())) ++not_found;
          const int number = ++answered;
          // As many as one worker may have at the same time.
          for (int i = 0; number == 1 && i < kMaxFetchesPerWorker; ++i) fetch();
          if (number == 1 + kMaxFetchesPerWorker) all.set_value();
        });
  };

  fetch();
  all.get_future().wait();

  EXPECT_EQ(not_found, 1 + kMaxFetchesPerWorker);
}

TEST_F(GatewayServiceTest, AParkedClaimTakesUpNoPlaceOfItsAddress) {
  GoOn();
  // The class pauses, so that every claim is parked.
  ASSERT_OK(backend_.store().SetRunState(run_, domain::RunState::kPaused, "lunch"));
  std::vector<Answer> parked;
  for (int i = 1; i <= 2 * kMaxCalls; ++i) {
    ASSERT_OK(backend_.exchange().Join(exchange::TestJoin(exchange::TestWorker(i), config_)));
    auto promise = std::make_shared<std::promise<absl::Status>>();
    service_->Claim({.worker = exchange::TestWorker(i),
                     .run = run_,
                     .request_id = absl::StrFormat("%032x", ++last_request_),
                     .wait = exchange::kMaxClaimWait},
                    kSchool, [promise](const absl::StatusOr<exchange::ClaimResult>& result) {
                      promise->set_value(result.status());
                    });
    parked.push_back(promise->get_future());
    ASSERT_TRUE(AwaitTrue(
        [&] { return MetricValue(metrics_.Render(), "gannet_gateway_parked_claims") == i; }));
  }

  EXPECT_OK(Heartbeat(kSchool).get());

  service_->DrainClaims();
  for (Answer& answer : parked) EXPECT_OK(answer.get());
}

}  // namespace
}  // namespace gannet::gateway
