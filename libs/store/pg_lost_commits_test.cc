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

namespace gannet {
namespace {

// A real server, and a run with two workers.
class PgLostCommitsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(run_, backend_.store().CreateRun(TestNewRun(config_)));
    for (const WorkerIdentity& worker : {ada_, bob_}) {
      ASSERT_OK(backend_.exchange().Join(TestJoin(worker, config_)));
    }
  }

  std::string AttemptOf(const WorkUnit& unit) {
    const absl::StatusOr<SqlRows> rows = server_.Query(
        backend_.url(),
        absl::StrCat("SELECT attempt FROM gannet.work_unit WHERE unit_id = ", unit.unit.value()));
    EXPECT_OK(rows);
    return rows.ok() && !rows->rows.empty() ? rows->rows[0][0].value_or("") : "";
  }

  // Connections that the crash cut are replaced at their next use.
  void WaitUntilItAnswers() {
    RealClock clock;
    const absl::Duration limit = clock.Steady() + absl::Minutes(1);
    const auto answers = [this] {
      return backend_.exchange().Heartbeat(bob_, run_, {}).ok() &&
             backend_.store().GetRunStatus(run_).ok();
    };
    while (!answers()) ASSERT_LT(clock.Steady(), limit) << "the database does not answer again";
  }

  absl::StatusOr<SubmitOutcome> Submit(const WorkerIdentity& worker, const WorkUnit& unit) {
    return backend_.exchange().Submit(TestSubmit(config_, worker, unit));
  }

  WorkUnit ClaimASpare(const WorkerIdentity& worker) {
    backend_.LetEveryUnitBeSlow(config_, run_);
    EXPECT_OK(backend_.exchange().Heartbeat(worker, run_, {}));
    return backend_.Claim(worker, run_);
  }

  TestPostgres& server_ = TestPostgres::Get();
  PgFixture backend_;
  const RunConfig config_ = TinyRunConfig();
  const WorkerIdentity ada_ = TestWorker(1);
  const WorkerIdentity bob_ = TestWorker(2);
  RunId run_;
};

