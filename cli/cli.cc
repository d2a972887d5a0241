#include <iostream>
#include <string>
#include <vector>

#include "CLI/App.hpp"
#include "CLI/Config.hpp"
#include "CLI/Formatter.hpp"
#include "absl/strings/str_cat.h"
#include "cli/cli_state.h"
#include "cli/printable.h"
#include "libs/config/config_flags.h"
#include "libs/config/nearest_name.h"
#include "libs/config/version.h"

namespace gannet::cli {
namespace {

constexpr const char* kFooter =
    "Settings come from --config FILE, the environment and flags such as --database.url URL "
    "(gannet config "
    "keys lists them); they may stand before or after the command.\n"
    "Exit codes: 0 ok, 1 failure, 2 command line, configuration or a file that it names. gannet "
    "watch, gannet train-local and gannet data fetch: also 3 stopped; gannet watch: 4 the "
    "coordinator was lost.";

int FailParse(absl::string_view message) {
  std::cerr << "gannet: " << message << "\nNothing was done. Try: gannet --help\n";
  return config::kExitUsage;
}

// The command that was chosen, innermost first.
const CLI::App& Innermost(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app : Innermost(*chosen.front());
}

std::vector<std::string> CommandNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

// "unknown command 'stauts', did you mean 'status'?", or nothing when a command was chosen. A word
// that no command knows may have been left with `level` or with the apps it belongs to. `complete`:
// it does something without one, too.
std::string MissingCommand(const CLI::App& level, bool complete) {
  const std::vector<std::string> names = CommandNames(level);
  if (names.empty()) return "";
  for (const CLI::App* at = &level; at != nullptr; at = at->get_parent()) {
    for (const std::string& word : at->remaining()) {
      if (word.empty() || word[0] == '-') continue;
      const std::string near = config::NearestName(word, names);
      return absl::StrCat("unknown command '", base::Printable(word), "'",
                          near.empty() ? "" : absl::StrCat(", did you mean '", near, "'?"));
    }
  }
  return complete ? "" : absl::StrCat("a command must follow '", level.get_name(), "'");
}

}  // namespace

int RunCli(int argc, const char* const* argv) {
  CliState cli;
  CLI::App app("Steers Gannet: the database, a running training, data, settings and results.",
               "gannet");
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.set_version_flag("--version", absl::StrCat("gannet ", config::GannetVersion()),
                       "Print the version and exit");
  config::AddConfigFlags(app, config::ConfigFlagsHelp::kHidden, &cli.command_line);
  app.footer(kFooter);
  // Unknown words are collected, so that all of them can be named with what was probably meant. New
  // commands inherit this, and that flags they do not know go to their parent.
  app.allow_extras();
  app.fallthrough();
  AddMigrateCommand(app, cli);
  AddStatusCommand(app, cli);
  AddWatchCommand(app, cli);
  AddWorkersCommand(app, cli);
  AddRoundsCommand(app, cli);
  AddRunCommand(app, cli);
  AddSteerCommands(app, cli);
  AddSetCommand(app, cli);
  AddDataCommand(app, cli);
  AddConfigCommand(app, cli);
  AddTrainLocalCommand(app, cli);
  AddArchiveCommands(app, cli);
  AddSampleCommand(app, cli);
  AddEvaluateCommand(app, cli);
  AddGifCommand(app, cli);
  AddVersionCommand(app, cli);

  if (argc <= 1) {
    std::cerr << app.help();
    return config::kExitUsage;
  }
  if (const absl::Status given = config::CheckFlagValues(argc, argv); !given.ok()) {
    return FailParse(given.message());
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return config::kExitOk;
  } catch (const CLI::CallForVersion& version) {
    std::cout << version.what() << "\n";
    return config::kExitOk;
  } catch (const CLI::ParseError& e) {
    return FailParse(e.what());
  }
  const CLI::App& level = Innermost(app);
  if (const std::string missing = MissingCommand(level, cli.action != nullptr); !missing.empty()) {
    return FailParse(missing);
  }
  for (const CLI::App* at = &level; at != nullptr; at = at->get_parent()) {
    if (const absl::Status known = config::CheckRemaining(*at, level); !known.ok()) {
      return FailParse(known.message());
    }
  }
  return cli.action();
}

int Fail(const absl::Status& status, absl::string_view advice) {
  std::cerr << "gannet: " << PrintableLines(status.message()) << "\n" << advice << "\n";
  return absl::IsInvalidArgument(status) ? config::kExitUsage : config::kExitFailure;
}

absl::StatusOr<config::Config> LoadSettings(const config::CommandLine& command_line) {
  absl::StatusOr<config::Config> config = config::LoadConfig(command_line);
  if (!config.ok()) return config.status();
  for (const std::string& warning : config->warnings) std::cerr << "gannet: " << warning << "\n";
  return config;
}

int FailConfig(const absl::Status& status) {
  std::cerr << PrintableLines(status.message()) << "\n"
            << "Correct these; gannet config keys lists every key with its meaning.\n";
  return config::kExitUsage;
}

}  // namespace gannet::cli
