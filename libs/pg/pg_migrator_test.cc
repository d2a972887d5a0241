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

namespace gannet {
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
    TestPostgres::Get().DropDatabase(url_);
  }

  absl::StatusOr<std::vector<std::string>> Apply(std::vector<Migration> migrations) {
    absl::StatusOr<Migrator> migrator = Migrator::Create("s", std::move(migrations));
    if (!migrator.ok()) return migrator.status();
    return migrator->Apply(*pool_);
  }

  std::string Value(const std::string& sql) {
    const absl::StatusOr<SqlRows> rows = TestPostgres::Get().Query(url_, sql);
    if (!rows.ok()) return rows.status().ToString();
    return rows->empty() ? "" : rows->rows[0][0].value_or("null");
  }

  static std::unique_ptr<PgPool> MakePool(const std::string& url, Clock& clock, Metrics& metrics) {
    PgConnectionOptions options;
    options.url = url;
    return std::make_unique<PgPool>(*MakeConnectionParams(options), BoundedPoolOptions{"test", 1},
                                    clock, metrics);
  }

  const std::string url_ = TestPostgres::Get().CreateEmptyDatabase();
  RealClock clock_;
  Metrics metrics_;
  std::unique_ptr<PgPool> pool_ = MakePool(url_, clock_, metrics_);
};

TEST_F(PgMigratorTest, EveryScriptIsAppliedOnceInOrder) {
  const std::vector<Migration> migrations = {
      {"V0001__create_t.sql", kCreate}, {"V0002__insert.sql", kInsert}, {"R__more.sql", kInsert}};

  EXPECT_THAT(Apply(migrations),
              IsOkAndHolds(ElementsAre("V0001__create_t.sql", "V0002__insert.sql", "R__more.sql")));
  EXPECT_THAT(Apply(migrations), IsOkAndHolds(IsEmpty()));
  EXPECT_EQ(Value("SELECT count(*) FROM s.t"), "2");
}

TEST_F(PgMigratorTest, ANewScriptIsAppliedToAnOldDatabase) {
  ASSERT_OK(Apply({{"V0001__create_t.sql", kCreate}}));

  EXPECT_THAT(Apply({{"V0001__create_t.sql", kCreate}, {"V0002__insert.sql", kInsert}}),
              IsOkAndHolds(ElementsAre("V0002__insert.sql")));
}

TEST_F(PgMigratorTest, ARepeatableScriptIsAppliedAgainWhenItsTextChanges) {
  ASSERT_OK(Apply(
      {{"R__f.sql", "CREATE OR REPLACE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1'"}}));

  EXPECT_THAT(Apply({{"R__f.sql",
                      "CREATE OR REPLACE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 2'"}}),
              IsOkAndHolds(ElementsAre("R__f.sql")));
  EXPECT_EQ(Value("SELECT s.f()"), "2");
}

TEST_F(PgMigratorTest, SomeScriptsAreRunEachTimeBeforeOrAfterTheOthers) {
  const std::vector<Migration> migrations = {
      {"A__count.sql", "INSERT INTO s.t SELECT count(*) FROM s.t"},
      {"B__make_schema.sql", "CREATE TABLE IF NOT EXISTS s.t (x integer)"},
      {"V0001__insert.sql", kInsert}};

  EXPECT_THAT(Apply(migrations), IsOkAndHolds(ElementsAre("V0001__insert.sql")));
  EXPECT_THAT(Apply(migrations), IsOkAndHolds(IsEmpty()));

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
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("edited"), HasSubstr("V0001__create_t.sql"))));
  EXPECT_THAT(Apply({{"V0001__create_table_t.sql", kCreate}}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("edited")));
}

TEST_F(PgMigratorTest, ANewerDatabaseIsRefused) {
  ASSERT_OK(Apply({{"V0001__create_t.sql", kCreate}, {"V0002__insert.sql", kInsert}}));

  EXPECT_THAT(Apply({{"V0001__create_t.sql", kCreate}}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("upgrade this binary")));
}

TEST_F(PgMigratorTest, AFailureLeavesTheDatabaseAsItWas) {
  EXPECT_THAT(Apply({{"V0001__create_t.sql", kCreate}, {"V0002__wrong.sql", "SELECT 1 / 0"}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("V0002__wrong.sql")));

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
}  // namespace gannet
