#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "CLI/App.hpp"
#include "absl/strings/str_cat.h"
#include "cli/cli_state.h"
#include "cli/database.h"
#include "cli/printable.h"

// gannet run: the runs of a database.

namespace gannet {
namespace {

int List(const CliState& cli, bool csv) {
  const absl::StatusOr<Config> config = LoadConfig(cli.command_line);
  if (!config.ok()) return FailConfig(config.status());
  const absl::StatusOr<Database> database = ConnectToDatabase(*config, "cli");
  if (!database.ok()) return FailDatabase(database.status());
  const absl::StatusOr<std::vector<std::string>> names = database->backend->ListRunNames();
  if (!names.ok()) return FailDatabase(names.status());
  std::vector<std::vector<std::string>> rows = {
      {"name", "state", "round", "of", "images", "workers"}};
  if (csv) {
    rows[0] = {"name",        "state", "rounds_finished", "round_count", "accepted_image_count",
               "worker_count"};
  }
  for (const std::string& name : *names) {
    const absl::StatusOr<RunStatus> run = database->backend->store().FindRun(name);
    if (absl::IsNotFound(run.status())) continue;  // deleted since
    if (!run.ok()) return FailDatabase(run.status());
    rows.push_back({name, RunStateName(run->state), absl::StrCat(run->weights_version.value()),
                    absl::StrCat(run->config.round_count), absl::StrCat(run->accepted_image_count),
                    absl::StrCat(run->worker_count)});
  }
  if (csv) {
    for (const auto& row : rows) std::cout << CsvLine(row);
  } else if (rows.size() == 1) {
    std::cout << "The database has no run yet.\n";
  } else {
    std::cout << TextTable(rows);
  }
  return kExitOk;
}

}  // namespace

void AddRunCommand(CLI::App& app, CliState& cli) {
  CLI::App* group = app.add_subcommand("run", "Look at the runs of the database");
  CLI::App* list = group->add_subcommand(
      "list", "List them; gannet status, workers and rounds show one with --run NAME");
  const auto csv = std::make_shared<bool>(false);
  list->add_flag("--csv", *csv, "As CSV, for a spreadsheet");
  list->callback([&cli, csv] { cli.action = [&cli, csv] { return List(cli, *csv); }; });
}

}  // namespace gannet
