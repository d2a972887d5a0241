#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "CLI/App.hpp"
#include "absl/strings/str_cat.h"
#include "cli/cli_state.h"
#include "cli/database.h"
#include "cli/printable.h"
#include "cli/terminal.h"

// gannet run: the runs of a database.

namespace gannet::cli {
namespace {

int List(const CliState& cli, bool csv) {
  const absl::StatusOr<config::Config> config = LoadSettings(cli.command_line);
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
    const absl::StatusOr<exchange::RunStatus> run = database->backend->store().FindRun(name);
    if (absl::IsNotFound(run.status())) continue;  // deleted since
    if (!run.ok()) return FailDatabase(run.status());
    rows.push_back({name, domain::RunStateName(run->state),
                    absl::StrCat(run->weights_version.value()),
                    absl::StrCat(run->config.round_count), absl::StrCat(run->accepted_image_count),
                    absl::StrCat(run->worker_count)});
  }
  if (csv) {
    for (const auto& row : rows) std::cout << base::CsvLine(row);
  } else if (rows.size() == 1) {
    std::cout << "The database has no run yet.\n";
  } else {
    std::cout << TextTable(rows);
  }
  return config::kExitOk;
}

struct DeleteOptions {
  std::string name;
  bool yes = false;
  bool force = false;
};

int Delete(const CliState& cli, const DeleteOptions& options) {
  const absl::StatusOr<config::Config> config = LoadSettings(cli.command_line);
  if (!config.ok()) return FailConfig(config.status());
  const absl::StatusOr<Database> database = ConnectToDatabase(*config, "cli");
  if (!database.ok()) return FailDatabase(database.status());
  exchange::Store& store = database->backend->store();
  const absl::StatusOr<exchange::RunStatus> run = store.FindRun(options.name);
  if (absl::IsNotFound(run.status())) {
    return Fail(run.status(), "Nothing was deleted; gannet run list names the runs.");
  }
  if (!run.ok()) return FailDatabase(run.status());
  if (!domain::HasEnded(run->state) && !options.force) {
    return Fail(
        absl::FailedPreconditionError(
            absl::StrCat("the run has not ended, it is ", domain::RunStateName(run->state))),
        "Nothing was deleted. End it by gannet stop, or delete it all the same by --force.");
  }
  const std::string question =
      absl::StrCat("This deletes run ", options.name, " with ", run->weights_version.value(),
                   " rounds, their weights and who contributed (gannet export keeps a copy). Type "
                   "yes to do it: ");
  if (!options.yes && !Confirm(question)) {
    return Fail(absl::InvalidArgumentError("the run was not deleted: nobody confirmed it"),
                "To delete it without a question: --yes.");
  }
  const absl::Status deleted = store.DeleteRun(run->run);
  if (absl::IsFailedPrecondition(deleted)) {
    return Fail(deleted, "Nothing was deleted. Stop its coordinator and repeat.");
  }
  if (!deleted.ok()) return FailDatabase(deleted);
  std::cout << "Run " << options.name << " is deleted.\n";
  return config::kExitOk;
}

}  // namespace

void AddRunCommand(CLI::App& app, CliState& cli) {
  CLI::App* group = app.add_subcommand("run", "List and delete the runs of the database");
  CLI::App* list = group->add_subcommand(
      "list", "List them; gannet status, workers and rounds show one with --run NAME");
  const auto csv = std::make_shared<bool>(false);
  list->add_flag("--csv", *csv, "As CSV, for a spreadsheet");
  list->callback([&cli, csv] { cli.action = [&cli, csv] { return List(cli, *csv); }; });

  CLI::App* erase = group->add_subcommand("delete", "Delete one that has ended, with everything");
  const auto options = std::make_shared<DeleteOptions>();
  erase->add_option("name", options->name, "Its name")->required()->type_name("NAME");
  erase->add_flag("--yes", options->yes, "Do not ask for confirmation");
  erase->add_flag("--force", options->force, "Also one that has not ended");
  erase->callback(
      [&cli, options] { cli.action = [&cli, options] { return Delete(cli, *options); }; });
}

}  // namespace gannet::cli
