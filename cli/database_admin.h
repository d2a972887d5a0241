#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "cli/admin_connection.h"
#include "cli/database.h"
#include "libs/base/clock.h"
#include "libs/rpc/server.h"
#include "services/coordinator/grpc_admin_service.h"
#include "services/coordinator/run_admin.h"

namespace gannet::cli {

// A run of the database as its coordinator would describe it, for when none runs: the same admin
// service, in this process and for it alone.
//
// Thread safety: none.
class DatabaseAdmin {
 public:
  // Of the run `name`; when that is empty, of run.name if somebody set it, or else of the one run
  // that there is.
  // Returns: as ConnectToDatabase; NOT_FOUND - no such run, naming those that there are;
  // FAILED_PRECONDITION - there are several, and nobody said which.
  static absl::StatusOr<std::unique_ptr<DatabaseAdmin>> Create(const config::Config& config,
                                                               const std::string& name);
  ~DatabaseAdmin();

  const AdminConnection& connection() const { return connection_; }
  const std::string& run_name() const { return run_name_; }

 private:
  DatabaseAdmin(Database database, std::string token);

  Database database_;
  std::string run_name_;
  base::RealClock clock_;
  std::unique_ptr<coordinator::RunAdmin> admin_;
  coordinator::GrpcAdminService service_;
  std::unique_ptr<rpc::RpcServer> server_;  // before the others go
  AdminConnection connection_;
};

}  // namespace gannet::cli
