#include "libs/pg/migrator.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/sha256.h"
#include "libs/base/status_macros.h"

namespace gannet::pg {
namespace {

// A script that waits longer than this waits for somebody who does not let go.
constexpr char kLimitWaiting[] = "SET LOCAL lock_timeout = '30s'";

// The number of "Vnnnn__….sql", 0 for "R__….sql", "A__….sql" and "B__….sql", -1 for anything else.
int VersionOf(const std::string& file_name) {
  if (!absl::EndsWith(file_name, ".sql")) return -1;
  for (const char* prefix : {"R__", "A__", "B__"}) {
    if (absl::StartsWith(file_name, prefix)) return 0;
  }
  int version = 0;
  if (file_name.size() < 7 || file_name[0] != 'V' || file_name.substr(5, 2) != "__" ||
      !absl::SimpleAtoi(file_name.substr(1, 4), &version) || version < 1) {
    return -1;
  }
  return version;
}

// What has been applied.
struct Recorded {
  std::map<std::string, std::string> checksums;   // by file name
  std::map<std::string, std::string> repeatable;  // of those, what has no version
  std::map<int, std::string> versions;            // file names
};

absl::StatusOr<Recorded> ReadRecorded(SqlTransaction& transaction, const std::string& schema) {
  const std::string select =
      absl::StrCat("SELECT file_name, version, sha256 FROM ", schema, ".schema_migration");
  GANNET_ASSIGN_OR_RETURN(
      const SqlRows rows,
      transaction.Execute({"read_schema_migrations", select.c_str(), true}, SqlParams()));
  Recorded recorded;
  for (size_t i = 0; i < rows.size(); ++i) {
    SqlRow row(rows, i);
    const std::string file_name = row.Text("file_name");
    const std::string checksum = row.Text("sha256");
    recorded.checksums[file_name] = checksum;
    if (row.IsNull("version")) {
      recorded.repeatable[file_name] = checksum;
    } else {
      recorded.versions[static_cast<int>(row.Int("version"))] = file_name;
    }
    GANNET_RETURN_IF_ERROR(row.status());
  }
  return recorded;
}

absl::Status ExecuteMigration(SqlTransaction& transaction, const Migration& migration) {
  absl::Status status = transaction.ExecuteScript(migration.sql);
  if (status.ok()) return status;
  return absl::Status(
      status.code(),
      absl::StrCat("migration ", migration.file_name,
                   " failed, nothing was changed: ", status.message(),
                   absl::IsUnavailable(status)
                       ? "; stop the services and end the sessions of workers (pg_stat_activity "
                         "shows them), then repeat"
                       : ""));
}

}  // namespace

absl::StatusOr<Migrator> Migrator::Create(std::string schema, std::vector<Migration> migrations) {
  std::sort(migrations.begin(), migrations.end(),
            [](const Migration& a, const Migration& b) { return a.file_name < b.file_name; });
  Migrator migrator(std::move(schema));
  for (Migration& migration : migrations) {
    const int version = VersionOf(migration.file_name);
    if (version == 0) {
      const char kind = migration.file_name[0];
      (kind == 'R'   ? migrator.repeatable_
       : kind == 'B' ? migrator.before_
                     : migrator.after_)
          .push_back(std::move(migration));
    } else if (version == migrator.version() + 1) {
      migrator.numbered_.push_back(std::move(migration));
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("a migration is named Vnnnn__verb_noun.sql, without a gap, or R__noun.sql, "
                       "B__verb_noun.sql, A__verb_noun.sql: "
                       "expected version ",
                       migrator.version() + 1, ", got ", migration.file_name));
    }
  }
  return migrator;
}

absl::StatusOr<std::vector<std::string>> Migrator::Apply(PgPool& pool) const {
  std::vector<std::string> applied;
  absl::Status status;
  for (int i = 0; i < PgPool::kMaxReruns; ++i) {
    bool is_begun = false;
    status = pool.RunInTransaction("migrate", SqlIsolation::kReadCommitted,
                                   [&](SqlTransaction& transaction) {
                                     applied.clear();
                                     is_begun = false;
                                     GANNET_RETURN_IF_ERROR(Begin(transaction));
                                     is_begun = true;
                                     return ApplyIn(transaction, applied);
                                   });
    // Two that make the schema at once: IF NOT EXISTS does not see what the other has not
    // committed.
    if (is_begun || status.code() != absl::StatusCode::kAlreadyExists) break;
  }
  if (!status.ok()) return status;
  return applied;
}

