#include "libs/store/embedded_migrations.h"

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "libs/base/check.h"
#include "libs/store/sql_constants.h"

namespace gannet::store {

std::vector<pg::Migration> EmbeddedMigrations() {
  std::vector<pg::Migration> migrations = MigrationScripts();
  for (pg::Migration& migration : migrations) {
    if (migration.file_name[0] == 'V') continue;
    absl::StatusOr<std::string> filled = FillSqlConstants(migration.sql);
    GANNET_CHECK(filled.ok());
    migration.sql = *std::move(filled);
  }
  return migrations;
}

}  // namespace gannet::store
