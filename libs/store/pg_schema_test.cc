// docs/schema.sql is what the migrations make, all in one place, for people to read.
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/store/testing/schema_text.h"
#include "libs/store/testing/test_postgres.h"

namespace gannet::store {
namespace {

constexpr char kPath[] = GANNET_SOURCE_DIR "/docs/schema.sql";

class PgSchemaTest : public ::testing::Test {
 protected:
  ~PgSchemaTest() override { TestPostgres::Get().DropDatabase(url_); }

  const std::string url_ = TestPostgres::Get().CreateDatabase();
};

TEST_F(PgSchemaTest, TheDocumentIsTheSchemaOfToday) {
  ASSERT_OK_AND_ASSIGN(const std::string schema, SchemaText(url_));
  if (std::getenv("GANNET_UPDATE_SCHEMA") != nullptr) std::ofstream(kPath) << schema;

  std::ifstream file(kPath);
  std::stringstream document;
  document << file.rdbuf();

  EXPECT_EQ(document.str(), schema)
      << "write it anew: GANNET_UPDATE_SCHEMA=1 ./run test -R store_pg_schema_test";
}

TEST_F(PgSchemaTest, EveryTableSaysWhatItIsFor) {
  ASSERT_OK_AND_ASSIGN(
      const pg::SqlRows tables,
      TestPostgres::Get().Query(
          url_,
          "SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'gannet'::regnamespace AND "
          "c.relkind IN ('r', 'p') AND NOT c.relispartition "
          "AND obj_description(c.oid, 'pg_class') IS NULL"));

  for (const auto& row : tables.rows) {
    ADD_FAILURE() << "say it in A__describe_tables.sql: " << row[0].value_or("");
  }
}

// The leaves of a run are its own: they are made and dropped with it.
TEST_F(PgSchemaTest, ARunChangesNothing) {
  ASSERT_OK_AND_ASSIGN(const std::string before, SchemaText(url_));
  ASSERT_OK(TestPostgres::Get().Run(
      url_,
      "SELECT gannet.create_blob_ring('gradient_blob', 1, 'round', 8, 'unit_id, attempt, "
      "seq')"));

  EXPECT_THAT(SchemaText(url_), base::IsOkAndHolds(before));
}

}  // namespace
}  // namespace gannet::store
