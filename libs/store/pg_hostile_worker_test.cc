// What a worker in direct mode may do with the SQL functions by itself, past every check of our own
// programs.
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/clock.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/base/training_choices.h"
#include "libs/domain/model_layout.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/exchange/validation.h"
#include "libs/pg/connection_params.h"
#include "libs/store/testing/pg_fixture.h"
#include "libs/store/testing/test_postgres.h"
#include "libs/tensor/codec.h"
#include "libs/tensor/safetensors.h"

namespace gannet::store {
namespace {

using ::testing::HasSubstr;

constexpr char kNullIdentity[] = "NULL, NULL";

class PgHostileWorkerTest : public testing::Test {
 protected:
  PgHostileWorkerTest() {
    run_ = *backend_.store().CreateRun(exchange::TestNewRun(config_));
    leadership_ =
        *backend_.store().AcquireLeadership(run_, exchange::TestLeader(1), absl::Hours(1));
    worker_ = exchange::TestWorker(1);
    EXPECT_OK(backend_.exchange().Join(exchange::TestJoin(worker_, config_)));
    unit_ = backend_.Claim(worker_, run_);
    pg::PgConnectionOptions connection;
    connection.url = backend_.url();
    const absl::StatusOr<pg::PgConnectionParams> params = pg::MakeConnectionParams(connection);
    pg::BoundedPoolOptions options;
    options.name = "hostile";
    options.size = 1;
    pool_ = std::make_unique<pg::PgPool>(*params, options, clock_, metrics_);
  }

  std::string Quoted(const std::string& text) { return absl::StrCat("'", text, "'"); }

  // "'ID', 'SECRET', INCARNATION" of the victim.
  std::string Identity() {
    return absl::StrCat(Quoted(worker_.id.value()), ", ", Quoted(worker_.secret), ", ",
                        worker_.incarnation.value());
  }

  // The same worker, but neither its secret nor its incarnation.
  std::string Impostor() { return absl::StrCat(Quoted(worker_.id.value()), ", ", kNullIdentity); }

  absl::Status Call(const std::string& sql) {
    const std::string name = absl::StrCat("call_", ++calls_);
    return pool_->Execute({name.c_str(), sql.c_str()}, pg::SqlParams()).status();
  }

  // The first value of the answer, for the superuser.
  std::string Value(const std::string& sql) {
    const absl::StatusOr<pg::SqlRows> rows = TestPostgres::Get().Query(backend_.url(), sql);
    if (!rows.ok()) return rows.status().ToString();
    return rows->empty() ? "" : rows->rows[0][0].value_or("null");
  }

  // gannet.submit_gradient with one of its arguments replaced. Arguments as in the function.
  absl::Status Submit(const std::string& name, const std::string& value) {
    std::string sql =
        "SELECT gannet.submit_gradient({identity}, {run}, {unit}, {attempt}, "
        "jsonb_build_object('image_count', {images}, 'micro_batch_count', {batches}, "
        "'discriminator_loss', {loss}, 'generator_loss', 0.7, 'real_accuracy', {real}, "
        "'fake_accuracy', {fake}, 'compute_seconds', {seconds}, 'codec', {codec}, "
        "'payload_bytes', {size}), {sha}, {seq}, {bytes})";
    for (const auto& [key, ordinary] : std::vector<std::pair<std::string, std::string>>{
             {"identity", Identity()},
             {"run", absl::StrCat(run_.value())},
             {"unit", absl::StrCat(unit_.unit.value())},
             {"attempt", absl::StrCat(unit_.attempt.value())},
             {"images", absl::StrCat(config_.images_per_unit)},
             {"batches", absl::StrCat(config_.images_per_unit / config_.micro_batch)},
             {"loss", "0.7"},
             {"real", "0.5"},
             {"fake", "0.5"},
             {"seconds", "1"},
             {"codec", "1"},
             {"sha", "sha256('abc')"},
             {"size", "3"},
             {"seq", "0"},
             {"bytes", "'abc'"}}) {
      sql =
          absl::StrReplaceAll(sql, {{absl::StrCat("{", key, "}"), key == name ? value : ordinary}});
    }
    return Call(sql);
  }

  base::RealClock clock_;
  telemetry::Metrics metrics_;
  PgFixture backend_;
  domain::RunConfig config_ = exchange::TinyRunConfig();
  base::RunId run_;
  exchange::Leadership leadership_;
  exchange::WorkerIdentity worker_;
  exchange::WorkUnit unit_;
  std::unique_ptr<pg::PgPool> pool_;
  int calls_ = 0;
};

TEST_F(PgHostileWorkerTest, NamesThatAreMadeUpEndAtALimitAndWhoIsKnownComesAgain) {
  const std::string rest = absl::StrCat(
      "INSERT INTO gannet.worker (run_id, worker_id, secret_sha256, incarnation, display_name, "
      "hardware, last_seen) SELECT ",
      run_.value(), ", 'f' || lpad(to_hex(n), 31, '0'), sha256('x'), 1, 'x', 'x', now() ",
      "FROM generate_series(1, ", exchange::kMaxWorkersOfRun - 2, ") AS n");
  ASSERT_OK(TestPostgres::Get().Query(backend_.url(), rest));
  ASSERT_OK(backend_.exchange().Join(exchange::TestJoin(exchange::TestWorker(2), config_)))
      << "the last one";

  EXPECT_THAT(backend_.exchange().Join(exchange::TestJoin(exchange::TestWorker(3), config_)),
              base::StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("10000")));

