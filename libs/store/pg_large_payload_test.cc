#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/sha256.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/store/testing/pg_fixture.h"
#include "libs/store/testing/test_postgres.h"

namespace gannet::store {
namespace {

using ::testing::HasSubstr;

std::string Bytes(size_t size, char salt = 0) {
  std::string bytes(size, '\0');
  uint32_t state = 12345;
  for (char& byte : bytes) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<char>((state >> 24) ^ static_cast<unsigned char>(salt));
  }
  return bytes;
}

// Gradients above 256,000 bytes are sent in pieces ahead of the accept; the rules are the same.
class PgLargePayloadTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(run_, backend_.store().CreateRun(exchange::TestNewRun(config_)));
    ASSERT_OK(backend_.exchange().Join(exchange::TestJoin(ada_, config_)));
    ASSERT_OK(backend_.exchange().Join(exchange::TestJoin(bob_, config_)));
  }

  exchange::SubmitRequest Submission(const exchange::WorkerIdentity& worker,
                                     const exchange::WorkUnit& unit, std::string bytes) {
    exchange::SubmitRequest request = exchange::TestSubmit(config_, worker, unit);
    request.payload = exchange::Payload::FromBytes(tensor::Codec::kFp16, std::move(bytes));
    return request;
  }

  std::string Ledger() {
    const absl::StatusOr<pg::SqlRows> rows = TestPostgres::Get().Query(
        backend_.url(),
        "SELECT coalesce(string_agg(outcome::text, ' ' ORDER BY ctid), '') "
        "FROM gannet.ledger");
    EXPECT_OK(rows);
    return rows.ok() ? rows->rows[0][0].value_or("") : "";
  }

  // Of any size, whatever the model.
  PgFixture backend_{
      "CREATE FUNCTION any_size() RETURNS trigger LANGUAGE plpgsql AS "
      "'BEGIN NEW.gradient_bytes_max := NULL; RETURN NEW; END';"
      "CREATE TRIGGER any_size BEFORE INSERT ON gannet.run FOR EACH ROW "
      "EXECUTE FUNCTION any_size()"};
  const domain::RunConfig config_ = [] {
    domain::RunConfig config = exchange::TinyRunConfig();
    config.gradient_codec = static_cast<int>(tensor::Codec::kFp16);
    config.units_per_round = 10;
    return config;
  }();
  const exchange::WorkerIdentity ada_ = exchange::TestWorker(1);
  const exchange::WorkerIdentity bob_ = exchange::TestWorker(2);
  base::RunId run_;
};

TEST_F(PgLargePayloadTest, BytesComeBackWhateverTheirNumber) {
  for (const size_t size :
       {size_t{1}, size_t{7'999}, size_t{8'000}, size_t{8'001}, size_t{256'000}, size_t{1'056'000},
        size_t{1'056'001}, size_t{1'280'000}, size_t{1'280'001}, size_t{5'000'000}}) {
    const exchange::WorkUnit unit = backend_.Claim(ada_, run_);
    const std::string bytes = Bytes(size);

    EXPECT_THAT(backend_.exchange().Submit(Submission(ada_, unit, bytes)),
                base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));

    ASSERT_OK_AND_ASSIGN(const exchange::Payload read,
                         backend_.store().FetchGradient(run_, unit.unit));
    EXPECT_TRUE(*read.bytes == bytes) << size;
    EXPECT_EQ(read.sha256, base::Sha256(bytes));
    EXPECT_EQ(read.codec, tensor::Codec::kFp16);
    EXPECT_TRUE(read.IsIntact());
  }
}

TEST_F(PgLargePayloadTest, ARepeatIsKnownAndOtherBytesAreAnError) {
  const exchange::WorkUnit unit = backend_.Claim(ada_, run_);
  const exchange::SubmitRequest submission = Submission(ada_, unit, Bytes(1'200'000));

  EXPECT_THAT(backend_.exchange().Submit(submission),
              base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
  EXPECT_THAT(backend_.exchange().Submit(submission),
              base::IsOkAndHolds(domain::SubmitOutcome::kAlreadyAccepted));
  EXPECT_THAT(backend_.exchange().Submit(Submission(ada_, unit, Bytes(1'200'000, 1))),
              base::StatusIs(absl::StatusCode::kAlreadyExists));

  EXPECT_EQ(Ledger(), "1 3");
}

TEST_F(PgLargePayloadTest, AZombieIsSupersededBeforeItsBytesAreSent) {
  const exchange::WorkUnit unit = backend_.Claim(ada_, run_);
  ASSERT_OK(backend_.exchange().Release(ada_, run_, unit.unit, unit.attempt));
  const exchange::WorkUnit again = backend_.Claim(bob_, run_);
  ASSERT_EQ(again.unit, unit.unit);

  EXPECT_THAT(backend_.exchange().Submit(Submission(ada_, unit, Bytes(1'200'000))),
              base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded));
  EXPECT_THAT(backend_.exchange().Submit(Submission(bob_, again, Bytes(1'300'000))),
              base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));

  ASSERT_OK_AND_ASSIGN(const exchange::Payload read,
                       backend_.store().FetchGradient(run_, unit.unit));
  EXPECT_TRUE(*read.bytes == Bytes(1'300'000));
  EXPECT_EQ(Ledger(), "102 4 1");
}