absl::Status Migrator::Begin(SqlTransaction& transaction) const {
  GANNET_RETURN_IF_ERROR(transaction.ExecuteScript("SET LOCAL statement_timeout = 0"));
  GANNET_RETURN_IF_ERROR(transaction.ExecuteScript(absl::StrCat(
      "CREATE SCHEMA IF NOT EXISTS ", schema_, "; CREATE TABLE IF NOT EXISTS ", schema_,
      ".schema_migration (file_name text PRIMARY KEY, version integer UNIQUE, sha256 text NOT NULL,"
      " applied_at timestamptz NOT NULL DEFAULT now())")));
  // Whoever has no rights on the table cannot hold it. Readers are not in the way.
  GANNET_RETURN_IF_ERROR(transaction.ExecuteScript(
      absl::StrCat("LOCK TABLE ", schema_, ".schema_migration IN SHARE ROW EXCLUSIVE MODE")));
  return transaction.ExecuteScript(kLimitWaiting);
}

absl::Status Migrator::ApplyIn(SqlTransaction& transaction,
                               std::vector<std::string>& applied) const {
  GANNET_ASSIGN_OR_RETURN(Recorded recorded, ReadRecorded(transaction, schema_));
  if (!recorded.versions.empty() && recorded.versions.rbegin()->first > version()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the database is newer than this binary, upgrade this binary: expected schema "
                     "version ",
                     version(), " at most, got ", recorded.versions.rbegin()->first));
  }

  const std::string insert =
      absl::StrCat("INSERT INTO ", schema_,
                   ".schema_migration (file_name, version, sha256) VALUES ($1, $2::integer, $3) "
                   "ON CONFLICT (file_name) DO UPDATE SET sha256 = excluded.sha256, "
                   "applied_at = excluded.applied_at");
  const auto run = [&](const Migration& migration, int migration_version) -> absl::Status {
    GANNET_RETURN_IF_ERROR(ExecuteMigration(transaction, migration));
    SqlParams params;
    params.Text(migration.file_name);
    migration_version == 0 ? params.Null() : params.Int(migration_version);
    params.Text(base::Sha256Hex(migration.sql));
    applied.push_back(migration.file_name);
    return transaction.Execute({"record_schema_migration", insert.c_str()}, params).status();
  };

  for (const Migration& migration : before_)
    GANNET_RETURN_IF_ERROR(ExecuteMigration(transaction, migration));
  for (int v = 1; v <= version(); ++v) {
    const Migration& migration = numbered_[static_cast<size_t>(v) - 1];
    const auto known = recorded.versions.find(v);
    if (known == recorded.versions.end()) {
      GANNET_RETURN_IF_ERROR(run(migration, v));
    } else if (known->second != migration.file_name ||
               recorded.checksums[known->second] != base::Sha256Hex(migration.sql)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "a migration was edited after it was applied, restore it and add a new one instead: ",
          migration.file_name, ", applied as ", known->second));
    }
  }
  std::map<std::string, std::string> known_repeatable;
  for (const Migration& migration : repeatable_) {
    known_repeatable[migration.file_name] = base::Sha256Hex(migration.sql);
  }
  if (recorded.repeatable != known_repeatable) {
    GANNET_RETURN_IF_ERROR(DropFunctions(transaction));
    for (const Migration& migration : repeatable_) GANNET_RETURN_IF_ERROR(run(migration, 0));
  }
  for (const Migration& migration : after_)
    GANNET_RETURN_IF_ERROR(ExecuteMigration(transaction, migration));
  return absl::OkStatus();
}

absl::Status Migrator::DropFunctions(SqlTransaction& transaction) const {
  // All with one statement, since they may depend on each other. Those of an extension are its own.
  return transaction.ExecuteScript(absl::StrFormat(R"sql(
DO $drop$
DECLARE
  v_routines text;
  v_detail text;
BEGIN
  SELECT string_agg(p.oid::regprocedure::text, ', ') INTO v_routines
    FROM pg_catalog.pg_proc p
   WHERE p.pronamespace = '%s'::regnamespace
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                      WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid
                        AND d.deptype = 'e');
  IF v_routines IS NOT NULL THEN
    EXECUTE 'DROP ROUTINE ' || v_routines;
  END IF;
EXCEPTION WHEN dependent_objects_still_exist THEN
  GET STACKED DIAGNOSTICS v_detail = PG_EXCEPTION_DETAIL;
  RAISE EXCEPTION 'something of yours is built on the functions of the older version, which cannot be dropped now; nothing was changed: drop it, then repeat: %%',
    v_detail USING ERRCODE = 'GN009';
END
$drop$;
DELETE FROM %s.schema_migration WHERE version IS NULL)sql",
                                                   schema_, schema_));
}

}  // namespace gannet::pg
