#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/config/config.h"

namespace gannet::config {

// Exit codes of every program of the project.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;  // command line or configuration

// What the command line of a service asks for.
struct ServiceFlags {
  CommandLine command_line;
  bool health = false;  // --health: only ask the service that runs with these settings
  std::string print;    // not empty (--help, --version): print this and exit with kExitOk
};

enum class HealthFlag { kOffered, kNone };

// Parses the command line of a service: --config FILE, --version, --help, --health when offered,
// and --section.key VALUE (or --section.key=VALUE) for every key of the schema but secrets.
// `program` is shown in help and version
// ("gannet_worker"), `description` says in a sentence what it does.
//
// Example:
//   const auto flags = ParseServiceFlags(argc, argv, "gannet_worker", "Computes gradients.");
//   if (!flags.ok()) return FailUsage(flags.status());
//   if (!flags->print.empty()) { std::cout << flags->print; return kExitOk; }
//   const auto config = LoadConfig(flags->command_line);
//   if (!config.ok()) return FailUsage(config.status());
//
// Returns: INVALID_ARGUMENT - naming every unknown flag (with the nearest one) or surplus argument,
// one per line.
absl::StatusOr<ServiceFlags> ParseServiceFlags(int argc, const char* const* argv,
                                               const std::string& program,
                                               const std::string& description,
                                               HealthFlag health = HealthFlag::kNone);

// Writes what is wrong and where to look to stderr. Returns kExitUsage.
int FailUsage(const absl::Status& status);

// The nearest flag to an unknown one, as "unknown flag '--trainning.lease', did you mean
// '--training.lease'?". `known` has the names with their dashes.
std::string UnknownFlagMessage(absl::string_view flag, const std::vector<std::string>& known);

}  // namespace gannet::config