TEST_F(PgLargePayloadTest, ALateOneIsKept) {
  const exchange::WorkUnit unit = backend_.Claim(ada_, run_);
  backend_.AdvanceTime(config_.lease);

  EXPECT_THAT(backend_.exchange().Submit(Submission(ada_, unit, Bytes(1'200'000))),
              base::IsOkAndHolds(domain::SubmitOutcome::kLate));
}

TEST_F(PgLargePayloadTest, AForeignAttemptAndOneNeverIssuedAreSuperseded) {
  const exchange::WorkUnit unit = backend_.Claim(ada_, run_);
  exchange::WorkUnit next = unit;
  next.attempt = base::Attempt(2);

  EXPECT_THAT(backend_.exchange().Submit(Submission(bob_, unit, Bytes(1'200'000))),
              base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded));
  EXPECT_THAT(backend_.exchange().Submit(Submission(ada_, next, Bytes(1'200'000))),
              base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded));
}

// Pieces lie with the others of their round: half of them in one round and half in the next would
// be half a gradient.
TEST_F(PgLargePayloadTest, PiecesOfAUnitThatIsCarriedOverBetweenThemAreSentAgain) {
  const exchange::WorkUnit unit = backend_.Claim(ada_, run_);
  const std::string who =
      absl::StrFormat("'%s', '%s', %d, %d, %d, 1", ada_.id.value(), ada_.secret,
                      ada_.incarnation.value(), run_.value(), unit.unit.value());
  const auto stage = [&](int seq) {
    return absl::StrFormat(
        "SELECT gannet.stage_gradient(%s, %d, decode(repeat('00', 8000), 'hex'));", who, seq);
  };
  const std::string take_along = absl::StrCat(
      "UPDATE gannet.work_unit SET round = 2, slot = 10, is_speculative = true, "
      "stale_rounds = 1 WHERE unit_id = ",
      unit.unit.value(), ";");
  const std::string submit = absl::StrFormat(
      "SELECT gannet.submit_gradient(%s, '{\"image_count\": %d, \"micro_batch_count\": %d, "
      "\"discriminator_loss\": 0, \"generator_loss\": 0, \"real_accuracy\": 0, "
      "\"fake_accuracy\": 0, \"compute_seconds\": 0, \"codec\": 2, \"payload_bytes\": 16001}', "
      "decode(repeat('00', 32), 'hex'), 2, '\x01')",
      who, unit.image_indices.size(), exchange::TestStats(config_).micro_batch_count);
  const auto run = [&](const std::string& script) {
    return TestPostgres::Get().Run(backend_.url(), script);
  };
  const auto changed = base::StatusIs(absl::StatusCode::kAborted, HasSubstr("changed while"));

  EXPECT_THAT(run(stage(0) + stage(1) + take_along + submit), changed);
  EXPECT_THAT(run(stage(0) + take_along + stage(1) + submit), changed);
  EXPECT_OK(run(take_along));
  EXPECT_OK(run(stage(0) + stage(1) + submit));
  EXPECT_EQ(Ledger(), "1");
}

TEST_F(PgLargePayloadTest, BytesThatWereDamagedInTheDatabaseAreFound) {
  const exchange::WorkUnit unit = backend_.Claim(ada_, run_);
  ASSERT_THAT(backend_.exchange().Submit(Submission(ada_, unit, Bytes(1'200'000))),
              base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
  ASSERT_OK(TestPostgres::Get().Run(backend_.url(),
                                    "UPDATE gannet.gradient_blob SET data = set_byte(data, 17, "
                                    "(get_byte(data, 17) + 1) % 256) WHERE seq = 3"));

  EXPECT_THAT(backend_.store().FetchGradient(run_, unit.unit),
              base::StatusIs(absl::StatusCode::kDataLoss));

  ASSERT_OK(
      TestPostgres::Get().Run(backend_.url(), "DELETE FROM gannet.gradient_blob WHERE seq = 3"));
  EXPECT_THAT(backend_.store().FetchGradient(run_, unit.unit),
              base::StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace gannet::store
