#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/store/testing/pg_fixture.h"
#include "libs/store/testing/test_postgres.h"

namespace gannet::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Every end of a lease is a row: those of V0006__ledger.sql. The exchange's contract has no word
// for the ledger; whoever wants to know what happened asks the database.
class PgLedgerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(run_, backend_.store().CreateRun(exchange::TestNewRun(config_)));
    ASSERT_OK_AND_ASSIGN(leadership_, backend_.store().AcquireLeadership(
                                          run_, exchange::TestLeader(1), absl::Hours(1)));
    ASSERT_OK(backend_.exchange().Join(exchange::TestJoin(ada_, config_)));
  }

  static std::string Row(const exchange::WorkUnit& unit, int outcome) {
    return absl::StrCat("round ", unit.round.value(), " unit ", unit.unit.value(), " attempt ",
                        unit.attempt.value(), " outcome ", outcome);
  }

  // In the order in which they were written.
  std::vector<std::string> Ledger() { return LedgerOf(ada_); }

  std::vector<std::string> LedgerOf(const exchange::WorkerIdentity& worker) {
    const absl::StatusOr<pg::SqlRows> rows = TestPostgres::Get().Query(
        backend_.url(),
        absl::StrCat("SELECT format('round %s unit %s attempt %s outcome %s', round, unit_id, "
                     "attempt, outcome) FROM gannet.ledger WHERE worker_id = '",
                     worker.id.value(), "' ORDER BY ctid"));
    EXPECT_OK(rows);
    std::vector<std::string> ledger;
    if (!rows.ok()) return ledger;
    for (const auto& row : rows->rows) ledger.push_back(row[0].value_or(""));
    return ledger;
  }

  PgFixture backend_;
  const domain::RunConfig config_ = exchange::TinyRunConfig();
  exchange::WorkerIdentity ada_ = exchange::TestWorker(1);
  const exchange::WorkerIdentity grace_ = exchange::TestWorker(2);
  base::RunId run_;
  exchange::Leadership leadership_;
};

TEST_F(PgLedgerTest, AReleasedUnitIsNotedAsReleased) {
  const exchange::WorkUnit released = backend_.Claim(ada_, run_);
  ASSERT_OK(backend_.exchange().Release(ada_, run_, released.unit, released.attempt));
  ASSERT_OK(backend_.exchange().Release(ada_, run_, released.unit, released.attempt));
  const exchange::WorkUnit left = backend_.Claim(ada_, run_);
  ASSERT_OK(backend_.exchange().Leave(ada_, run_));
  const exchange::WorkUnit taken_over = backend_.Claim(ada_, run_);
  ada_.incarnation = base::Incarnation(ada_.incarnation.value() + 1);
  ASSERT_OK(backend_.exchange().Join(exchange::TestJoin(ada_, config_)));

  EXPECT_THAT(Ledger(), ElementsAre(Row(released, 102), Row(left, 102), Row(taken_over, 102)));
}

TEST_F(PgLedgerTest, ALeaseThatRanOutIsExpired) {
  const exchange::WorkUnit unit = backend_.Claim(ada_, run_);
  backend_.AdvanceTime(config_.lease + absl::Seconds(1));
  ASSERT_THAT(backend_.store().ReapExpiredLeases(run_, leadership_), base::IsOkAndHolds(1));
  ASSERT_THAT(backend_.store().ReapExpiredLeases(run_, leadership_), base::IsOkAndHolds(0));
  ASSERT_THAT(backend_.exchange().Submit(exchange::TestSubmit(config_, ada_, unit)),
              base::IsOkAndHolds(domain::SubmitOutcome::kLate));

  EXPECT_THAT(Ledger(), ElementsAre(Row(unit, 101), Row(unit, 2)));
}

TEST_F(PgLedgerTest, AUnitThatCannotBeComputedIsFailed) {
  const exchange::WorkUnit unit = backend_.Claim(ada_, run_);
  ASSERT_OK(backend_.exchange().Fail(ada_, run_, unit.unit, unit.attempt, "unreadable image"));
  ASSERT_OK(backend_.exchange().Fail(ada_, run_, unit.unit, unit.attempt, "unreadable image"));

  EXPECT_THAT(Ledger(), ElementsAre(Row(unit, 103)));
}

