#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/clock.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/pg/migrator.h"
#include "libs/store/testing/test_postgres.h"

namespace gannet::pg {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kCreate[] = "CREATE TABLE s.t (x integer)";
constexpr char kInsert[] = "INSERT INTO s.t VALUES (1)";

class PgMigratorTest : public ::testing::Test {
 protected:
  ~PgMigratorTest() override {
    pool_.reset();
    store::TestPostgres::Get().DropDatabase(url_);
  }

  absl::StatusOr<std::vector<std::string>> Apply(std::vector<Migration> migrations) {
    absl::StatusOr<Migrator> migrator = Migrator::Create("s", std::move(migrations));
    if (!migrator.ok()) return migrator.status();
    return migrator->Apply(*pool_);
  }

  std::string Value(const std::string& sql) {
    const absl::StatusOr<SqlRows> rows = store::TestPostgres::Get().Query(url_, sql);
    if (!rows.ok()) return rows.status().ToString();
    return rows->empty() ? "" : rows->rows[0][0].value_or("null");
  }

  static std::unique_ptr<PgPool> MakePool(const std::string& url, base::Clock& clock,
                                          telemetry::Metrics& metrics) {
    PgConnectionOptions options;
    options.url = url;
    return std::make_unique<PgPool>(*MakeConnectionParams(options), BoundedPoolOptions{"test", 1},
                                    clock, metrics);
  }

  const std::string url_ = store::TestPostgres::Get().CreateEmptyDatabase();
  base::RealClock clock_;
  telemetry::Metrics metrics_;
  std::unique_ptr<PgPool> pool_ = MakePool(url_, clock_, metrics_);
};

TEST_F(PgMigratorTest, EveryScriptIsAppliedOnceInOrder) {
  const std::vector<Migration> migrations = {
      {"V0001__create_t.sql", kCreate}, {"V0002__insert.sql", kInsert}, {"R__more.sql", kInsert}};

  EXPECT_THAT(Apply(migrations), base::IsOkAndHolds(ElementsAre(
                                     "V0001__create_t.sql", "V0002__insert.sql", "R__more.sql")));
  EXPECT_THAT(Apply(migrations), base::IsOkAndHolds(IsEmpty()));
  EXPECT_EQ(Value("SELECT count(*) FROM s.t"), "2");
}

TEST_F(PgMigratorTest, ANewScriptIsAppliedToAnOldDatabase) {
  ASSERT_OK(Apply({{"V0001__create_t.sql", kCreate}}));

  EXPECT_THAT(Apply({{"V0001__create_t.sql", kCreate}, {"V0002__insert.sql", kInsert}}),
              base::IsOkAndHolds(ElementsAre("V0002__insert.sql")));
}

TEST_F(PgMigratorTest, ARepeatableScriptIsAppliedAgainWhenItsTextChanges) {
  ASSERT_OK(Apply(
      {{"R__f.sql", "CREATE OR REPLACE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1'"}}));

  EXPECT_THAT(Apply({{"R__f.sql",
                      "CREATE OR REPLACE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 2'"}}),
              base::IsOkAndHolds(ElementsAre("R__f.sql")));
  EXPECT_EQ(Value("SELECT s.f()"), "2");
}

constexpr char kFunctionF[] =
    "CREATE FUNCTION s.f(p_x int) RETURNS int LANGUAGE sql AS 'SELECT p_x'";
constexpr char kExpressionG[] = "CREATE FUNCTION s.g() RETURNS int LANGUAGE sql RETURN s.f(1)";

TEST_F(PgMigratorTest, AFunctionChangesItsSignatureWithoutAMigration) {
  ASSERT_OK(Apply({{"R__f.sql", kFunctionF}, {"R__g.sql", kExpressionG}}));

  // Other parameters, another name of one, and another result; g, which depends on f, is as it was.
  ASSERT_OK(Apply({{"R__f.sql",
                    "CREATE FUNCTION s.f(p_y int, p_z text DEFAULT 'z') RETURNS text LANGUAGE sql "
                    "AS 'SELECT p_y || p_z'"},
                   {"R__g.sql", "CREATE FUNCTION s.g() RETURNS text LANGUAGE sql RETURN s.f(1)"}}));

  EXPECT_EQ(Value("SELECT s.g()"), "1z");
  EXPECT_EQ(Value("SELECT count(*) FROM pg_proc WHERE pronamespace = 's'::regnamespace"), "2");
}

TEST_F(PgMigratorTest, AFunctionThatIsInNoScriptAnyMoreIsDropped) {
  ASSERT_OK(Apply({{"V0001__make_h.sql",
                    "CREATE FUNCTION s.h() RETURNS int LANGUAGE sql AS "
                    "'SELECT 1'"},
                   {"R__f.sql", kFunctionF},
                   {"R__g.sql", kExpressionG}}));

  EXPECT_THAT(Apply({{"V0001__make_h.sql",
                      "CREATE FUNCTION s.h() RETURNS int LANGUAGE sql AS "
                      "'SELECT 1'"},
                     {"R__f.sql", kFunctionF}}),
              base::IsOkAndHolds(ElementsAre("R__f.sql")));

  EXPECT_EQ(Value("SELECT string_agg(proname, ' ') FROM pg_proc "
                  "WHERE pronamespace = 's'::regnamespace"),
            "f");
  EXPECT_EQ(Value("SELECT string_agg(file_name, ' ' ORDER BY file_name) FROM s.schema_migration"),
            "R__f.sql V0001__make_h.sql");
}

TEST_F(PgMigratorTest, WhatOthersHaveBuiltOnAFunctionIsNotTakenFromThem) {
  ASSERT_OK(Apply({{"R__f.sql", kFunctionF}}));
  ASSERT_OK(
      store::TestPostgres::Get().Run(url_, "CREATE VIEW public.mine AS SELECT s.f(7) AS seven"));

  EXPECT_THAT(Apply({{"R__f.sql",
                      "CREATE FUNCTION s.f(p_x bigint) RETURNS int LANGUAGE sql AS 'SELECT 2'"}}),
              base::StatusIs(absl::StatusCode::kFailedPrecondition,
                             AllOf(HasSubstr("drop it, then repeat"), HasSubstr("view mine"))));

  EXPECT_EQ(Value("SELECT seven FROM public.mine"), "7");
}

TEST_F(PgMigratorTest, SomeScriptsAreRunEachTimeBeforeOrAfterTheOthers) {
  const std::vector<Migration> migrations = {
      {"A__count.sql", "INSERT INTO s.t SELECT count(*) FROM s.t"},
      {"B__make_schema.sql", "CREATE TABLE IF NOT EXISTS s.t (x integer)"},
      {"V0001__insert.sql", kInsert}};

  EXPECT_THAT(Apply(migrations), base::IsOkAndHolds(ElementsAre("V0001__insert.sql")));
  EXPECT_THAT(Apply(migrations), base::IsOkAndHolds(IsEmpty()));

  EXPECT_EQ(Value("SELECT string_agg(x::text, ' ' ORDER BY ctid) FROM s.t"), "1 1 2");
  EXPECT_EQ(Value("SELECT count(*) FROM s.schema_migration"), "1");
}

// A session may hold any number that it can name.
TEST_F(PgMigratorTest, NoAdvisoryLockHoldsItUp) {
  const std::unique_ptr<PgPool> other = MakePool(url_, clock_, metrics_);

  EXPECT_OK(other->RunInTransaction(
      "hold", SqlIsolation::kReadCommitted, [&](SqlTransaction& transaction) -> absl::Status {
        const absl::Status held =
            transaction.ExecuteScript("SELECT pg_advisory_xact_lock(4717253300182417021)");
        EXPECT_OK(Apply({{"V0001__create_t.sql", kCreate}}));
        return held;
      }));
}

TEST_F(PgMigratorTest, AnEditedScriptIsRefused) {
  ASSERT_OK(Apply({{"V0001__create_t.sql", kCreate}}));

  EXPECT_THAT(Apply({{"V0001__create_t.sql", "CREATE TABLE s.t (x bigint)"}}),
              base::StatusIs(absl::StatusCode::kFailedPrecondition,
                             AllOf(HasSubstr("edited"), HasSubstr("V0001__create_t.sql"))));
  EXPECT_THAT(Apply({{"V0001__create_table_t.sql", kCreate}}),
              base::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("edited")));
}

