#include "libs/exchange/testing/random_operations.h"

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/mutex.h"
#include "libs/exchange/testing/forwarding_exchange.h"
#include "libs/exchange/testing/memory_fixture.h"

namespace gannet::exchange {
namespace {

using ::testing::HasSubstr;

// An exchange without the fence: whoever was superseded submits under the latest attempt, as if he
// still held the unit.
class UnfencedExchange final : public ForwardingExchange {
 public:
  using ForwardingExchange::ForwardingExchange;

  absl::StatusOr<ClaimResult> Claim(const ClaimRequest& request) override {
    absl::StatusOr<ClaimResult> result = ForwardingExchange::Claim(request);
    if (result.ok() && result->unit.has_value()) {
      base::MutexLock lock(mu_);
      latest_.insert_or_assign(result->unit->unit,
                               std::make_pair(request.worker, result->unit->attempt));
    }
    return result;
  }

  absl::StatusOr<domain::SubmitOutcome> Submit(const SubmitRequest& request) override {
    absl::StatusOr<domain::SubmitOutcome> outcome = ForwardingExchange::Submit(request);
    if (!outcome.ok() || *outcome != domain::SubmitOutcome::kSuperseded) return outcome;
    SubmitRequest unfenced = request;
    {
      base::MutexLock lock(mu_);
      std::tie(unfenced.worker, unfenced.attempt) = latest_.at(request.unit);
    }
    return ForwardingExchange::Submit(unfenced);
  }

 private:
  base::Mutex mu_;
  std::map<base::UnitId, std::pair<WorkerIdentity, base::Attempt>> latest_ ABSL_GUARDED_BY(mu_);
};

class UnfencedFixture final : public BackendFixture {
 public:
  Store& store() override { return inner_.store(); }
  Exchange& exchange() override { return exchange_; }
  void AdvanceTime(absl::Duration by) override { inner_.AdvanceTime(by); }
  RunDump Dump(base::RunId run) override { return inner_.Dump(run); }

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
}  // namespace gannet::exchange
