#include "libs/pg/migrator.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/sha256.h"
#include "libs/base/status_macros.h"

namespace gannet {
namespace {

// Any fixed number; nobody else takes it.
constexpr char kLock[] = "SELECT pg_advisory_xact_lock(4717253300182417021)";

// The number of "Vnnnn__….sql", 0 for "R__….sql", -1 for anything else.
int VersionOf(const std::string& file_name) {
  if (!absl::EndsWith(file_name, ".sql")) return -1;
  if (absl::StartsWith(file_name, "R__")) return 0;
  int version = 0;
  if (file_name.size() < 7 || file_name[0] != 'V' || file_name.substr(5, 2) != "__" ||
      !absl::SimpleAtoi(file_name.substr(1, 4), &version) || version < 1) {
    return -1;
  }
  return version;
}

}  // namespace

absl::StatusOr<Migrator> Migrator::Create(std::string schema, std::vector<Migration> migrations) {
  std::sort(migrations.begin(), migrations.end(),
            [](const Migration& a, const Migration& b) { return a.file_name < b.file_name; });
  std::vector<Migration> numbered;
  std::vector<Migration> repeatable;
  for (Migration& migration : migrations) {
    const int version = VersionOf(migration.file_name);
    if (version == 0) {
      repeatable.push_back(std::move(migration));
    } else if (version == static_cast<int>(numbered.size()) + 1) {
      numbered.push_back(std::move(migration));
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("a migration is named Vnnnn__verb_noun.sql, without a gap, or R__noun.sql: "
                       "expected version ",
                       numbered.size() + 1, ", got ", migration.file_name));
    }
  }
  return Migrator(std::move(schema), std::move(numbered), std::move(repeatable));
}

absl::StatusOr<std::vector<std::string>> Migrator::Apply(PgPool& pool) const {
  std::vector<std::string> applied;
  const absl::Status status = pool.RunInTransaction("migrate", SqlIsolation::kReadCommitted,
                                                    [&](SqlTransaction& transaction) {
                                                      applied.clear();
                                                      return ApplyIn(transaction, applied);
                                                    });
  if (!status.ok()) return status;
  return applied;
}

absl::Status Migrator::ApplyIn(SqlTransaction& transaction,
                               std::vector<std::string>& applied) const {
  GANNET_RETURN_IF_ERROR(transaction.ExecuteScript("SET LOCAL statement_timeout = 0"));
  GANNET_RETURN_IF_ERROR(transaction.ExecuteScript(kLock));
  GANNET_RETURN_IF_ERROR(transaction.ExecuteScript(absl::StrCat(
      "CREATE SCHEMA IF NOT EXISTS ", schema_, "; CREATE TABLE IF NOT EXISTS ", schema_,
      ".schema_migration (file_name text PRIMARY KEY, version integer UNIQUE, sha256 text NOT NULL,"
      " applied_at timestamptz NOT NULL DEFAULT now())")));

  const std::string select =
      absl::StrCat("SELECT file_name, version, sha256 FROM ", schema_, ".schema_migration");
  GANNET_ASSIGN_OR_RETURN(
      const SqlRows rows,
      transaction.Execute({"read_schema_migrations", select.c_str(), true}, SqlParams()));
  std::map<std::string, std::string> recorded;  // file name -> checksum
  std::map<int, std::string> recorded_versions;
  for (size_t i = 0; i < rows.size(); ++i) {
    SqlRow row(rows, i);
    const std::string file_name = row.Text("file_name");
    recorded[file_name] = row.Text("sha256");
    if (!row.IsNull("version")) {
      recorded_versions[static_cast<int>(row.Int("version"))] = file_name;
    }
    GANNET_RETURN_IF_ERROR(row.status());
  }
  if (!recorded_versions.empty() && recorded_versions.rbegin()->first > version()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the database is newer than this binary, upgrade this binary: expected schema "
                     "version ",
                     version(), " at most, got ", recorded_versions.rbegin()->first));
  }

  const std::string insert =
      absl::StrCat("INSERT INTO ", schema_,
                   ".schema_migration (file_name, version, sha256) VALUES ($1, $2::integer, $3) "
                   "ON CONFLICT (file_name) DO UPDATE SET sha256 = excluded.sha256, "
                   "applied_at = excluded.applied_at");
  const auto run = [&](const Migration& migration, int migration_version) -> absl::Status {
    if (absl::Status status = transaction.ExecuteScript(migration.sql); !status.ok()) {
      return absl::Status(status.code(),
                          absl::StrCat("migration ", migration.file_name,
                                       " failed, nothing was changed: ", status.message()));
    }
    SqlParams params;
    params.Text(migration.file_name);
    migration_version == 0 ? params.Null() : params.Int(migration_version);
    params.Text(Sha256Hex(migration.sql));
    applied.push_back(migration.file_name);
    return transaction.Execute({"record_schema_migration", insert.c_str()}, params).status();
  };

  for (int v = 1; v <= version(); ++v) {
    const Migration& migration = numbered_[static_cast<size_t>(v) - 1];
    const auto known = recorded_versions.find(v);
    if (known == recorded_versions.end()) {
      GANNET_RETURN_IF_ERROR(run(migration, v));
    } else if (known->second != migration.file_name ||
               recorded[known->second] != Sha256Hex(migration.sql)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "a migration was edited after it was applied, restore it and add a new one instead: ",
          migration.file_name, ", applied as ", known->second));
    }
  }
  for (const Migration& migration : repeatable_) {
    if (recorded[migration.file_name] != Sha256Hex(migration.sql)) {
      GANNET_RETURN_IF_ERROR(run(migration, 0));
    }
  }
  return absl::OkStatus();
}

}  // namespace gannet
