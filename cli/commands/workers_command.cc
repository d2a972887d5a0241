#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "CLI/App.hpp"
#include "absl/strings/str_cat.h"
#include "cli/admin_connection.h"
#include "cli/cli_state.h"
#include "cli/printable.h"
#include "libs/base/clock.h"

namespace gannet::cli {
namespace {

constexpr int kPageSize = 1000;

struct Options {
  AdminOptions admin;
  bool csv = false;
};

// Of remove and restore.
struct OneWorkerOptions {
  AdminOptions admin;
  std::string worker;
  std::string reason = "removed by the instructor";
};

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

int RunWorkers(const AdminConnection& admin, const Options& options) {
  std::vector<std::vector<std::string>> rows = {{"name", "units", "images", "duplicates",
                                                 "wasted images", "last seen", "hardware",
                                                 "worker id", "removed"}};
  if (options.csv) {
    rows[0] = {"display_name",
               "accepted_unit_count",
               "accepted_image_count",
               "duplicate_unit_count",
               "wasted_image_count",
               "last_seen_time",
               "hardware",
               "worker_id",
               "removed_reason"};
  }
  std::string page_token;
  do {
    const absl::StatusOr<client::Page<exchange::WorkerSummary>> page =
        admin.client->ListWorkers(kPageSize, page_token);
    if (!page.ok()) return FailAdmin(page.status(), admin.address);
    for (const exchange::WorkerSummary& worker : page->items) {
      rows.push_back({worker.display_name, absl::StrCat(worker.accepted_unit_count),
                      absl::StrCat(worker.accepted_image_count),
                      absl::StrCat(worker.duplicate_unit_count),
                      absl::StrCat(worker.wasted_image_count), TimeText(worker.last_seen),
                      worker.hardware, worker.worker.value(), worker.removed_reason});
    }
    page_token = page->next_page_token;
  } while (!page_token.empty());

  if (options.csv) {
    for (const auto& row : rows) std::cout << base::CsvLine(row);
  } else if (rows.size() == 1) {
    std::cout << "No worker has joined yet.\n";
  } else {
    // The column is worth its room only when somebody is in it.
    const bool nobody_removed = std::all_of(rows.begin() + 1, rows.end(),
                                            [](const auto& row) { return row.back().empty(); });
    if (nobody_removed) {
      for (auto& row : rows) row.pop_back();
    }
    std::cout << TextTable(rows);
  }
  return config::kExitOk;
}

// What a person calls a worker.
std::string NameOf(const exchange::WorkerSummary& worker) {
  const std::string id = absl::StrCat("(", worker.worker.value(), ")");
  return worker.display_name.empty() ? id : absl::StrCat(worker.display_name, " ", id);
}

int FailOneWorker(const absl::Status& status, const std::string& address) {
  if (absl::IsNotFound(status)) return Fail(status, "See who is there: gannet workers.");
  return FailAdmin(status, address);
}

int RunRemove(const AdminConnection& admin, const OneWorkerOptions& options) {
  const absl::StatusOr<exchange::WorkerSummary> worker =
      admin.client->RemoveWorker(options.worker, options.reason);
  if (!worker.ok()) return FailOneWorker(worker.status(), admin.address);
  std::cout << "Removed " << NameOf(*worker)
            << ": its next call is refused, and its open work goes to others.\n"
            << "To take it back: gannet workers restore " << worker->worker.value() << "\n";
  return config::kExitOk;
}

int RunRestore(const AdminConnection& admin, const OneWorkerOptions& options) {
  const absl::StatusOr<exchange::WorkerSummary> worker =
      admin.client->RestoreWorker(options.worker);
  if (!worker.ok()) return FailOneWorker(worker.status(), admin.address);
  std::cout << "Restored " << NameOf(*worker) << ": it may be started again.\n";
  return config::kExitOk;
}

void AddOneWorkerCommand(CLI::App& workers, CliState& cli, const char* name,
                         const char* description, bool with_reason,
                         int (*run)(const AdminConnection&, const OneWorkerOptions&)) {
  CLI::App* command = workers.add_subcommand(name, description);
  const auto options = std::make_shared<OneWorkerOptions>();
  AddAdminOptions(*command, &options->admin);
  command
      ->add_option("worker", options->worker,
                   "Its id, or its name when nobody else has the same; see gannet workers")
      ->type_name("WORKER_OR_NAME")
      ->required();
  if (with_reason) {
    command->add_option("--reason", options->reason, "Why; shown to the person who is removed")
        ->type_name("TEXT");
  }
  command->callback([&cli, options, run] {
    cli.action = [&cli, options, run] {
      return WithAdmin(cli, options->admin,
                       [&](const AdminConnection& admin) { return run(admin, *options); });
    };
  });
}

}  // namespace

void AddWorkersCommand(CLI::App& app, CliState& cli) {
  CLI::App* command = app.add_subcommand("workers", "List the workers and what each has computed");
  const auto options = std::make_shared<Options>();
  AddLookOptions(*command, &options->admin);
  command->add_flag("--csv", options->csv, "As CSV, for a spreadsheet");
  command->callback([&cli, options, command] {
    if (!command->get_subcommands().empty()) return;  // which has said what to do
    cli.action = [&cli, options] {
      return WithRun(cli, options->admin,
                     [&](const AdminConnection& admin) { return RunWorkers(admin, *options); });
    };
  });
  AddOneWorkerCommand(*command, cli, "remove",
                      "Send a worker away: its work goes to others, and it cannot join again",
                      /*with_reason=*/true, RunRemove);
  AddOneWorkerCommand(*command, cli, "restore", "Take a removed worker back",
                      /*with_reason=*/false, RunRestore);
}

}  // namespace gannet::cli
