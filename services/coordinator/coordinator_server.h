#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/exchange/gateway_reports.h"
#include "libs/exchange/store.h"
#include "libs/rpc/server.h"
#include "libs/telemetry/log.h"
#include "libs/telemetry/metrics.h"
#include "services/coordinator/coordinator.h"
#include "services/coordinator/grpc_admin_service.h"
#include "services/coordinator/run_admin.h"

namespace gannet::coordinator {

struct CoordinatorServerOptions {
  CoordinatorOptions coordinator;
  std::string admin_listen = "127.0.0.1:0";
  std::string admin_token;  // empty: none is asked for
  std::string metrics_listen = "127.0.0.1:0";
};

// What the coordinator writes to.
struct CoordinatorBackend {
  std::shared_ptr<void> owner;  // keeps the store alive; may be null when somebody else does
  exchange::Store* store = nullptr;
  exchange::GatewayReports* gateways = nullptr;  // may be null: nothing is known of them then
};

// The whole coordinator but for its process: main and tests start the same one.
//
//   ASSIGN_OR_RETURN(server, CoordinatorServer::Start(options, clock, log));  // listens
//   report = server->Run(connect);                           // until the run ends, or RequestStop
//
// The health service answers SERVING once the run is known and while the database answers.
//
// Thread safety: RequestStop and the ports from any thread; Run once, from one.
// Ownership and lifetime: clock and log must outlive it.
class CoordinatorServer {
 public:
  // Is given the metrics of the coordinator, for the backend to add its own.
  using Connect = std::function<absl::StatusOr<CoordinatorBackend>(telemetry::Metrics&)>;

  // Returns: INVALID_ARGUMENT, UNAVAILABLE - an address cannot be listened on.
  static absl::StatusOr<std::unique_ptr<CoordinatorServer>> Start(
      const CoordinatorServerOptions& options, base::Clock& clock, telemetry::Logger& log);
  ~CoordinatorServer();
  CoordinatorServer(const CoordinatorServer&) = delete;
  CoordinatorServer& operator=(const CoordinatorServer&) = delete;

  // Connects, again and again while the database cannot be reached, and coordinates. The admin
  // service ends with it.
  // Returns: as Coordinator::Create and Run; what `connect` returns that waiting cannot cure (for
  // instance FAILED_PRECONDITION - another schema version).
  absl::StatusOr<CoordinatorReport> Run(const Connect& connect);

  // Ends Run soon.
  void RequestStop();

  int admin_port() const { return rpc_server_->bound_port(); }
  int metrics_port() const { return metrics_server_->bound_port(); }

 private:
  CoordinatorServer(const CoordinatorServerOptions& options, base::Clock& clock,
                    telemetry::Logger& log);

  absl::StatusOr<CoordinatorReport> Coordinate(exchange::Store& store);

  const CoordinatorServerOptions options_;
  base::Clock& clock_;
  telemetry::Logger& log_;
  telemetry::Metrics metrics_;
  base::StopSignal stop_;
  CoordinatorBackend backend_;
  std::unique_ptr<Coordinator> coordinator_;
  std::unique_ptr<RunAdmin> admin_;
  GrpcAdminService grpc_service_;
  std::unique_ptr<telemetry::MetricsServer> metrics_server_;
  std::unique_ptr<rpc::RpcServer> rpc_server_;
  base::Mutex mu_;
  Coordinator* running_ ABSL_GUARDED_BY(mu_) = nullptr;
};

}  // namespace gannet::coordinator
