#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/clock.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/store/testing/pg_fixture.h"
#include "libs/store/testing/test_postgres.h"

namespace gannet::store {
namespace {

// A real server, and a run with two workers.
class PgLostCommitsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(run_, backend_.store().CreateRun(exchange::TestNewRun(config_)));
    for (const exchange::WorkerIdentity& worker : {ada_, bob_}) {
      ASSERT_OK(backend_.exchange().Join(exchange::TestJoin(worker, config_)));
    }
  }

  std::string AttemptOf(const exchange::WorkUnit& unit) {
    const absl::StatusOr<pg::SqlRows> rows = server_.Query(
        backend_.url(),
        absl::StrCat("SELECT attempt FROM gannet.work_unit WHERE unit_id = ", unit.unit.value()));
    EXPECT_OK(rows);
    return rows.ok() && !rows->rows.empty() ? rows->rows[0][0].value_or("") : "";
  }

  // Connections that the crash cut are replaced at their next use.
  void WaitUntilItAnswers() {
    base::RealClock clock;
    const absl::Duration limit = clock.Steady() + absl::Minutes(1);
    const auto answers = [this] {
      return backend_.exchange().Heartbeat(bob_, run_, {}).ok() &&
             backend_.store().GetRunStatus(run_).ok();
    };
    while (!answers()) ASSERT_LT(clock.Steady(), limit) << "the database does not answer again";
  }

  absl::StatusOr<domain::SubmitOutcome> Submit(const exchange::WorkerIdentity& worker,
                                               const exchange::WorkUnit& unit) {
    return backend_.exchange().Submit(exchange::TestSubmit(config_, worker, unit));
  }

  exchange::WorkUnit ClaimSpeculatively(const exchange::WorkerIdentity& worker) {
    backend_.LetEveryUnitBeSlow(config_, run_);
    EXPECT_OK(backend_.exchange().Heartbeat(worker, run_, {}));
    return backend_.Claim(worker, run_);
  }

  TestPostgres& server_ = TestPostgres::Get();
  PgFixture backend_;
  const domain::RunConfig config_ = exchange::TinyRunConfig();
  const exchange::WorkerIdentity ada_ = exchange::TestWorker(1);
  const exchange::WorkerIdentity bob_ = exchange::TestWorker(2);
  base::RunId run_;
};

// A claim does not wait for the disk, so a crash of the database may forget one that was answered.
// Whoever holds such a unit must learn that it is not his, whether somebody else has it under the
// same attempt by then or not, and go on.
class PgLostClaimTest : public PgLostCommitsTest {
 protected:
  // A unit that Ada has claimed, and of which the database knows nothing.
  exchange::WorkUnit LoseAClaim() {
    for (int i = 0; i < 10; ++i) {
      // Wakes the process that writes the log, which has then nothing to do for ten seconds.
      EXPECT_OK(backend_.exchange().Heartbeat(ada_, run_, {}));
      exchange::WorkUnit unit = backend_.Claim(ada_, run_);
      server_.Stop(TestPostgres::StopMode::kImmediate);
      server_.Start();
      WaitUntilItAnswers();
      if (AttemptOf(unit) == "0") return unit;
      // The log was being written just then.
      EXPECT_OK(backend_.exchange().Release(ada_, run_, unit.unit, unit.attempt));
    }
    ADD_FAILURE() << "no claim was lost: do claims wait for the disk?";
    return {};
  }
};

TEST_F(PgLostClaimTest, ItsGradientIsSupersededAndTheUnitIsComputedOnce) {
  const exchange::WorkUnit lost = LoseAClaim();
  ASSERT_FALSE(HasFailure());

  EXPECT_THAT(Submit(ada_, lost), base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded));
  exchange::WorkUnit again = backend_.Claim(bob_, run_);
  ASSERT_EQ(again.unit, lost.unit);
  ASSERT_EQ(again.attempt, lost.attempt) << "the same attempt in two hands: that is the danger";
  EXPECT_THAT(Submit(ada_, lost), base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded));
  EXPECT_THAT(Submit(bob_, again), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
  EXPECT_THAT(Submit(ada_, lost), base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded));
}

