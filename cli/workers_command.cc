#include <iostream>
#include <memory>

#include "CLI/App.hpp"
#include "absl/strings/str_cat.h"
#include "cli/admin_connection.h"
#include "cli/cli_state.h"
#include "cli/printable.h"
#include "libs/base/clock.h"

namespace gannet {
namespace {

constexpr int kPageSize = 1000;

struct Options {
  AdminOptions admin;
  bool csv = false;
};

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

int RunWorkers(const AdminConnection& admin, const Options& options) {
  std::vector<std::vector<std::string>> rows = {
      {"name", "units", "images", "duplicates", "last seen", "hardware", "worker id"}};
  if (options.csv) {
    rows[0] = {"display_name",
               "accepted_unit_count",
               "accepted_image_count",
               "duplicate_unit_count",
               "last_seen_time",
               "hardware",
               "worker_id"};
  }
  std::string page_token;
  do {
    const absl::StatusOr<Page<WorkerSummary>> page =
        admin.client->ListWorkers(kPageSize, page_token);
    if (!page.ok()) return FailAdmin(page.status(), admin.address);
    for (const WorkerSummary& worker : page->items) {
      rows.push_back({worker.display_name, absl::StrCat(worker.accepted_unit_count),
                      absl::StrCat(worker.accepted_image_count),
                      absl::StrCat(worker.duplicate_unit_count), TimeText(worker.last_seen),
                      worker.hardware, worker.worker.value()});
    }
    page_token = page->next_page_token;
  } while (!page_token.empty());

  if (options.csv) {
    for (const auto& row : rows) std::cout << CsvLine(row);
  } else if (rows.size() == 1) {
    std::cout << "No worker has joined yet.\n";
  } else {
    std::cout << TextTable(rows);
  }
  return kExitOk;
}

}  // namespace

void AddWorkersCommand(CLI::App& app, CliState& cli) {
  CLI::App* command = app.add_subcommand("workers", "List the workers and what each has computed");
  const auto options = std::make_shared<Options>();
  AddAdminOptions(*command, &options->admin);
  command->add_flag("--csv", options->csv, "As CSV, for a spreadsheet");
  command->callback([&cli, options] {
    cli.action = [&cli, options] {
      return WithAdmin(cli, options->admin,
                       [&](const AdminConnection& admin) { return RunWorkers(admin, *options); });
    };
  });
}

}  // namespace gannet
