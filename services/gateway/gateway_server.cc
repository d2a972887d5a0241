#include "services/gateway/gateway_server.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/host_name.h"
#include "libs/base/status_macros.h"
#include "libs/telemetry/retrying_caller.h"

namespace gannet::gateway {

absl::StatusOr<std::unique_ptr<GatewayServer>> GatewayServer::Start(
    const GatewayServerOptions& options, base::Clock& clock, telemetry::Logger& log) {
  auto server = std::unique_ptr<GatewayServer>(new GatewayServer(options, clock, log));
  GANNET_ASSIGN_OR_RETURN(server->metrics_server_, telemetry::MetricsServer::Start(
                                                       server->metrics_, options.metrics_listen));
  rpc::RpcServerOptions rpc = options.rpc;
  rpc.metric_prefix = "gannet_gateway_rpc";
  GANNET_ASSIGN_OR_RETURN(
      server->rpc_server_,
      rpc::RpcServer::Start(rpc,
                            {{&server->grpc_service_, v1::ExchangeService::service_full_name()}},
                            server->metrics_, clock));
  if (!options.health_listen.empty()) {
    rpc::RpcServerOptions health;
    health.listen = options.health_listen;
    health.metric_prefix = "gannet_gateway_health_rpc";
    GANNET_ASSIGN_OR_RETURN(server->health_server_,
                            rpc::RpcServer::Start(health, {}, server->metrics_, clock));
  }
  return server;
}

GatewayServer::GatewayServer(const GatewayServerOptions& options, base::Clock& clock,
                             telemetry::Logger& log)
    : options_(options),
      clock_(clock),
      log_(log),
      gateway_metrics_(metrics_),
      refusals_(metrics_, clock),
      grpc_service_(gateway_metrics_, options.class_code) {}

GatewayServer::~GatewayServer() { Stop(); }

absl::Status GatewayServer::Run(const Connect& connect) {
  const absl::Status ready = AwaitBackend(connect);
  if (ready.ok()) stop_.Await();
  Stop();
  return absl::IsCancelled(ready) ? absl::OkStatus() : ready;
}

absl::Status GatewayServer::AwaitBackend(const Connect& connect) {
  telemetry::RetryingCaller caller("the database", clock_, stop_, log_, options_.backoff);
  GANNET_ASSIGN_OR_RETURN(GatewayBackend backend,
                          caller.CallFor("connect", [&] { return connect(metrics_); }));
  Attach(std::move(backend));
  return absl::OkStatus();
}

void GatewayServer::Attach(GatewayBackend backend) {
  backend_ = std::move(backend);
  service_ = std::make_unique<GatewayService>(*backend_.exchange, *backend_.signal, clock_,
                                              gateway_metrics_, refusals_, log_, options_.service);
  grpc_service_.Attach(*service_);
  watch_ = std::make_unique<DatabaseWatch>(
      backend_.probe,
      [this](bool up) {
        gateway_metrics_.database_up.Set(up ? 1 : 0);
        if (!up) service_->ForgetEverything();
        SetServing(up);
      },
      clock_, log_, options_.database);
  if (backend_.reports != nullptr) {
    refusal_reporter_ = std::make_unique<RefusalReporter>(
        *backend_.reports, refusals_, absl::StrCat(base::HostName(), ":", port()), clock_, log_,
        options_.report_interval);
  }
}

void GatewayServer::SetServing(bool serving) {
  rpc_server_->SetServing(serving);
  if (health_server_ != nullptr) health_server_->SetServing(serving);
}

void GatewayServer::Stop() {
  if (stopped_) return;
  stopped_ = true;
  if (watch_ != nullptr) watch_->Stop();  // so that it does not say SERVING again
  if (rpc_server_ != nullptr) {
    SetServing(false);
    if (service_ != nullptr) service_->DrainClaims();
    rpc_server_->Stop(options_.drain_limit);
  }
  if (service_ != nullptr) service_->Stop();
  watch_.reset();
  refusal_reporter_.reset();
  if (metrics_server_ != nullptr) metrics_server_.reset();
}

}  // namespace gannet::gateway