TEST_F(PgLedgerTest, AGradientThatCannotBeUsedIsRejected) {
  const exchange::WorkUnit unit = backend_.Claim(ada_, run_);
  ASSERT_OK(backend_.exchange().Submit(exchange::TestSubmit(config_, ada_, unit)));
  ASSERT_OK(backend_.store().RejectGradient(run_, leadership_, unit.unit, "a NaN"));

  EXPECT_THAT(Ledger(), ElementsAre(Row(unit, 1), Row(unit, 104)));
}

// Removal and what follows from it are two transactions, of which the second may fail.
TEST_F(PgLedgerTest, TheWorkOfARemovedWorkerIsTakenBackAlsoLater) {
  ASSERT_OK(backend_.exchange().Join(exchange::TestJoin(grace_, config_)));
  const exchange::WorkUnit done = backend_.Claim(ada_, run_);
  ASSERT_OK(backend_.exchange().Submit(exchange::TestSubmit(config_, ada_, done)));
  const exchange::WorkUnit leased = backend_.Claim(ada_, run_);
  ASSERT_OK(TestPostgres::Get().Run(
      backend_.url(), absl::StrCat("SELECT gannet.remove_worker(", run_.value(), ", '",
                                   ada_.id.value(), "', 'three bad gradients')")));

  ASSERT_OK_AND_ASSIGN(const exchange::RoundProgress removed,
                       backend_.store().GetRoundProgress(run_, done.round));
  EXPECT_THAT(removed.gradients, IsEmpty());
  EXPECT_EQ(removed.ready, config_.units_per_round - 1) << "and one leased: nothing is complete";
  exchange::PublishRequest publish =
      exchange::TestPublish(config_, run_, leadership_, base::WeightsVersion(0));
  publish.consumed = {done.unit};
  EXPECT_THAT(backend_.store().Publish(publish), base::StatusIs(absl::StatusCode::kAborted));

  ASSERT_OK(backend_.store().ReapExpiredLeases(run_, leadership_));

  EXPECT_THAT(Ledger(), ElementsAre(Row(done, 1), Row(done, 104), Row(leased, 105)));
  EXPECT_EQ(backend_.Claim(grace_, run_).unit, done.unit);
  EXPECT_EQ(backend_.Claim(grace_, run_).unit, leased.unit);
}

// Whoever asks, and asks again, writes no row for it.

TEST_F(PgLedgerTest, WhatIsHandedInAgainIsNotedOnce) {
  const exchange::WorkUnit unit = backend_.Claim(ada_, run_);
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(backend_.exchange().Submit(exchange::TestSubmit(config_, ada_, unit)));
  }

  EXPECT_THAT(Ledger(), ElementsAre(Row(unit, 1), Row(unit, 3)));
}

TEST_F(PgLedgerTest, WhatIsRefusedAgainIsNotedOnce) {
  const exchange::WorkUnit unit = backend_.Claim(ada_, run_);
  ASSERT_OK(backend_.exchange().Release(ada_, run_, unit.unit, unit.attempt));
  ASSERT_OK(backend_.exchange().Join(exchange::TestJoin(grace_, config_)));
  ASSERT_EQ(backend_.Claim(grace_, run_).unit, unit.unit);
  for (int i = 0; i < 3; ++i) {
    ASSERT_THAT(backend_.exchange().Submit(exchange::TestSubmit(config_, ada_, unit)),
                base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded));
  }

  EXPECT_THAT(Ledger(), ElementsAre(Row(unit, 102), Row(unit, 4)));
}

TEST_F(PgLedgerTest, AStrangerWritesNothing) {
  ASSERT_OK(backend_.exchange().Join(exchange::TestJoin(grace_, config_)));
  const exchange::WorkUnit first = backend_.Claim(ada_, run_);
  ASSERT_OK(backend_.exchange().Release(ada_, run_, first.unit, first.attempt));
  const exchange::WorkUnit second = backend_.Claim(ada_, run_);
  ASSERT_EQ(second.unit, first.unit);
  for (const exchange::WorkUnit& asked : {first, second}) {  // an older attempt, and the last one
    ASSERT_THAT(backend_.exchange().Submit(exchange::TestSubmit(config_, grace_, asked)),
                base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded));
  }
  ASSERT_OK(backend_.exchange().Submit(exchange::TestSubmit(config_, ada_, second)));
  ASSERT_OK(backend_.store().RejectGradient(run_, leadership_, second.unit, "a NaN"));
  // Of which the holder is forgotten.
  ASSERT_THAT(backend_.exchange().Submit(exchange::TestSubmit(config_, grace_, second)),
              base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded));

  EXPECT_THAT(LedgerOf(grace_), IsEmpty());
}

}  // namespace
}  // namespace gannet::store