  EXPECT_OK(backend_.exchange().Join(exchange::TestJoin(exchange::TestWorker(2, 2), config_)));
  EXPECT_EQ(Value("SELECT count(*) FROM gannet.worker"), absl::StrCat(exchange::kMaxWorkersOfRun));
}

TEST_F(PgHostileWorkerTest, NobodyActsForAnotherWorkerByLeavingTheSecretOut) {
  const std::string run = absl::StrCat(run_.value());
  const std::string unit = absl::StrCat(unit_.unit.value());
  for (const std::string& call : std::vector<std::string>{
           absl::StrCat("leave_run(", Impostor(), ", ", run, ")"),
           absl::StrCat("describe_run(", Impostor(), ", ", run, ")"),
           absl::StrCat("release_unit(", Impostor(), ", ", run, ", ", unit, ", 1)"),
           absl::StrCat("fail_unit(", Impostor(), ", ", run, ", ", unit, ", 1, 'x')"),
           absl::StrCat("heartbeat(", Impostor(), ", ", run, ", '{}', '{}', '{}')"),
           absl::StrCat("claim_unit(", Impostor(), ", ", run, ", repeat('a', 32))"),
           absl::StrCat("open_weights(", Impostor(), ", ", run, ", 0, '')"),
           absl::StrCat("check_submission(", Impostor(), ", ", run, ", ", unit,
                        ", 1, 4, 2, sha256('abc'))"),
           absl::StrCat("stage_gradient(", Impostor(), ", ", run, ", ", unit, ", 1, 0, 'abc')"),
           absl::StrCat("join_run(", Impostor(),
                        ", '{\"run_name\": \"\", \"display_name\": \"x\", "
                        "\"hardware\": \"x\"}')")}) {
    EXPECT_THAT(Call(absl::StrCat("SELECT gannet.", call)),
                base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("secret")))
        << call;
  }
  EXPECT_THAT(Submit("identity", Impostor()), base::StatusIs(absl::StatusCode::kInvalidArgument));

  const exchange::RunDump dump = backend_.Dump(run_);
  EXPECT_EQ(dump.units.front().state, domain::UnitState::kLeased);
  EXPECT_EQ(dump.units.front().failures, 0);
}

TEST_F(PgHostileWorkerTest, ASubmissionThatContradictsItselfIsRefused) {
  for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
           {"images", "NULL"},      {"images", "1"},        {"batches", "NULL"},
           {"attempt", "NULL"},     {"attempt", "0"},       {"codec", "NULL"},
           {"codec", "9"},          {"sha", "NULL"},        {"sha", "'abc'"},
           {"size", "NULL"},        {"size", "5000000000"}, {"size", "2"},
           {"seq", "NULL"},         {"seq", "-1"},          {"seq", "1"},
           {"bytes", "NULL"},       {"bytes", "''"},        {"loss", "'NaN'"},
           {"loss", "'-Infinity'"}, {"loss", "NULL"},       {"loss", "1e308"},
           {"loss", "-10000.1"},    {"real", "1.01"},       {"real", "-5e-324"},
           {"fake", "-1"},          {"fake", "'NaN'"},      {"seconds", "-1"},
           {"seconds", "604801"},   {"seconds", "NULL"},    {"codec", "2"}}) {
    EXPECT_THAT(Submit(name, value), base::StatusIs(absl::StatusCode::kInvalidArgument))
        << name << " = " << value;
  }
  for (const char* object :
       {"NULL", "'null'", "'[]'", "'7'", "'{}'", R"('{"image_count": "four"}')",
        R"('{"image_count": [4]}')", R"('{"payload_bytes": 1e30}')", R"('{"codec": 1.5}')"}) {
    EXPECT_THAT(Call(absl::StrCat("SELECT gannet.submit_gradient(", Identity(), ", ", run_.value(),
                                  ", ", unit_.unit.value(), ", ", unit_.attempt.value(), ", ",
                                  object, "::jsonb, sha256('abc'), 0, 'abc')")),
                base::StatusIs(absl::StatusCode::kInvalidArgument))
        << object;
    EXPECT_THAT(Call(absl::StrCat("SELECT gannet.join_run(", Identity(), ", ", object, "::jsonb)")),
                base::StatusIs(absl::StatusCode::kInvalidArgument))
        << object;
  }
  EXPECT_OK(Submit("attempt", "7"));  // superseded: nobody has claimed so often
  EXPECT_EQ(backend_.Dump(run_).units.front().state, domain::UnitState::kLeased);
  EXPECT_THAT(Submit("unit", "NULL"), base::StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(PgHostileWorkerTest, BytesThatAreNotThoseOfTheChecksumAreSeenByWhoeverReadsThem) {
  ASSERT_OK(Submit("sha", "sha256('other')"));

  EXPECT_THAT(backend_.store().FetchGradient(run_, unit_.unit),
              base::StatusIs(absl::StatusCode::kDataLoss));
  ASSERT_OK(backend_.store().RejectGradient(run_, leadership_, unit_.unit, "damaged"));
  EXPECT_EQ(backend_.Dump(run_).units.front().state, domain::UnitState::kReady);
}

TEST_F(PgHostileWorkerTest, TextsForPeopleAreShortAndPlain) {
  const std::string fail = absl::StrCat("SELECT gannet.fail_unit(", Identity(), ", ", run_.value(),
                                        ", ", unit_.unit.value(), ", 1, ");
  for (const char* reason : {"repeat('x', 501)", "E'a\\nb'", "NULL", "U&'Ada\\202E'",
                             "U&'\\FEFFAda'", "U&'a\\2028b'", "U&'\\0301a'"}) {
    EXPECT_THAT(Call(absl::StrCat(fail, reason, ")")),
                base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("reason")));
  }
  EXPECT_THAT(Call(absl::StrCat("SELECT gannet.join_run(", Identity(),
                                ", jsonb_build_object('run_name', '', 'display_name', "
                                "repeat('x', 65), 'hardware', 'x'))")),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("display_name")));
}

