#include <iostream>
#include <memory>
#include <string>

#include "CLI/App.hpp"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/cli_state.h"
#include "cli/duration_option.h"
#include "libs/base/backoff.h"
#include "libs/base/clock.h"
#include "libs/pg/connection_params.h"
#include "libs/store/pg_backend.h"
#include "libs/telemetry/log.h"

namespace gannet::cli {
namespace {

const char* AdviceFor(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      return "Is PostgreSQL running where database.url says? --wait 60s waits for it.";
    case absl::StatusCode::kPermissionDenied:
      return "Migrate as a role that may create roles and schemas, for instance the owner of the "
             "database.";
    case absl::StatusCode::kFailedPrecondition:
      return "Nothing was changed.";
    default:
      return "Check database.url and the server's log.";
  }
}

int RunMigrate(const CliState& cli, absl::Duration patience) {
  const absl::StatusOr<config::Config> config = LoadSettings(cli.command_line);
  if (!config.ok()) return FailConfig(config.status());
  const absl::Status files = config::CheckNamedFiles(*config, {"database.password_file"});
  if (!files.ok()) return FailConfig(files);
  const absl::Status usable = pg::CheckDatabaseUrl("database.url", config->database.url);
  if (!usable.ok()) return FailConfig(config::WithOrigins(*config, usable));
  telemetry::Logger log("migrate",
                        telemetry::LogOptions::FromWords(config->log.level, config->log.format));
  const store::PgBackendOptions options{.url = config->database.url,
                                        .password_file = config->database.password_file,
                                        .pool_size = config->database.pool_size,
                                        .application_name = "gannet-migrate"};
  base::RealClock clock;
  const absl::Duration started = clock.Steady();
  base::Backoff backoff(base::BackoffPolicy{});
  while (true) {
    const absl::StatusOr<int> version = store::Migrate(options, log);
    if (version.ok()) {
      std::cout << "The database has schema version " << *version << ".\n";
      return config::kExitOk;
    }
    const absl::Duration left = patience - (clock.Steady() - started);
    if (!absl::IsUnavailable(version.status()) || left <= absl::ZeroDuration()) {
      return Fail(version.status(), AdviceFor(version.status()));
    }
    const absl::Duration pause = std::min(left, backoff.Next());
    log.Info("waiting for PostgreSQL",
             {{"left", absl::Trunc(left, absl::Seconds(1))}, {"reason", version.status()}});
    absl::SleepFor(pause);
  }
}

}  // namespace

void AddMigrateCommand(CLI::App& app, CliState& cli) {
  CLI::App* command = app.add_subcommand(
      "migrate", "Bring the schema of the database to this version (may be repeated)");
  const auto wait = std::make_shared<absl::Duration>(absl::ZeroDuration());
  AddDurationOption(*command, "--wait", wait.get(),
                    "How long to wait for a database that cannot be reached; default 0s");
  command->callback([&cli, wait] { cli.action = [&cli, wait] { return RunMigrate(cli, *wait); }; });
}

}  // namespace gannet::cli
