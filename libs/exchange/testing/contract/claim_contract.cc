#include <limits>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "libs/base/clock.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/testing/contract/contract_support.h"
#include "libs/exchange/testing/exchange_contract.h"
#include "libs/exchange/validation.h"

namespace gannet::exchange {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

}  // namespace

// ---- Claim

TEST_P(ExchangeContractTest, ClaimDescribesTheUnit) {
  StartRun();
  Join(TestWorker(1));

  const ClaimResult result = Must(exchange().Claim(NewClaim(TestWorker(1))));

  EXPECT_EQ(result.state, domain::RunState::kRunning);
  ASSERT_TRUE(result.unit.has_value());
  const WorkUnit& unit = *result.unit;
  EXPECT_EQ(unit.run, run_);
  EXPECT_EQ(unit.attempt, base::Attempt(1));
  EXPECT_EQ(unit.round, base::Round(1));
  EXPECT_EQ(unit.slot, base::Slot(0));
  EXPECT_EQ(unit.weights_version, base::WeightsVersion(0));
  EXPECT_EQ(unit.image_indices, TestUnits(config_, base::Round(1))[0].image_indices);
  EXPECT_EQ(unit.micro_batch, config_.micro_batch);
  EXPECT_EQ(unit.seed, config_.seed);
  EXPECT_EQ(unit.lease, config_.lease);
}

TEST_P(ExchangeContractTest, LargeSeedsAndIndicesSurvive) {
  domain::RunConfig config = config_;
  config.seed = std::numeric_limits<int64_t>::max();
  NewRun request = TestNewRun(config);
  request.units.resize(1);
  request.units[0].image_indices = {63, 0, 63, int64_t{1} << 40};
  run_ = Must(store().CreateRun(request));
  Join(TestWorker(1));

  const WorkUnit unit = ClaimUnit(TestWorker(1));

  EXPECT_EQ(unit.seed, config.seed);
  EXPECT_THAT(unit.image_indices, ElementsAre(63, 0, 63, int64_t{1} << 40));
}

TEST_P(ExchangeContractTest, TheLowestSlotGoesFirst) {
  NewRun request = TestNewRun(config_);
  std::swap(request.units[0], request.units[2]);
  run_ = Must(store().CreateRun(request));
  Join(TestWorker(1));
  Join(TestWorker(2));

  const WorkUnit first = ClaimUnit(TestWorker(1));
  const WorkUnit second = ClaimUnit(TestWorker(1));
  ASSERT_OK(exchange().Release(TestWorker(1), run_, first.unit, first.attempt));
  const WorkUnit again = ClaimUnit(TestWorker(2));
  const WorkUnit third = ClaimUnit(TestWorker(2));

  EXPECT_EQ(first.slot, base::Slot(0));
  EXPECT_EQ(second.slot, base::Slot(1));
  EXPECT_EQ(again.slot, base::Slot(0));
  EXPECT_EQ(third.slot, base::Slot(2));
}

