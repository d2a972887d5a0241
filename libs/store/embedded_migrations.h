#pragma once

#include <vector>

#include "libs/pg/migrator.h"

namespace gannet::store {

// The scripts of libs/store/migrations, compiled in, as they are in their files.
std::vector<pg::Migration> MigrationScripts();

// The same as they are run: with the constants that they name (sql_constants.h) filled in, so that
// a checksum is one of what the database has got. Numbered ones name none: what they once made
// stays, whatever becomes of a constant.
std::vector<pg::Migration> EmbeddedMigrations();

}  // namespace gannet::store