// A claim does not wait for the disk, so a crash of the database may forget one that was answered.
// Whoever holds such a unit must learn that it is not his, whether somebody else has it under the
// same attempt by then or not, and go on.
class PgLostClaimTest : public PgLostCommitsTest {
 protected:
  // A unit that Ada has claimed, and of which the database knows nothing.
  WorkUnit LoseAClaim() {
    for (int i = 0; i < 10; ++i) {
      // Wakes the process that writes the log, which has then nothing to do for ten seconds.
      EXPECT_OK(backend_.exchange().Heartbeat(ada_, run_, {}));
      WorkUnit unit = backend_.Claim(ada_, run_);
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
  const WorkUnit lost = LoseAClaim();
  ASSERT_FALSE(HasFailure());

  EXPECT_THAT(Submit(ada_, lost), IsOkAndHolds(SubmitOutcome::kSuperseded));
  WorkUnit again = backend_.Claim(bob_, run_);
  ASSERT_EQ(again.unit, lost.unit);
  ASSERT_EQ(again.attempt, lost.attempt) << "the same attempt in two hands: that is the danger";
  EXPECT_THAT(Submit(ada_, lost), IsOkAndHolds(SubmitOutcome::kSuperseded));
  EXPECT_THAT(Submit(bob_, again), IsOkAndHolds(SubmitOutcome::kAccepted));
  EXPECT_THAT(Submit(ada_, lost), IsOkAndHolds(SubmitOutcome::kSuperseded));
}

TEST_F(PgLostClaimTest, AHeartbeatDropsItAndTheWorkerClaimsAgain) {
  const WorkUnit lost = LoseAClaim();
  ASSERT_FALSE(HasFailure());

  ASSERT_OK_AND_ASSIGN(const HeartbeatResult beat,
                       backend_.exchange().Heartbeat(ada_, run_, {{lost.unit, lost.attempt, 0}}));
  EXPECT_THAT(beat.dropped, ::testing::ElementsAre(lost.unit));
  const WorkUnit again = backend_.Claim(ada_, run_);
  EXPECT_EQ(again.unit, lost.unit);
  EXPECT_THAT(Submit(ada_, again), IsOkAndHolds(SubmitOutcome::kAccepted));
}

TEST_F(PgLostClaimTest, ASpareIsNeverLost) {
  const WorkUnit spare = ClaimASpare(ada_);
  ASSERT_NE(spare.unit, UnitId());

  server_.Stop(TestPostgres::StopMode::kImmediate);
  server_.Start();
  WaitUntilItAnswers();

  EXPECT_EQ(AttemptOf(spare), "1");
  EXPECT_THAT(Submit(ada_, spare), IsOkAndHolds(SubmitOutcome::kAccepted));
}

// What waits for the disk is there after the crash.
TEST_F(PgLostClaimTest, AnAcceptIsNeverLost) {
  for (int i = 0; i < 3; ++i) {
    const WorkUnit unit = backend_.Claim(ada_, run_);
    ASSERT_THAT(Submit(ada_, unit), IsOkAndHolds(SubmitOutcome::kAccepted));
    server_.Stop(TestPostgres::StopMode::kImmediate);
    server_.Start();
    WaitUntilItAnswers();

    EXPECT_THAT(Submit(ada_, unit), IsOkAndHolds(SubmitOutcome::kAlreadyAccepted));
    EXPECT_EQ(AttemptOf(unit), "1");
  }
}

// A backup is restored, or a standby takes over that lacks the last commits: numbers come again,
// and mean something else. A real server loses them here.
class PgGoneBackTest : public PgLostCommitsTest {
 protected:
  void GoBack() {
    server_.GoBack();
    WaitUntilItAnswers();
  }

  void Publish(float value) {
    ASSERT_OK_AND_ASSIGN(const Leadership leadership,
                         backend_.store().AcquireLeadership(run_, TestLeader(1), absl::Hours(1)));
    PublishRequest request = TestPublish(config_, run_, leadership, WeightsVersion(0));
    request.weights = TestWeights(config_, value);
    ASSERT_OK(backend_.store().Publish(request));
  }
};

TEST_F(PgGoneBackTest, AUnitMadeAfterwardsIsNeverTakenForOneMadeBefore) {
  server_.Save();
  const WorkUnit lost = ClaimASpare(ada_);
  GoBack();
  const WorkUnit spare = ClaimASpare(ada_);
  ASSERT_EQ(spare.slot, lost.slot);
  ASSERT_EQ(spare.attempt, lost.attempt);

  EXPECT_NE(spare.unit, lost.unit);
  EXPECT_THAT(Submit(ada_, lost), StatusIs(absl::StatusCode::kNotFound));
  ASSERT_OK_AND_ASSIGN(
      const HeartbeatResult beat,
      backend_.exchange().Heartbeat(
          ada_, run_, {{lost.unit, lost.attempt, 1}, {spare.unit, spare.attempt, 0}}));
  EXPECT_THAT(beat.dropped, ::testing::ElementsAre(lost.unit));
  EXPECT_THAT(Submit(ada_, spare), IsOkAndHolds(SubmitOutcome::kAccepted));
}

TEST_F(PgGoneBackTest, UnitsOfARoundPublishedAgainAreOthersAndNameTheirWeights) {
  server_.Save();
  Publish(5.0f);
  const WorkUnit lost = backend_.Claim(ada_, run_);
  GoBack();
  Publish(6.0f);
  const WorkUnit unit = backend_.Claim(ada_, run_);
  ASSERT_EQ(unit.weights_version, lost.weights_version);
  ASSERT_EQ(unit.slot, lost.slot);

  EXPECT_NE(unit.unit, lost.unit);
  EXPECT_THAT(Submit(ada_, lost), StatusIs(absl::StatusCode::kNotFound));
  FetchWeightsRequest request{ada_, run_, unit.weights_version, lost.weights_sha256};
  EXPECT_THAT(backend_.exchange().FetchWeights(request), StatusIs(absl::StatusCode::kNotFound));
  request.sha256 = unit.weights_sha256;
  ASSERT_OK_AND_ASSIGN(const Payload weights, backend_.exchange().FetchWeights(request));
  EXPECT_EQ(weights.sha256, TestWeights(config_, 6.0f).sha256);
}

TEST_F(PgGoneBackTest, AStartThatIsForgottenJoinsAgain) {
  server_.Save();
  const WorkerIdentity later = TestWorker(1, ada_.incarnation.value() + 1);
  ASSERT_OK(backend_.exchange().Join(TestJoin(later, config_)));
  GoBack();

  EXPECT_THAT(backend_.exchange().Heartbeat(later, run_, {}),
              StatusIs(absl::StatusCode::kUnauthenticated));
  ASSERT_OK(backend_.exchange().Join(TestJoin(later, config_)));
  EXPECT_OK(backend_.exchange().Heartbeat(later, run_, {}));
}

}  // namespace
}  // namespace gannet
