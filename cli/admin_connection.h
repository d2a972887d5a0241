#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/cli_state.h"
#include "libs/client/admin_client.h"
#include "libs/config/config.h"

namespace CLI {
class App;
}  // namespace CLI

namespace gannet::cli {

// Where the coordinator is, when not where the settings say.
struct AdminOptions {
  std::string address;
  std::string token_file;
  std::string run;  // not empty: this run of the database, whatever a coordinator says
};

// Adds --address and --token-file.
void AddAdminOptions(CLI::App& command, AdminOptions* options);

// Adds these and --run, for commands that only look.
void AddLookOptions(CLI::App& command, AdminOptions* options);

// A client of the coordinator, and its address for messages.
struct AdminConnection {
  std::unique_ptr<client::AdminClient> client;
  std::string address;
};

// Makes a client for coordinator.admin_listen (a wildcard address is reached by loopback) or
// --address. Returns: INVALID_ARGUMENT - no usable address; as ReadTokenFile.
absl::StatusOr<AdminConnection> ConnectToAdmin(const config::Config& config,
                                               const AdminOptions& options);

// What every command does that asks the coordinator: loads the settings, connects, and calls
// `action`. What fails before is told. Returns the exit code.
int WithAdmin(const CliState& cli, const AdminOptions& options,
              const std::function<int(const AdminConnection&)>& action);

// The same for a command that only looks. Where no coordinator answers, and no other address was
// asked for, the database answers in its place, and stderr says so.
int WithRun(const CliState& cli, const AdminOptions& options,
            const std::function<int(const AdminConnection&)>& action);

// Writes why a call to the coordinator failed and what to do. Returns the exit code.
int FailAdmin(const absl::Status& status, const std::string& address);

}  // namespace gannet::cli
