#include "cli/database_admin.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/hex.h"
#include "libs/base/printable.h"
#include "libs/base/status_macros.h"

namespace gannet::cli {
namespace {

constexpr size_t kTokenBytes = 16;
constexpr absl::Duration kDrainLimit = absl::Seconds(1);
constexpr size_t kShownNames = 20;

std::string Shown(std::vector<std::string> names) {
  for (std::string& name : names) name = base::Printable(name);
  const size_t all = names.size();
  if (all <= kShownNames) return absl::StrJoin(names, ", ");
  // The newest are the ones that are asked for.
  names.erase(names.begin(), names.end() - kShownNames);
  return absl::StrCat(absl::StrJoin(names, ", "), " and ", all - kShownNames, " older ones");
}

absl::StatusOr<std::string> ChooseRun(const config::Config& config, const std::string& name,
                                      const std::vector<std::string>& names) {
  if (names.empty()) return absl::NotFoundError("the database has no run yet");
  const bool is_set = config.origins.count("run.name") > 0;
  const std::string wanted = !name.empty() ? name : is_set ? config.run.name : "";
  if (wanted.empty() && names.size() == 1) return names.front();
  if (wanted.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the database has several runs, name one with --run: ", Shown(names)));
  }
  if (std::find(names.begin(), names.end(), wanted) != names.end()) return wanted;
  return absl::NotFoundError(absl::StrCat("the database has no run ", base::Printable(wanted),
                                          ", but these: ", Shown(names)));
}

}  // namespace

DatabaseAdmin::DatabaseAdmin(Database database, std::string token)
    : database_(std::move(database)), service_(std::move(token)) {}

DatabaseAdmin::~DatabaseAdmin() {
  if (server_ != nullptr) server_->Stop(kDrainLimit);
}

absl::StatusOr<std::unique_ptr<DatabaseAdmin>> DatabaseAdmin::Create(const config::Config& config,
                                                                     const std::string& name) {
  GANNET_ASSIGN_OR_RETURN(Database database, ConnectToDatabase(config, "cli"));
  GANNET_ASSIGN_OR_RETURN(const std::vector<std::string> names, database.backend->ListRunNames());
  GANNET_ASSIGN_OR_RETURN(const std::string run_name, ChooseRun(config, name, names));
  exchange::Store& store = database.backend->store();
  GANNET_ASSIGN_OR_RETURN(const exchange::RunStatus status, store.FindRun(run_name));
  // Other users of this machine can reach the port, so they are asked for what only this knows.
  const std::string token = base::RandomHex(kTokenBytes);
  std::unique_ptr<DatabaseAdmin> admin(new DatabaseAdmin(std::move(database), token));
  admin->run_name_ = run_name;
  coordinator::CoordinatorView view;
  view.run = status.run;
  admin->admin_ = std::make_unique<coordinator::RunAdmin>(
      store, &admin->database_.backend->gateway_reports(), [view] { return view; });
  admin->service_.Attach(*admin->admin_);
  GANNET_ASSIGN_OR_RETURN(
      admin->server_,
      rpc::RpcServer::Start(rpc::RpcServerOptions(),
                            {{&admin->service_, v1::AdminService::service_full_name()}},
                            *admin->database_.metrics, admin->clock_));
  client::AdminClientOptions client;
  client.channel.target = absl::StrCat("127.0.0.1:", admin->server_->bound_port());
  client.token = token;
  GANNET_ASSIGN_OR_RETURN(admin->connection_.client, client::AdminClient::Create(client));
  admin->connection_.address = "the database";
  return admin;
}

}  // namespace gannet::cli
