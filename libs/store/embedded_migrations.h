#pragma once

#include <vector>

#include "libs/pg/migrator.h"

namespace gannet {

// The scripts of libs/store/migrations, compiled in.
std::vector<Migration> EmbeddedMigrations();

}  // namespace gannet
