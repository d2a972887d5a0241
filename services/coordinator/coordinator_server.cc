#include "services/coordinator/coordinator_server.h"

#include <utility>

#include "libs/base/status_macros.h"

namespace gannet::coordinator {
namespace {

// Calls of the admin service are short.
constexpr absl::Duration kDrainLimit = absl::Seconds(5);

}  // namespace

absl::StatusOr<std::unique_ptr<CoordinatorServer>> CoordinatorServer::Start(
    const CoordinatorServerOptions& options, base::Clock& clock, telemetry::Logger& log) {
  auto server = std::unique_ptr<CoordinatorServer>(new CoordinatorServer(options, clock, log));
  GANNET_ASSIGN_OR_RETURN(server->metrics_server_, telemetry::MetricsServer::Start(
                                                       server->metrics_, options.metrics_listen));
  rpc::RpcServerOptions rpc;
  rpc.listen = options.admin_listen;
  rpc.metric_prefix = "gannet_coordinator_rpc";
  GANNET_ASSIGN_OR_RETURN(
      server->rpc_server_,
      rpc::RpcServer::Start(rpc, {{&server->grpc_service_, v1::AdminService::service_full_name()}},
                            server->metrics_, clock));
  return server;
}

CoordinatorServer::CoordinatorServer(const CoordinatorServerOptions& options, base::Clock& clock,
                                     telemetry::Logger& log)
    : options_(options), clock_(clock), log_(log), grpc_service_(options.admin_token) {}

CoordinatorServer::~CoordinatorServer() {
  if (rpc_server_ != nullptr) rpc_server_->Stop(kDrainLimit);
}

absl::StatusOr<CoordinatorReport> CoordinatorServer::Run(const Connect& connect) {
  telemetry::RetryingCaller retry("the database", clock_, stop_, log_,
                                  options_.coordinator.term.backoff);
  absl::StatusOr<CoordinatorBackend> backend =
      retry.CallFor("connect", [&] { return connect(metrics_); });
  if (absl::IsCancelled(backend.status())) return CoordinatorReport();
  GANNET_RETURN_IF_ERROR(backend.status());
  backend_ = *std::move(backend);
  absl::StatusOr<CoordinatorReport> report = Coordinate(*backend_.store);
  rpc_server_->SetServing(false);
  rpc_server_->Stop(kDrainLimit);
  return report;
}

absl::StatusOr<CoordinatorReport> CoordinatorServer::Coordinate(exchange::Store& store) {
  GANNET_ASSIGN_OR_RETURN(coordinator_,
                          Coordinator::Create(options_.coordinator, store, clock_, log_, metrics_,
                                              [this](bool up) { rpc_server_->SetServing(up); }));
  admin_ =
      std::make_unique<RunAdmin>(store, backend_.gateways, [this] { return coordinator_->view(); });
  grpc_service_.Attach(*admin_);
  {
    base::MutexLock lock(mu_);
    running_ = coordinator_.get();
  }
  if (stop_.requested()) coordinator_->RequestStop();
  absl::StatusOr<CoordinatorReport> report = coordinator_->Run();
  base::MutexLock lock(mu_);
  running_ = nullptr;
  return report;
}

void CoordinatorServer::RequestStop() {
  stop_.Request();
  base::MutexLock lock(mu_);
  if (running_ != nullptr) running_->RequestStop();
}

}  // namespace gannet::coordinator
