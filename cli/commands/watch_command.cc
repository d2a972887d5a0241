#include <iostream>
#include <memory>

#include "CLI/App.hpp"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/admin_connection.h"
#include "cli/cli_state.h"
#include "cli/duration_option.h"
#include "cli/printable.h"
#include "cli/terminal.h"
#include "cli/watch_loop.h"
#include "libs/base/clock.h"

namespace gannet::cli {
namespace {

struct Options {
  AdminOptions admin;
  WatchOptions watch;
};

int ReportLoss(const WatchLoop::Result& result, const AdminConnection& admin) {
  const bool lost = absl::IsUnavailable(result.status) || absl::IsDeadlineExceeded(result.status);
  if (!lost) return FailAdmin(result.status, admin.address);
  FailAdmin(result.last.has_value()
                ? absl::UnavailableError(absl::StrCat(
                      "lost the coordinator after round ", result.last->weights_version.value(),
                      " of ", result.last->config.round_count, ": ", result.status.message()))
                : result.status,
            admin.address);
  return kExitLost;
}

int RunWatch(const AdminConnection& admin, const Options& options) {
  WatchOptions watch = options.watch;
  watch.terminal_width = TerminalWidth();
  base::RealClock clock;
  WatchLoop loop(
      watch, [&] { return admin.client->GetRun(); }, clock, absl::SleepFor, std::cout);
  const WatchLoop::Result result = loop.Run();
  // FinishStandardOutput says why, where that is worth a word.
  if (absl::IsCancelled(result.status) && !std::cout.good()) return config::kExitFailure;
  if (!result.status.ok()) return ReportLoss(result, admin);

  const client::RunReport& last = *result.last;
  if (last.state == domain::RunState::kStopped) {
    std::cout << "The run was stopped after round " << last.weights_version.value() << " of "
              << last.config.round_count
              << (last.state_reason.empty()
                      ? ""
                      : absl::StrCat(": ", base::Printable(last.state_reason)))
              << "\n";
    return kExitStopped;
  }
  std::cout << "The run is finished after " << last.weights_version.value() << " rounds.\n";
  return config::kExitOk;
}

}  // namespace

void AddWatchCommand(CLI::App& app, CliState& cli) {
  CLI::App* command = app.add_subcommand(
      "watch", "Follow the run until it has ended: round, speed, losses, time left");
  const auto options = std::make_shared<Options>();
  AddAdminOptions(*command, &options->admin);
  AddDurationOption(*command, "--interval", &options->watch.interval,
                    "Time between two updates; default 500ms", absl::Milliseconds(50));
  AddDurationOption(*command, "--patience", &options->watch.patience,
                    "How long the coordinator may be unreachable; default 30s");
  command->footer("Exit codes: 0 finished, 3 stopped, 4 the coordinator was lost.");
  command->callback([&cli, options] {
    cli.action = [&cli, options] {
      return WithAdmin(cli, options->admin,
                       [&](const AdminConnection& admin) { return RunWatch(admin, *options); });
    };
  });
}

}  // namespace gannet::cli
