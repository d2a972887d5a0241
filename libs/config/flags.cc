#include "libs/config/flags.h"

#include <iostream>
#include <utility>
#include <vector>

#include "CLI/App.hpp"
#include "CLI/Config.hpp"
#include "CLI/Formatter.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "libs/config/config_flags.h"
#include "libs/config/nearest_name.h"
#include "libs/config/schema.h"
#include "libs/config/version.h"

namespace gannet::config {
namespace {

std::string HelpText(const KeySpec& key) {
  std::string text = key.description;
  const std::string range = base::RangeName(key);
  absl::StrAppend(&text, " (", base::TypeName(key), range.empty() ? "" : ", ", range);
  const std::string value = ValueText(key, Config());
  if (!value.empty()) absl::StrAppend(&text, "; default ", value);
  return absl::StrCat(text, ")");
}

// What is left over when CLI11 is done: unknown flags with their values, and words nobody asked
// for.
std::vector<std::string> DescribeRemaining(const std::vector<std::string>& remaining,
                                           const std::vector<std::string>& known) {
  std::vector<std::string> mistakes;
  bool after_flag = false;
  for (const std::string& word : remaining) {
    const bool is_flag = word.size() > 1 && word[0] == '-';
    if (is_flag) {
      mistakes.push_back(UnknownFlagMessage(word, known));
    } else if (!after_flag) {
      mistakes.push_back(absl::StrCat("unexpected argument ", base::Shown(word)));
    }
    // "--unknown VALUE": the value needs no message of its own.
    after_flag = is_flag && !absl::StrContains(word, "=");
  }
  return mistakes;
}

}  // namespace

void AddConfigFlags(CLI::App& app, ConfigFlagsHelp help, CommandLine* command_line) {
  CLI::Option* file =
      app.add_option("--config", command_line->config_path, "YAML file with the settings");
  file->type_name("FILE");
  file->take_last();
  for (const KeySpec& key : Schema()) {
    if (key.secret) continue;  // other users of the machine see command lines
    // CLI11 calls them in this order, whatever the command line's: given both, the new name wins.
    for (const std::string& name : {key.former_name, key.name}) {
      if (name.empty()) continue;
      CLI::Option* option = app.add_option_function<std::string>(
          absl::StrCat("--", name),
          [command_line, name](const std::string& value) {
            command_line->overrides.push_back(absl::StrCat(name, "=", value));
          },
          HelpText(key));
      option->type_name("VALUE");
      option->take_last();
      // An option of the group "" is not listed.
      const bool listed = help == ConfigFlagsHelp::kListed && name == key.name;
      option->group(listed ? name.substr(0, name.find('.')) : "");
    }
  }
}

absl::Status CheckFlagValues(int argc, const char* const* argv) {
  std::vector<std::string> mistakes;
  for (int i = 1; i < argc; ++i) {
    absl::string_view name = argv[i];
    if (name == "--") break;
    if (!absl::ConsumePrefix(&name, "--") || (FindKey(name) == nullptr && name != "config")) {
      continue;
    }
    if (i + 1 < argc && !absl::StartsWith(argv[i + 1], "--")) continue;
    mistakes.push_back(absl::StrCat("flag --", name, ": a value must follow"));
  }
  if (mistakes.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(mistakes, "\n"));
}

absl::Status CheckRemaining(const CLI::App& app, const CLI::App& innermost) {
  std::vector<std::string> known = {"--help", "--config"};
  for (const CLI::App* level = &innermost; level != nullptr; level = level->get_parent()) {
    for (const CLI::Option* option : level->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        // Nobody should begin to use a former name.
        const KeySpec* key = FindKey(name);
        if (key == nullptr || key->name == name) known.push_back(absl::StrCat("--", name));
      }
    }
  }
  const std::vector<std::string> mistakes = DescribeRemaining(app.remaining(), known);
  if (mistakes.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(mistakes, "\n"));
}

absl::StatusOr<ServiceFlags> ParseServiceFlags(int argc, const char* const* argv,
                                               const std::string& program,
                                               const std::string& description, HealthFlag health) {
  ServiceFlags flags;
  CLI::App app(description, program);
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.set_version_flag("--version", absl::StrCat(program, " ", GannetVersion()),
                       "Print the version and exit");
  if (health == HealthFlag::kOffered) {
    app.add_flag("--health", flags.health,
                 "Start nothing: ask the service that runs with these settings whether it is "
                 "serving; exit code 0 or 1");
  }
  AddConfigFlags(app, ConfigFlagsHelp::kListed, &flags.command_line);
  app.allow_extras();
  app.footer(
      "A flag wins over the environment (training.lease is GANNET_TRAINING_LEASE), the environment "
      "over the "
      "file, the file over the default. Passwords go into files, never into flags.\n"
      "Exit codes: 0 ok, 1 failure, 2 command line or configuration.");
  if (absl::Status given = CheckFlagValues(argc, argv); !given.ok()) return given;
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    flags.print = app.help();
    return flags;
  } catch (const CLI::CallForVersion& version) {
    flags.print = absl::StrCat(version.what(), "\n");
    return flags;
  } catch (const CLI::ParseError& e) {
    return absl::InvalidArgumentError(e.what());
  }
  if (const absl::Status status = CheckRemaining(app, app); !status.ok()) return status;
  return flags;
}

int FailUsage(const absl::Status& status) {
  // The reason last: that is the line people look at.
  std::cerr << "Nothing was started. All keys with their meaning: gannet config keys, or --help.\n"
            << status.message() << "\n";
  return kExitUsage;
}

std::string UnknownFlagMessage(absl::string_view flag, const std::vector<std::string>& known) {
  // The value after "=" may be a secret given by mistake.
  const absl::string_view name = flag.substr(0, flag.find('='));
  const std::string near = NearestName(name, known);
  return absl::StrCat("unknown flag ", base::Shown(name),
                      near.empty() ? "" : absl::StrCat(", did you mean '", near, "'?"));
}

}  // namespace gannet::config
