#include <iostream>
#include <memory>

#include "CLI/App.hpp"
#include "cli/admin_connection.h"
#include "cli/cli_state.h"
#include "cli/run_text.h"

namespace gannet::cli {
namespace {

struct Options {
  AdminOptions admin;
  bool json = false;
};

int ShowStatus(const AdminConnection& admin, const Options& options) {
  const absl::StatusOr<client::RunReport> report = admin.client->GetRun();
  if (!report.ok()) return FailAdmin(report.status(), admin.address);
  std::cout << (options.json ? StatusJson(*report) : StatusText(*report));
  return config::kExitOk;
}

}  // namespace

void AddStatusCommand(CLI::App& app, CliState& cli) {
  CLI::App* command = app.add_subcommand("status", "Show how the run stands");
  const auto options = std::make_shared<Options>();
  AddLookOptions(*command, &options->admin);
  command->add_flag("--json", options->json, "One JSON object");
  command->callback([&cli, options] {
    cli.action = [&cli, options] {
      return WithRun(cli, options->admin,
                     [&](const AdminConnection& admin) { return ShowStatus(admin, *options); });
    };
  });
}

}  // namespace gannet::cli
