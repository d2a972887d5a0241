#include "cli/admin_connection.h"

#include <iostream>

#include "CLI/App.hpp"
#include "absl/strings/str_cat.h"
#include "cli/database_admin.h"
#include "libs/base/printable.h"
#include "libs/base/status_macros.h"
#include "libs/rpc/address.h"

namespace gannet::cli {
namespace {

// An address to listen on as one to connect to.
absl::StatusOr<std::string> TargetOf(const std::string& listen) {
  GANNET_ASSIGN_OR_RETURN(rpc::Address address, rpc::ParseAddress(listen));
  if (address.port == 0) {
    return absl::InvalidArgumentError(
        "coordinator.admin_listen has port 0, so the coordinator picked one: give it with "
        "--address");
  }
  return rpc::LocalTarget(address);
}

}  // namespace

void AddAdminOptions(CLI::App& command, AdminOptions* options) {
  command
      .add_option("--address", options->address,
                  "The coordinator's admin service; default: coordinator.admin_listen")
      ->type_name("HOST:PORT");
  command
      .add_option("--token-file", options->token_file,
                  "File with the admin token; default: coordinator.admin_token_file")
      ->type_name("FILE");
}

void AddLookOptions(CLI::App& command, AdminOptions* options) {
  AddAdminOptions(command, options);
  command
      .add_option("--run", options->run,
                  "A run of the database (database.url; gannet run list), also when no coordinator "
                  "runs")
      ->type_name("NAME");
}

absl::StatusOr<AdminConnection> ConnectToAdmin(const config::Config& config,
                                               const AdminOptions& options) {
  AdminConnection connection;
  connection.address = options.address;
  if (connection.address.empty()) {
    GANNET_ASSIGN_OR_RETURN(connection.address, TargetOf(config.coordinator.admin_listen));
  }
  const bool by_option = !options.token_file.empty();
  const std::string& token_file =
      by_option ? options.token_file : config.coordinator.admin_token_file;
  client::AdminClientOptions client;
  client.channel.target = connection.address;
  if (!token_file.empty()) {
    GANNET_ASSIGN_OR_RETURN(
        client.token, config::ReadTokenFile(
                          by_option ? "--token-file" : "coordinator.admin_token_file", token_file));
  }
  GANNET_ASSIGN_OR_RETURN(connection.client, client::AdminClient::Create(client));
  return connection;
}

int WithAdmin(const CliState& cli, const AdminOptions& options,
              const std::function<int(const AdminConnection&)>& action) {
  const absl::StatusOr<config::Config> config = LoadSettings(cli.command_line);
  if (!config.ok()) return FailConfig(config.status());
  const absl::StatusOr<AdminConnection> admin = ConnectToAdmin(*config, options);
  if (!admin.ok()) return Fail(admin.status(), "Check --address and --token-file.");
  return action(*admin);
}

int WithRun(const CliState& cli, const AdminOptions& options,
            const std::function<int(const AdminConnection&)>& action) {
  const absl::StatusOr<config::Config> config = LoadSettings(cli.command_line);
  if (!config.ok()) return FailConfig(config.status());
  if (!options.run.empty()) {
    const auto database = DatabaseAdmin::Create(*config, options.run);
    return database.ok() ? action((*database)->connection()) : FailDatabase(database.status());
  }
  const absl::StatusOr<AdminConnection> admin = ConnectToAdmin(*config, options);
  if (!admin.ok()) return Fail(admin.status(), "Check --address and --token-file.");
  const absl::Status asked = admin->client->GetRun().status();
  // Other errors are the command's own to tell.
  if (!absl::IsUnavailable(asked) && !absl::IsDeadlineExceeded(asked)) return action(*admin);
  if (!options.address.empty()) return FailAdmin(asked, admin->address);
  const auto database = DatabaseAdmin::Create(*config, "");
  if (!database.ok()) {
    const int code = FailAdmin(asked, admin->address);
    std::cerr << "The database does not answer either: " << database.status().message() << "\n";
    return code;
  }
  std::cerr << "No coordinator answers at " << admin->address
            << "; this is what the database has of run " << base::Printable((*database)->run_name())
            << ".\n";
  return action((*database)->connection());
}

int FailAdmin(const absl::Status& status, const std::string& address) {
  if (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) {
    return Fail(status, absl::StrCat("Is the coordinator running, and does it listen at ", address,
                                     " (coordinator.admin_listen, or --address)?"));
  }
  if (absl::IsUnauthenticated(status)) {
    return Fail(status,
                "Name the file with the coordinator's token: --token-file FILE, or "
                "coordinator.admin_token_file.");
  }
  if (absl::IsFailedPrecondition(status)) {
    return Fail(status, "See the state of the run: gannet status.");
  }
  if (absl::IsInvalidArgument(status)) return Fail(status, "Nothing was changed.");
  return Fail(status, "See the coordinator's log for more.");
}

}  // namespace gannet::cli
