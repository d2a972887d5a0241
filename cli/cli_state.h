#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/config/config.h"
#include "libs/config/flags.h"

namespace CLI {
class App;
}  // namespace CLI

namespace gannet::cli {

// Further exit codes, of `gannet watch` alone.
inline constexpr int kExitStopped = 3;
inline constexpr int kExitLost = 4;

// What the parse of a command line leaves: the settings asked for, and what to do.
struct CliState {
  config::CommandLine command_line;
  std::function<int()> action;  // of the chosen command; returns the exit code
};

// Each adds its command to `app`; a chosen command puts its action into `cli`, which outlives the
// parse.
void AddMigrateCommand(CLI::App& app, CliState& cli);
void AddStatusCommand(CLI::App& app, CliState& cli);
void AddWatchCommand(CLI::App& app, CliState& cli);
void AddWorkersCommand(CLI::App& app, CliState& cli);
void AddRoundsCommand(CLI::App& app, CliState& cli);
void AddRunCommand(CLI::App& app, CliState& cli);
void AddSteerCommands(CLI::App& app, CliState& cli);
void AddSetCommand(CLI::App& app, CliState& cli);
void AddDataCommand(CLI::App& app, CliState& cli);
void AddConfigCommand(CLI::App& app, CliState& cli);
void AddArchiveCommands(CLI::App& app, CliState& cli);
void AddSampleCommand(CLI::App& app, CliState& cli);
void AddEvaluateCommand(CLI::App& app, CliState& cli);
void AddGifCommand(CLI::App& app, CliState& cli);
void AddTrainLocalCommand(CLI::App& app, CliState& cli);
void AddVersionCommand(CLI::App& app, CliState& cli);

// The whole program: parses, runs, returns the exit code.
int RunCli(int argc, const char* const* argv);

// Writes an error and, as the last line, what to do about it, to stderr. Returns kExitUsage for
// INVALID_ARGUMENT, otherwise kExitFailure.
int Fail(const absl::Status& status, absl::string_view advice);

// config::LoadConfig; what it warns of goes to stderr.
absl::StatusOr<config::Config> LoadSettings(const config::CommandLine& command_line);

// The same for a configuration that cannot be loaded. Returns kExitUsage.
int FailConfig(const absl::Status& status);

}  // namespace gannet::cli
