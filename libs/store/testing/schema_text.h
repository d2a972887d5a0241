#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace gannet::store {

// The schema of a migrated database as SQL to read: types, sequences, tables with their columns,
// constraints and comments, indexes, and functions by name, parameters and result. The same of
// every version of PostgreSQL, which pg_dump's is not, and of every database of a schema, however
// it came to it, but for the order of columns. Returns: as PgPool::Execute.
absl::StatusOr<std::string> SchemaText(const std::string& url);

}  // namespace gannet::store
