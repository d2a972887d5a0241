#include "libs/pg/migrator.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::pg {
namespace {

using ::testing::HasSubstr;

TEST(MigratorTest, TheVersionIsThatOfTheLastNumberedScript) {
  EXPECT_THAT(Migrator::Create("s", {})->version(), 0);
  ASSERT_OK_AND_ASSIGN(const Migrator migrator,
                       Migrator::Create("s", {{"R__functions.sql", ""},
                                              {"V0002__add_table.sql", ""},
                                              {"V0001__create_schema.sql", ""}}));
  EXPECT_EQ(migrator.version(), 2);
}

TEST(MigratorTest, FileNamesOfNeitherFormAreRefused) {
  for (const char* name : {"V1__x.sql", "V0001_x.sql", "v0001__x.sql", "V0000__x.sql", "V0001__x",
                           "functions.sql", "", "V0001__"}) {
    EXPECT_THAT(Migrator::Create("s", {{name, ""}}),
                base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(name)));
  }
}

TEST(MigratorTest, AGapOrADuplicateIsRefused) {
  EXPECT_THAT(Migrator::Create("s", {{"V0002__x.sql", ""}}),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("expected version 1")));
  EXPECT_THAT(Migrator::Create("s", {{"V0001__x.sql", ""}, {"V0001__y.sql", ""}}),
              base::StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace gannet::pg
