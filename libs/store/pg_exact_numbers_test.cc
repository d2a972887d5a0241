// What goes into the database as JSON comes out as it was, bit for bit.
#include <cmath>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/store/testing/pg_fixture.h"

namespace gannet::store {
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
  domain::RunConfig config_ = exchange::TinyRunConfig();
};

TEST_F(PgExactNumbersTest, AGradientKeepsItsStatistics) {
  config_.seed = std::numeric_limits<int64_t>::max();
  ASSERT_OK_AND_ASSIGN(const base::RunId run,
                       backend_.store().CreateRun(exchange::TestNewRun(config_)));
  const exchange::WorkerIdentity worker = exchange::TestWorker(1);
  ASSERT_OK(backend_.exchange().Join(exchange::TestJoin(worker, config_)));
  const exchange::WorkUnit unit = backend_.Claim(worker, run);
  EXPECT_EQ(unit.seed, config_.seed);
  exchange::SubmitRequest request = exchange::TestSubmit(config_, worker, unit);
  request.stats.discriminator_loss = -0.0;
  request.stats.generator_loss = kDenormal;
  request.stats.real_accuracy = kSeventeenDigits;
  request.stats.fake_accuracy = kThird;
  request.stats.compute_seconds = 1e-320;
  ASSERT_THAT(backend_.exchange().Submit(request),
              base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));

  ASSERT_OK_AND_ASSIGN(const exchange::RoundProgress progress,
                       backend_.store().GetRoundProgress(run, base::Round(1)));

  ASSERT_EQ(progress.gradients.size(), 1u);
  const exchange::GradientStats& kept = progress.gradients[0].stats;
  ExpectSameBits(kept.discriminator_loss, -0.0);
  ExpectSameBits(kept.generator_loss, kDenormal);
  ExpectSameBits(kept.real_accuracy, kSeventeenDigits);
  ExpectSameBits(kept.fake_accuracy, kThird);
  ExpectSameBits(kept.compute_seconds, 1e-320);
}

TEST_F(PgExactNumbersTest, ARoundAndTheBestWeightsKeepTheirNumbers) {
  ASSERT_OK_AND_ASSIGN(const base::RunId run,
                       backend_.store().CreateRun(exchange::TestNewRun(config_)));
  ASSERT_OK_AND_ASSIGN(
      const exchange::Leadership leadership,
      backend_.store().AcquireLeadership(run, exchange::TestLeader(1), absl::Hours(1)));
  exchange::PublishRequest publish =
      exchange::TestPublish(config_, run, leadership, base::WeightsVersion(0));
  publish.summary.epoch = (int64_t{1} << 53) + 1;
  publish.summary.discriminator_loss = -kDenormal;
  publish.summary.generator_loss = std::numeric_limits<double>::max();
  publish.summary.real_accuracy = kSeventeenDigits;
  publish.summary.fake_accuracy = -0.0;
  publish.summary.seconds = kThird;
  ASSERT_OK(backend_.store().Publish(publish));
  ASSERT_OK(backend_.store().SaveBest(run, leadership, {base::WeightsVersion(1), kDenormal},
                                      exchange::TestWeights(config_, 1)));

  ASSERT_OK_AND_ASSIGN(const std::vector<exchange::RoundSummary> rounds,
                       backend_.store().ListRounds(run, base::Round(0), 1));
  ASSERT_OK_AND_ASSIGN(const exchange::RunStatus status, backend_.store().GetRunStatus(run));

  ASSERT_EQ(rounds.size(), 1u);
  EXPECT_EQ(rounds[0], publish.summary);
  EXPECT_TRUE(std::signbit(rounds[0].fake_accuracy));
  EXPECT_EQ(status.best->distance, kDenormal);
}

TEST_F(PgExactNumbersTest, ARunThatGoesOnKeepsItsHistory) {
  exchange::NewRun request = exchange::TestNewRun(config_);
  request.version = base::WeightsVersion(1);
  request.units = exchange::TestUnits(config_, base::Round(2));
  exchange::RoundSummary& round = request.history.emplace_back();
  round.round = base::Round(1);
  round.epoch = std::numeric_limits<int64_t>::max();
  round.gradient_count = 3;
  round.image_count = 12;
  round.discriminator_loss = kSeventeenDigits;
  round.generator_loss = -kDenormal;
  round.seconds = 1e-300;
  ASSERT_OK_AND_ASSIGN(const base::RunId run, backend_.store().CreateRun(request));

  EXPECT_THAT(backend_.store().ListRounds(run, base::Round(0), 10),
              base::IsOkAndHolds(::testing::ElementsAre(round)));
}

}  // namespace
}  // namespace gannet::store
