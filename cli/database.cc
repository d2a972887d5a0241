#include "cli/database.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/cli_state.h"
#include "libs/base/status_macros.h"

namespace gannet::cli {

absl::StatusOr<Database> ConnectToDatabase(const config::Config& config, const char* program) {
  GANNET_RETURN_IF_ERROR(config::CheckNamedFiles(config, {"database.password_file"}));
  Database database;
  database.log = std::make_unique<telemetry::Logger>(
      program, telemetry::LogOptions::FromWords(config.log.level, config.log.format));
  database.metrics = std::make_unique<telemetry::Metrics>();
  GANNET_ASSIGN_OR_RETURN(
      database.backend,
      store::PgBackend::Create({.url = config.database.url,
                                .password_file = config.database.password_file,
                                .pool_size = 2,
                                .application_name = absl::StrCat("gannet-", program)},
                               *database.log, *database.metrics));
  return database;
}

int FailDatabase(const absl::Status& status) {
  // What the database itself has answered is no reason to look for it.
  if (absl::IsNotFound(status)) return Fail(status, "gannet run list shows its runs.");
  if (absl::IsFailedPrecondition(status)) {
    return Fail(status, absl::StrContains(status.message(), "gannet migrate")
                            ? "Bring the database to this version with: gannet migrate"
                            : "Nothing was changed.");
  }
  return Fail(status, "Check database.url, and whether PostgreSQL runs there.");
}

}  // namespace gannet::cli
