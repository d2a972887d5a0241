#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/backoff.h"
#include "libs/base/clock.h"
#include "libs/base/stop_signal.h"
#include "libs/exchange/exchange.h"
#include "libs/exchange/gateway_reports.h"
#include "libs/exchange/work_signal.h"
#include "libs/rpc/server.h"
#include "libs/telemetry/log.h"
#include "libs/telemetry/metrics.h"
#include "services/gateway/database_watch.h"
#include "services/gateway/gateway_metrics.h"
#include "services/gateway/gateway_service.h"
#include "services/gateway/grpc_gateway_service.h"
#include "services/gateway/refusal_reporter.h"
#include "services/gateway/refusals.h"

namespace gannet::gateway {

struct GatewayServerOptions {
  // A worker needs two connections and a handful of calls. gRPC 1.51 counts no connections: those
  // without a call are closed after a while, the rest is the firewall's (docs/operations.md).
  rpc::RpcServerOptions rpc = {.max_concurrent_streams_per_connection = 100,
                               .max_connection_idle = absl::Minutes(10)};
  std::string class_code;     // that workers must show at Join; empty: none is asked for
  std::string health_listen;  // of a server with nothing but health, without TLS; empty: none
  std::string metrics_listen = "127.0.0.1:0";
  absl::Duration drain_limit = absl::Seconds(10);
  GatewayServiceOptions service = {};
  DatabaseWatchOptions database = {};
  absl::Duration report_interval = absl::Seconds(5);  // between looks at what is refused
  base::BackoffPolicy backoff = {.initial = absl::Milliseconds(200),
                                 .max = absl::Seconds(5)};  // of the first connection
};

// What the gateway stands in front of.
struct GatewayBackend {
  std::shared_ptr<void> owner;  // keeps the rest alive; may be null when somebody else does
  exchange::Exchange* exchange = nullptr;
  exchange::WorkSignal* signal = nullptr;
  std::function<absl::Status()> probe;          // OK while the database answers
  exchange::GatewayReports* reports = nullptr;  // to be told what is refused; may be null
};

// The whole gateway but for its process: main and tests start the same one.
//
//   // Listens; NOT_SERVING, calls are UNAVAILABLE.
//   ASSIGN_OR_RETURN(server, GatewayServer::Start(options, clock, log));
//   // SERVING while the database answers, until RequestStop.
//   RETURN_IF_ERROR(server->Run(connect));
//
// Thread safety: RequestStop and the ports from any thread; the rest from one.
// Ownership and lifetime: clock and log must outlive it. The destructor stops.
class GatewayServer {
 public:
  // Is given the metrics of the gateway, for the backend to add its own.
  using Connect = std::function<absl::StatusOr<GatewayBackend>(telemetry::Metrics&)>;

  // Returns: INVALID_ARGUMENT, UNAVAILABLE - an address cannot be listened on.
  static absl::StatusOr<std::unique_ptr<GatewayServer>> Start(const GatewayServerOptions& options,
                                                              base::Clock& clock,
                                                              telemetry::Logger& log);
  ~GatewayServer();
  GatewayServer(const GatewayServer&) = delete;
  GatewayServer& operator=(const GatewayServer&) = delete;

  // AwaitBackend, serves until RequestStop, and stops. Asked to stop is OK, whenever that was.
  absl::Status Run(const Connect& connect);

  // Ends Run and AwaitBackend soon.
  void RequestStop() { stop_.Request(); }

  // Connects, again and again with growing pauses while the error is one that may pass, and says in
  // the log what is awaited. Call once. Returns: CANCELLED - asked to stop; else the error that
  // will not pass (for instance FAILED_PRECONDITION - another schema version).
  absl::Status AwaitBackend(const Connect& connect);

  // NOT_SERVING, parked claims answered without a unit, calls in progress ended within the drain
  // limit, then everything stopped. Idempotent.
  void Stop();

  int port() const { return rpc_server_->bound_port(); }
  int health_port() const { return health_server_ == nullptr ? 0 : health_server_->bound_port(); }
  int metrics_port() const { return metrics_server_->bound_port(); }

 private:
  GatewayServer(const GatewayServerOptions& options, base::Clock& clock, telemetry::Logger& log);

  void Attach(GatewayBackend backend);
  void SetServing(bool serving);

  const GatewayServerOptions options_;
  base::Clock& clock_;
  telemetry::Logger& log_;
  base::StopSignal stop_;
  telemetry::Metrics metrics_;
  GatewayMetrics gateway_metrics_;
  Refusals refusals_;
  GatewayBackend backend_;
  std::unique_ptr<GatewayService> service_;
  GrpcGatewayService grpc_service_;
  std::unique_ptr<telemetry::MetricsServer> metrics_server_;
  std::unique_ptr<rpc::RpcServer> rpc_server_;
  std::unique_ptr<rpc::RpcServer> health_server_;  // may be null
  std::unique_ptr<DatabaseWatch> watch_;
  std::unique_ptr<RefusalReporter> refusal_reporter_;  // may be null
  bool stopped_ = false;
};

}  // namespace gannet::gateway
