// What goes into the database as JSON comes out as it was, bit for bit.
#include <cmath>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/store/testing/pg_fixture.h"

namespace gannet {
namespace {

constexpr double kDenormal = std::numeric_limits<double>::denorm_min();
constexpr double kSeventeenDigits = 0.10000000000000002;
constexpr double kThird = 1.0 / 3;

void ExpectSameBits(double got, double expected) {
  EXPECT_EQ(got, expected);
  EXPECT_EQ(std::signbit(got), std::signbit(expected));
}

class PgExactNumbersTest : public ::testing::Test {
 protected:
  PgFixture backend_;
  RunConfig config_ = TinyRunConfig();
};

TEST_F(PgExactNumbersTest, AGradientKeepsItsStatistics) {
  config_.seed = std::numeric_limits<int64_t>::max();
  ASSERT_OK_AND_ASSIGN(const RunId run, backend_.store().CreateRun(TestNewRun(config_)));
  const WorkerIdentity worker = TestWorker(1);
  ASSERT_OK(backend_.exchange().Join(TestJoin(worker, config_)));
  const WorkUnit unit = backend_.Claim(worker, run);
  EXPECT_EQ(unit.seed, config_.seed);
  SubmitRequest request = TestSubmit(config_, worker, unit);
  request.stats.discriminator_loss = -0.0;
  request.stats.generator_loss = kDenormal;
  request.stats.real_accuracy = kSeventeenDigits;
  request.stats.fake_accuracy = kThird;
  request.stats.compute_seconds = 1e-320;
  ASSERT_THAT(backend_.exchange().Submit(request), IsOkAndHolds(SubmitOutcome::kAccepted));

  ASSERT_OK_AND_ASSIGN(const RoundProgress progress,
                       backend_.store().GetRoundProgress(run, Round(1)));

  ASSERT_EQ(progress.gradients.size(), 1u);
  const GradientStats& kept = progress.gradients[0].stats;
  ExpectSameBits(kept.discriminator_loss, -0.0);
  ExpectSameBits(kept.generator_loss, kDenormal);
  ExpectSameBits(kept.real_accuracy, kSeventeenDigits);
  ExpectSameBits(kept.fake_accuracy, kThird);
  ExpectSameBits(kept.compute_seconds, 1e-320);
}

TEST_F(PgExactNumbersTest, ARoundAndTheBestWeightsKeepTheirNumbers) {
  ASSERT_OK_AND_ASSIGN(const RunId run, backend_.store().CreateRun(TestNewRun(config_)));
  ASSERT_OK_AND_ASSIGN(const Leadership leadership,
                       backend_.store().AcquireLeadership(run, TestLeader(1), absl::Hours(1)));
  PublishRequest publish = TestPublish(config_, run, leadership, WeightsVersion(0));
  publish.summary.epoch = (int64_t{1} << 53) + 1;
  publish.summary.discriminator_loss = -kDenormal;
  publish.summary.generator_loss = std::numeric_limits<double>::max();
  publish.summary.real_accuracy = kSeventeenDigits;
  publish.summary.fake_accuracy = -0.0;
  publish.summary.seconds = kThird;
  ASSERT_OK(backend_.store().Publish(publish));
  ASSERT_OK(backend_.store().KeepBest(run, leadership, {WeightsVersion(1), kDenormal},
                                      TestWeights(config_, 1)));

  ASSERT_OK_AND_ASSIGN(const std::vector<RoundSummary> rounds,
                       backend_.store().ListRounds(run, Round(0), 1));
  ASSERT_OK_AND_ASSIGN(const RunStatus status, backend_.store().GetRunStatus(run));

  ASSERT_EQ(rounds.size(), 1u);
  EXPECT_EQ(rounds[0], publish.summary);
  EXPECT_TRUE(std::signbit(rounds[0].fake_accuracy));
  EXPECT_EQ(status.best->distance, kDenormal);
}

TEST_F(PgExactNumbersTest, ARunThatGoesOnKeepsItsHistory) {
  NewRun request = TestNewRun(config_);
  request.version = WeightsVersion(1);
  request.units = TestUnits(config_, Round(2));
  RoundSummary& round = request.history.emplace_back();
  round.round = Round(1);
  round.epoch = std::numeric_limits<int64_t>::max();
  round.gradient_count = 3;
  round.image_count = 12;
  round.discriminator_loss = kSeventeenDigits;
  round.generator_loss = -kDenormal;
  round.seconds = 1e-300;
  ASSERT_OK_AND_ASSIGN(const RunId run, backend_.store().CreateRun(request));

  EXPECT_THAT(backend_.store().ListRounds(run, Round(0), 10),
              IsOkAndHolds(::testing::ElementsAre(round)));
}

}  // namespace
}  // namespace gannet
