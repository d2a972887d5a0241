#include <iostream>
#include <memory>
#include <string>

#include "CLI/App.hpp"
#include "cli/admin_connection.h"
#include "cli/cli_state.h"
#include "cli/terminal.h"

namespace gannet::cli {
namespace {

struct Options {
  AdminOptions admin;
  std::string reason;
  bool yes = false;
};

bool ConfirmStop(const Options& options) {
  return options.yes ||
         Confirm("A stopped run cannot be resumed (gannet pause can). Type yes to stop it: ");
}

int Steer(const CliState& cli, const Options& options, domain::RunState state) {
  const absl::StatusOr<config::Config> config = LoadSettings(cli.command_line);
  if (!config.ok()) return FailConfig(config.status());
  if (state == domain::RunState::kStopped && !ConfirmStop(options)) {
    return Fail(absl::InvalidArgumentError("the run was not stopped: nobody confirmed it"),
                "To stop it permanently: gannet stop --yes. To interrupt it: gannet pause.");
  }
  const absl::StatusOr<AdminConnection> admin = ConnectToAdmin(*config, options.admin);
  if (!admin.ok()) return Fail(admin.status(), "Check --address and --token-file.");
  const absl::Status done = admin->client->SetRunState(state, options.reason);
  if (!done.ok()) return FailAdmin(done, admin->address);
  std::cout << "The run is " << domain::RunStateName(state) << ".\n";
  return config::kExitOk;
}

void AddSteerCommand(CLI::App& app, CliState& cli, const char* name, const char* description,
                     domain::RunState state) {
  CLI::App* command = app.add_subcommand(name, description);
  const auto options = std::make_shared<Options>();
  AddAdminOptions(*command, &options->admin);
  command->add_option("--reason", options->reason, "Why; shown to everybody who looks at the run")
      ->type_name("TEXT");
  if (state == domain::RunState::kStopped) {
    command->add_flag("--yes", options->yes, "Do not ask for confirmation");
  }
  command->callback([&cli, options, state] {
    cli.action = [&cli, options, state] { return Steer(cli, *options, state); };
  });
}

}  // namespace

void AddSteerCommands(CLI::App& app, CliState& cli) {
  AddSteerCommand(app, cli, "pause", "Lease no more units until gannet resume",
                  domain::RunState::kPaused);
  AddSteerCommand(app, cli, "resume", "Resume a paused run", domain::RunState::kRunning);
  AddSteerCommand(app, cli, "stop", "End the run permanently before its last round",
                  domain::RunState::kStopped);
}

}  // namespace gannet::cli
