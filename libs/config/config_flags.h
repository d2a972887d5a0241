#pragma once

#include "absl/status/status.h"
#include "libs/config/config.h"

namespace CLI {
class App;
}  // namespace CLI

// For programs that have a CLI11 command line of their own; services use flags.h.
namespace gannet::config {

enum class ConfigFlagsHelp { kListed, kHidden };

// Adds --config and one flag for each key of the schema. `command_line` is filled by the parse.
void AddConfigFlags(CLI::App& app, ConfigFlagsHelp help, CommandLine* command_line);

// Whether each flag of a setting has its value: the parser would take the next flag for one.
// Returns: INVALID_ARGUMENT - naming every flag without one, one per line.
absl::Status CheckFlagValues(int argc, const char* const* argv);

// Judges the words that a parsed app with allow_extras() did not know. Known are the flags of
// `innermost`, the command that was chosen, and of the apps it belongs to. Returns:
// INVALID_ARGUMENT - naming each, with the nearest flag, one per line.
absl::Status CheckRemaining(const CLI::App& app, const CLI::App& innermost);

}  // namespace gannet::config
