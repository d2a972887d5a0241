#include "libs/exchange/testing/random_operations.h"

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/mutex.h"
#include "libs/exchange/testing/memory_fixture.h"

namespace gannet {
namespace {

using ::testing::HasSubstr;

// An exchange without the fence: whoever was superseded hands in under the latest attempt, as if he
// still held the unit.
class UnfencedExchange final : public Exchange {
 public:
  explicit UnfencedExchange(Exchange& inner) : inner_(inner) {}

  absl::StatusOr<JoinResult> Join(const JoinRequest& request) override {
    return inner_.Join(request);
  }

  absl::StatusOr<ClaimResult> Claim(const ClaimRequest& request) override {
    absl::StatusOr<ClaimResult> result = inner_.Claim(request);
    if (result.ok() && result->unit.has_value()) {
      MutexLock lock(mu_);
      latest_.insert_or_assign(result->unit->unit,
                               std::make_pair(request.worker, result->unit->attempt));
    }
    return result;
  }

  absl::StatusOr<Payload> FetchWeights(const FetchWeightsRequest& request) override {
    return inner_.FetchWeights(request);
  }

  absl::StatusOr<SubmitOutcome> Submit(const SubmitRequest& request) override {
    absl::StatusOr<SubmitOutcome> outcome = inner_.Submit(request);
    if (!outcome.ok() || *outcome != SubmitOutcome::kSuperseded) return outcome;
    SubmitRequest unfenced = request;
    {
      MutexLock lock(mu_);
      std::tie(unfenced.worker, unfenced.attempt) = latest_.at(request.unit);
    }
    return inner_.Submit(unfenced);
  }

  absl::StatusOr<HeartbeatResult> Heartbeat(const WorkerIdentity& worker, RunId run,
                                            const std::vector<UnitProgress>& held) override {
    return inner_.Heartbeat(worker, run, held);
  }

  absl::Status Release(const WorkerIdentity& worker, RunId run, UnitId unit,
                       Attempt attempt) override {
    return inner_.Release(worker, run, unit, attempt);
  }

  absl::Status Fail(const WorkerIdentity& worker, RunId run, UnitId unit, Attempt attempt,
                    const std::string& reason) override {
    return inner_.Fail(worker, run, unit, attempt, reason);
  }

  absl::Status Leave(const WorkerIdentity& worker, RunId run) override {
    return inner_.Leave(worker, run);
  }

 private:
  Exchange& inner_;
  Mutex mu_;
  std::map<UnitId, std::pair<WorkerIdentity, Attempt>> latest_ ABSL_GUARDED_BY(mu_);
};

class UnfencedFixture final : public BackendFixture {
 public:
  Store& store() override { return inner_.store(); }
  Exchange& exchange() override { return exchange_; }
  void AdvanceTime(absl::Duration by) override { inner_.AdvanceTime(by); }
  RunDump Dump(RunId run) override { return inner_.Dump(run); }

 private:
  MemoryFixture inner_;
  UnfencedExchange exchange_{inner_.exchange()};
};

TEST(RandomOperationsTest, ABackendEqualsItself) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    MemoryFixture a;
    MemoryFixture b;
    EXPECT_TRUE(CompareRandomOperations(a, b, seed, 3000));
  }
}

TEST(RandomOperationsTest, ABackendWithoutTheFenceIsFound) {
  MemoryFixture a;
  UnfencedFixture b;

  const ::testing::AssertionResult result = CompareRandomOperations(a, b, 1, 3000);

  EXPECT_FALSE(result);
  EXPECT_THAT(result.message(), HasSubstr("Submit"));
  EXPECT_THAT(result.message(), HasSubstr("seed 1"));
}

}  // namespace
}  // namespace gannet