TEST_F(PgMigratorTest, ANewerDatabaseIsRefused) {
  ASSERT_OK(Apply({{"V0001__create_t.sql", kCreate}, {"V0002__insert.sql", kInsert}}));

  EXPECT_THAT(
      Apply({{"V0001__create_t.sql", kCreate}}),
      base::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("upgrade this binary")));
}

TEST_F(PgMigratorTest, AFailureLeavesTheDatabaseAsItWas) {
  EXPECT_THAT(Apply({{"V0001__create_t.sql", kCreate}, {"V0002__wrong.sql", "SELECT 1 / 0"}}),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("V0002__wrong.sql")));

  EXPECT_EQ(Value("SELECT to_regnamespace('s') IS NULL"), "t");
}

TEST_F(PgMigratorTest, TwoAtOnceDoNoHarm) {
  const std::vector<Migration> migrations = {{"V0001__create_t.sql", kCreate},
                                             {"V0002__insert.sql", kInsert}};
  ASSERT_OK_AND_ASSIGN(const Migrator migrator, Migrator::Create("s", migrations));
  const std::unique_ptr<PgPool> other = MakePool(url_, clock_, metrics_);

  std::thread rival([&] { EXPECT_OK(migrator.Apply(*other)); });
  EXPECT_OK(migrator.Apply(*pool_));
  rival.join();

  EXPECT_EQ(Value("SELECT count(*) FROM s.t"), "1");
}

}  // namespace
}  // namespace gannet::pg