TEST_F(PgHostileWorkerTest, AGradientHasTheSizeOfTheRunsAndNoMore) {
  const auto stage = [&](const std::string& seq, const std::string& bytes) {
    return Call(absl::StrCat("SELECT gannet.stage_gradient(", Identity(), ", ", run_.value(), ", ",
                             unit_.unit.value(), ", 1, ", seq, ", ", bytes, ")"));
  };
  const auto refused =
      base::StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("a gradient of this run has"));
  const std::string max = Value("SELECT gradient_bytes_max FROM gannet.run");
  int64_t bytes_max = 0;
  ASSERT_TRUE(absl::SimpleAtoi(max, &bytes_max)) << max;
  EXPECT_GT(bytes_max, exchange::TestGradient(config_, 1).bytes->size());
  // The tensors of the model in each codec, and a header.
  for (const int codec : base::kCodecNumbers) {
    domain::RunConfig config = config_;
    config.name = absl::StrCat("codec", codec);
    config.gradient_codec = codec;
    ASSERT_OK(backend_.store().CreateRun(exchange::TestNewRun(config)));
    EXPECT_EQ(Value(absl::StrCat("SELECT gradient_bytes_max FROM gannet.run WHERE name = '",
                                 config.name, "'")),
              absl::StrCat(EncodedDataBytes(domain::GradientSpec(config.model),
                                            static_cast<tensor::Codec>(codec)) +
                           int64_t{tensor::kMaxSafetensorsHeaderBytes}));
  }

  EXPECT_THAT(stage("0", "convert_to(repeat('x', 8000000), 'UTF8')"), refused);
  EXPECT_THAT(stage("134000", "'abc'"), refused);
  EXPECT_THAT(stage("-1", "'abc'"), refused);
  EXPECT_THAT(stage("NULL", "'abc'"), refused);
  EXPECT_OK(stage("0", "convert_to(repeat('x', 8000), 'UTF8')"));
  EXPECT_EQ(Value("SELECT count(*) FROM gannet.gradient_blob"), "1");
}

TEST_F(PgHostileWorkerTest, WhatWasStagedAndNotHandedInGoesWithTheNextClaim) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(Call(absl::StrCat("SELECT gannet.stage_gradient(", Identity(), ", ", run_.value(),
                                ", ", unit_.unit.value(), ", ", unit_.attempt.value(),
                                ", 0, convert_to(repeat('x', 80000), 'UTF8'))")));
    ASSERT_EQ(Value("SELECT count(*) FROM gannet.gradient_blob"), "10");
    ASSERT_OK(backend_.exchange().Release(worker_, run_, unit_.unit, unit_.attempt));
    const base::UnitId before = unit_.unit;
    unit_ = backend_.Claim(worker_, run_);
    ASSERT_EQ(unit_.unit, before);

    EXPECT_EQ(Value("SELECT count(*) FROM gannet.gradient_blob"), "0");
  }
}

TEST_F(PgHostileWorkerTest, NoUnitIsNotEveryUnit) {
  EXPECT_OK(Call(absl::StrCat("SELECT gannet.release_unit(", Identity(), ", ", run_.value(),
                              ", NULL, NULL)")));

  EXPECT_EQ(backend_.Dump(run_).units.front().state, domain::UnitState::kLeased);
}

TEST_F(PgHostileWorkerTest, ProgressIsThreeListsOfOneLength) {
  for (const char* lists : {"NULL, NULL, NULL", "'{1,2}', '{1}', '{0}'",
                            "array_fill(1::bigint, '{65}'), array_fill(1, '{65}'), "
                            "array_fill(1, '{65}')"}) {
    EXPECT_THAT(Call(absl::StrCat("SELECT gannet.heartbeat(", Identity(), ", ", run_.value(), ", ",
                                  lists, ")")),
                base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("progress")))
        << lists;
  }
}

}  // namespace
}  // namespace gannet::store