TEST_P(ExchangeContractTest, ARepeatedClaimGetsTheSameUnitWithWhatIsLeftOfItsLease) {
  StartRun();
  Join(TestWorker(1));
  const ClaimRequest request = NewClaim(TestWorker(1));
  const WorkUnit first = *Must(exchange().Claim(request)).unit;
  backend().AdvanceTime(absl::Milliseconds(20'500));

  WorkUnit expected = first;
  expected.lease = config_.lease - absl::Milliseconds(20'500);
  EXPECT_EQ(Must(exchange().Claim(request)).unit, expected);
  EXPECT_EQ(Progress(1).leased, 1);

  backend().AdvanceTime(config_.lease);
  expected.lease = absl::ZeroDuration();
  EXPECT_EQ(Must(exchange().Claim(request)).unit, expected);
}

TEST_P(ExchangeContractTest, ARepeatedClaimOfALostUnitIsANewClaim) {
  StartRun();
  Join(TestWorker(1));
  Join(TestWorker(2));
  const ClaimRequest request = NewClaim(TestWorker(1));
  const WorkUnit first = *Must(exchange().Claim(request)).unit;
  ASSERT_OK(exchange().Release(TestWorker(1), run_, first.unit, first.attempt));
  const WorkUnit taken = ClaimUnit(TestWorker(2));

  const WorkUnit second = *Must(exchange().Claim(request)).unit;
  const WorkUnit repeated = *Must(exchange().Claim(request)).unit;

  EXPECT_EQ(taken.unit, first.unit);
  EXPECT_EQ(second.slot, base::Slot(1));
  EXPECT_EQ(second.attempt, base::Attempt(1));
  EXPECT_EQ(repeated, second);
}

TEST_P(ExchangeContractTest, ARequestIdBelongsToItsWorker) {
  StartRun();
  Join(TestWorker(1));
  Join(TestWorker(2));
  ClaimRequest request = NewClaim(TestWorker(1));
  const WorkUnit first = *Must(exchange().Claim(request)).unit;

  request.worker = TestWorker(2);
  const WorkUnit second = *Must(exchange().Claim(request)).unit;

  EXPECT_NE(first.unit, second.unit);
}

TEST_P(ExchangeContractTest, AWorkerHoldsTwoLeasesAtMost) {
  StartRun();
  Join(TestWorker(1));
  const ClaimRequest request = NewClaim(TestWorker(1));
  const WorkUnit first = *Must(exchange().Claim(request)).unit;
  ClaimUnit(TestWorker(1));

  EXPECT_THAT(exchange().Claim(NewClaim(TestWorker(1))),
              base::StatusIs(absl::StatusCode::kResourceExhausted));
  backend().AdvanceTime(config_.lease);  // an expired lease counts until it is reaped
  EXPECT_THAT(exchange().Claim(NewClaim(TestWorker(1))),
              base::StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_OK(exchange().Claim(request)) << "a repeat is not a third lease";

  ASSERT_THAT(Submit(TestWorker(1), first), base::IsOk());
  EXPECT_EQ(ClaimUnit(TestWorker(1)).slot, base::Slot(2));
}

TEST_P(ExchangeContractTest, MalformedClaimsAreRefused) {
  StartRun();
  Join(TestWorker(1));
  ClaimRequest request = NewClaim(TestWorker(1));
  request.request_id = "once more";
  EXPECT_THAT(exchange().Claim(request), base::StatusIs(kInvalid));
  for (const absl::Duration wait :
       {absl::Milliseconds(-1), kMaxClaimWait + absl::Milliseconds(1)}) {
    request = NewClaim(TestWorker(1));
    request.wait = wait;
    EXPECT_THAT(exchange().Claim(request), base::StatusIs(kInvalid));
  }
  EXPECT_EQ(Progress(1).ready, 3);
}

TEST_P(ExchangeContractTest, ClaimWithoutWorkAnswersAfterItsWait) {
  StartRun(1);
  Join(TestWorker(1));
  ClaimUnit(TestWorker(1));
  ClaimRequest request = NewClaim(TestWorker(1));
  request.wait = absl::Milliseconds(50);
  base::RealClock clock;
  const absl::Duration start = clock.Steady();

  EXPECT_FALSE(Must(exchange().Claim(request)).unit.has_value());

  EXPECT_GE(clock.Steady() - start, request.wait);
}

TEST_P(ExchangeContractTest, AWaitingClaimIsWokenByARelease) {
  StartRun(1);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  ClaimRequest request = NewClaim(TestWorker(2));
  request.wait = kMaxClaimWait;
  absl::StatusOr<ClaimResult> result;

  ExpectWoken([&] { result = exchange().Claim(request); },
              [&] { Must(exchange().Release(TestWorker(1), run_, unit.unit, unit.attempt)); });

  ASSERT_OK(result);
  ASSERT_TRUE(result->unit.has_value());
  EXPECT_EQ(result->unit->attempt, base::Attempt(2));
}

TEST_P(ExchangeContractTest, AWaitingClaimIsWokenByAPublication) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(1), unit));
  ClaimRequest request = NewClaim(TestWorker(1));
  request.wait = kMaxClaimWait;
  absl::StatusOr<ClaimResult> result;

  ExpectWoken([&] { result = exchange().Claim(request); }, [&] { Publish(); });

  ASSERT_OK(result);
  ASSERT_TRUE(result->unit.has_value());
  EXPECT_EQ(result->unit->round, base::Round(2));
  EXPECT_EQ(result->unit->weights_version, base::WeightsVersion(1));
}

TEST_P(ExchangeContractTest, AWaitingClaimIsAnsweredWhenTheRunEnds) {
  StartRun(1);
  Join(TestWorker(1));
  ClaimUnit(TestWorker(1));
  ClaimRequest request = NewClaim(TestWorker(1));
  request.wait = kMaxClaimWait;
  absl::StatusOr<ClaimResult> result;

  ExpectWoken([&] { result = exchange().Claim(request); }, [&] { Finish(); });

  ASSERT_OK(result);
  EXPECT_FALSE(result->unit.has_value());
  EXPECT_EQ(result->state, domain::RunState::kFinished);
}

TEST_P(ExchangeContractTest, AWaitingClaimIsWokenWhenTheRunResumes) {
  StartRun(1);
  Join(TestWorker(1));
  ASSERT_OK(store().SetRunState(run_, domain::RunState::kPaused, "break"));
  ClaimRequest request = NewClaim(TestWorker(1));
  request.wait = kMaxClaimWait;
  absl::StatusOr<ClaimResult> result;

  ExpectWoken([&] { result = exchange().Claim(request); },
              [&] { Must(store().SetRunState(run_, domain::RunState::kRunning, "")); });

  ASSERT_OK(result);
  EXPECT_TRUE(result->unit.has_value());
}

// ---- FetchWeights

TEST_P(ExchangeContractTest, FetchedWeightsAreThePublishedOnes) {
  StartRun();
  Join(TestWorker(1));
  Publish();
  for (const int version : {0, 1}) {
    const Payload expected = TestWeights(config_, static_cast<float>(version));

    const Payload got =
        Must(exchange().FetchWeights({TestWorker(1), run_, base::WeightsVersion(version)}));

    EXPECT_EQ(got.codec, tensor::Codec::kFp32);
    EXPECT_EQ(got.sha256, expected.sha256);
    EXPECT_EQ(*got.bytes, *expected.bytes);
    EXPECT_TRUE(got.IsIntact());
  }
}

TEST_P(ExchangeContractTest, WeightsThatAreNotKeptAreNotFound) {
  StartRun();
  Join(TestWorker(1));

  EXPECT_THAT(exchange().FetchWeights({TestWorker(1), run_, base::WeightsVersion(1)}),
              base::StatusIs(kNotFound));
  EXPECT_THAT(exchange().FetchWeights({TestWorker(1), run_, base::WeightsVersion(-1)}),
              base::StatusIs(kInvalid));
}

// The number of a version comes again when a database was rolled back.
TEST_P(ExchangeContractTest, AUnitNamesItsWeightsAndNoOthersAreFetchedForThem) {
  StartRun();
  Join(TestWorker(1));
  Publish();
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  EXPECT_EQ(unit.weights_sha256, TestWeights(config_, 1.0f).sha256);
  FetchWeightsRequest request{TestWorker(1), run_, unit.weights_version, unit.weights_sha256};

  EXPECT_EQ(Must(exchange().FetchWeights(request)).sha256, unit.weights_sha256);
  request.sha256 = TestWeights(config_, 5.0f).sha256;
  EXPECT_THAT(exchange().FetchWeights(request),
              base::StatusIs(kNotFound, HasSubstr("other weights")));
  request.sha256 = "short";
  EXPECT_THAT(exchange().FetchWeights(request),
              base::StatusIs(kInvalid, HasSubstr("weights_sha256")));
}

// ---- Concurrency

TEST_P(ExchangeContractTest, ManyWorkersAtOnceNeverShareAUnit) {
  constexpr int kWorkers = 4;
  constexpr int kUnits = 24;
  NewRun request = TestNewRun(config_);
  request.units.clear();
  for (int slot = 0; slot < kUnits; ++slot) {
    request.units.push_back({base::Slot(slot), {0, 1, 2, 3}});
  }
  run_ = Must(store().CreateRun(request));
  for (int number = 1; number <= kWorkers; ++number) Join(TestWorker(number));
  std::vector<int> accepted(kWorkers, 0);
  std::vector<std::thread> threads;
  for (int number = 1; number <= kWorkers; ++number) {
    threads.emplace_back([&, number] {
      const WorkerIdentity worker = TestWorker(number);
      for (int i = 0;; ++i) {
        ClaimRequest claim{worker, run_, absl::StrFormat("%016x%016x", number, i),
                           absl::ZeroDuration()};
        const absl::StatusOr<ClaimResult> result = exchange().Claim(claim);
        if (!result.ok()) {
          ADD_FAILURE() << result.status();
          return;
        }
        if (!result->unit.has_value()) return;
        const absl::StatusOr<domain::SubmitOutcome> outcome = exchange().Submit(
            TestSubmit(config_, worker, *result->unit, static_cast<float>(number)));
        EXPECT_THAT(outcome, base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
        ++accepted[static_cast<size_t>(number - 1)];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  int total = 0;
  for (const int count : accepted) total += count;
  EXPECT_EQ(total, kUnits);
  const RoundProgress progress = Progress(1);
  ASSERT_THAT(progress.gradients, SizeIs(kUnits));
  for (const GradientInfo& info : progress.gradients) EXPECT_EQ(info.attempt, base::Attempt(1));
  EXPECT_EQ(Status().accepted_image_count, int64_t{kUnits} * config_.images_per_unit);
}

}  // namespace gannet::exchange
