#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/pg/pg_pool.h"

namespace gannet::pg {

// One SQL script. Its file name decides what it is:
//   Vnnnn__verb_noun.sql   run once, in order of the number, never edited after it has landed;
//   R__noun.sql            the functions of the schema. When the text of any of them has
//                          changed, or one has come or gone, every function is dropped and all of
//                          these scripts are run again, after the numbered ones, by name: so a
//                          function may change its parameters or result, or end, without a
//                          migration;
//   B__verb_noun.sql       run each time, before all others, by name, and recorded nowhere: for
//                          what a backup of the database does not hold, such as roles;
//   A__verb_noun.sql       the same, after all others.
struct Migration {
  std::string file_name;
  std::string sql;
};

// What a database holds against what this binary knows.
//
// Everything is recorded in SCHEMA.schema_migration: file name, version (null for R__), SHA-256 of
// the text, time.
class Migrator {
 public:
  // `schema` is created when it does not exist.
  // Returns: INVALID_ARGUMENT - a file name of neither form, or versions that are not 1, 2, 3, …
  static absl::StatusOr<Migrator> Create(std::string schema, std::vector<Migration> migrations);

  // The version this binary knows.
  int version() const { return static_cast<int>(numbered_.size()); }

  // Brings the database to version(), all in one transaction that holds SCHEMA.schema_migration
  // against every other one, so that a failure leaves it as it was and two at once do no harm.
  // Returns what was applied, in order, but for the scripts that are run each time.
  // Returns: FAILED_PRECONDITION - the database is newer than this binary, a numbered migration was
  // edited after it was applied, or something that is not ours (a view of an administrator) depends
  // on a function; UNAVAILABLE - somebody held a lock that a script needs for too
  // long; whatever else a script fails with, naming it.
  absl::StatusOr<std::vector<std::string>> Apply(PgPool& pool) const;

 private:
  explicit Migrator(std::string schema) : schema_(std::move(schema)) {}

  absl::Status Begin(SqlTransaction& transaction) const;
  absl::Status ApplyIn(SqlTransaction& transaction, std::vector<std::string>& applied) const;
  absl::Status DropFunctions(SqlTransaction& transaction) const;

  std::string schema_;
  std::vector<Migration> numbered_;  // version 1 first
  std::vector<Migration> repeatable_;
  std::vector<Migration> before_;
  std::vector<Migration> after_;
};

}  // namespace gannet::pg