TEST_F(PgLostClaimTest, AHeartbeatDropsItAndTheWorkerClaimsAgain) {
  const exchange::WorkUnit lost = LoseAClaim();
  ASSERT_FALSE(HasFailure());

  ASSERT_OK_AND_ASSIGN(const exchange::HeartbeatResult beat,
                       backend_.exchange().Heartbeat(ada_, run_, {{lost.unit, lost.attempt, 0}}));
  EXPECT_THAT(beat.dropped, ::testing::ElementsAre(lost.unit));
  const exchange::WorkUnit again = backend_.Claim(ada_, run_);
  EXPECT_EQ(again.unit, lost.unit);
  EXPECT_THAT(Submit(ada_, again), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
}

TEST_F(PgLostClaimTest, ASpareIsNeverLost) {
  const exchange::WorkUnit copy = ClaimSpeculatively(ada_);
  ASSERT_NE(copy.unit, base::UnitId());

  server_.Stop(TestPostgres::StopMode::kImmediate);
  server_.Start();
  WaitUntilItAnswers();

  EXPECT_EQ(AttemptOf(copy), "1");
  EXPECT_THAT(Submit(ada_, copy), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
}

// What waits for the disk is there after the crash.
TEST_F(PgLostClaimTest, AnAcceptIsNeverLost) {
  for (int i = 0; i < 3; ++i) {
    const exchange::WorkUnit unit = backend_.Claim(ada_, run_);
    ASSERT_THAT(Submit(ada_, unit), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
    server_.Stop(TestPostgres::StopMode::kImmediate);
    server_.Start();
    WaitUntilItAnswers();

    EXPECT_THAT(Submit(ada_, unit), base::IsOkAndHolds(domain::SubmitOutcome::kAlreadyAccepted));
    EXPECT_EQ(AttemptOf(unit), "1");
  }
}

// A backup is restored, or a standby takes over that lacks the last commits: numbers come again,
// and mean something else. A real server loses them here.
class PgRollbackTest : public PgLostCommitsTest {
 protected:
  void GoBack() {
    server_.GoBack();
    WaitUntilItAnswers();
  }

  void Publish(float value) {
    ASSERT_OK_AND_ASSIGN(
        const exchange::Leadership leadership,
        backend_.store().AcquireLeadership(run_, exchange::TestLeader(1), absl::Hours(1)));
    exchange::PublishRequest request =
        exchange::TestPublish(config_, run_, leadership, base::WeightsVersion(0));
    request.weights = exchange::TestWeights(config_, value);
    ASSERT_OK(backend_.store().Publish(request));
  }
};

TEST_F(PgRollbackTest, AUnitMadeAfterwardsIsNeverTakenForOneMadeBefore) {
  server_.Save();
  const exchange::WorkUnit lost = ClaimSpeculatively(ada_);
  GoBack();
  const exchange::WorkUnit copy = ClaimSpeculatively(ada_);
  ASSERT_EQ(copy.slot, lost.slot);
  ASSERT_EQ(copy.attempt, lost.attempt);

  EXPECT_NE(copy.unit, lost.unit);
  EXPECT_THAT(Submit(ada_, lost), base::StatusIs(absl::StatusCode::kNotFound));
  ASSERT_OK_AND_ASSIGN(
      const exchange::HeartbeatResult beat,
      backend_.exchange().Heartbeat(ada_, run_,
                                    {{lost.unit, lost.attempt, 1}, {copy.unit, copy.attempt, 0}}));
  EXPECT_THAT(beat.dropped, ::testing::ElementsAre(lost.unit));
  EXPECT_THAT(Submit(ada_, copy), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
}

TEST_F(PgRollbackTest, UnitsOfARoundPublishedAgainAreOthersAndNameTheirWeights) {
  server_.Save();
  Publish(5.0f);
  const exchange::WorkUnit lost = backend_.Claim(ada_, run_);
  GoBack();
  Publish(6.0f);
  const exchange::WorkUnit unit = backend_.Claim(ada_, run_);
  ASSERT_EQ(unit.weights_version, lost.weights_version);
  ASSERT_EQ(unit.slot, lost.slot);

  EXPECT_NE(unit.unit, lost.unit);
  EXPECT_THAT(Submit(ada_, lost), base::StatusIs(absl::StatusCode::kNotFound));
  exchange::FetchWeightsRequest request{ada_, run_, unit.weights_version, lost.weights_sha256};
  EXPECT_THAT(backend_.exchange().FetchWeights(request),
              base::StatusIs(absl::StatusCode::kNotFound));
  request.sha256 = unit.weights_sha256;
  ASSERT_OK_AND_ASSIGN(const exchange::Payload weights, backend_.exchange().FetchWeights(request));
  EXPECT_EQ(weights.sha256, exchange::TestWeights(config_, 6.0f).sha256);
}

TEST_F(PgRollbackTest, AStartThatIsForgottenJoinsAgain) {
  server_.Save();
  const exchange::WorkerIdentity later = exchange::TestWorker(1, ada_.incarnation.value() + 1);
  ASSERT_OK(backend_.exchange().Join(exchange::TestJoin(later, config_)));
  GoBack();

  EXPECT_THAT(backend_.exchange().Heartbeat(later, run_, {}),
              base::StatusIs(absl::StatusCode::kUnauthenticated));
  ASSERT_OK(backend_.exchange().Join(exchange::TestJoin(later, config_)));
  EXPECT_OK(backend_.exchange().Heartbeat(later, run_, {}));
}

}  // namespace
}  // namespace gannet::store
