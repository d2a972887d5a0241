#include "libs/rpc/server.h"

#include <chrono>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/server_builder.h"
#include "grpcpp/support/server_interceptor.h"
#include "libs/base/status_macros.h"
#include "libs/rpc/address.h"
#include "libs/rpc/call_metrics.h"

namespace gannet::rpc {
namespace {

// Lives as long as its call.
class CallTimer final : public grpc::experimental::Interceptor {
 public:
  CallTimer(CallMetrics& metrics, base::Clock& clock, std::string path)
      : metrics_(metrics), clock_(clock), path_(std::move(path)), start_(clock.Steady()) {
    metrics_.Started();
  }

  ~CallTimer() override { metrics_.Finished(path_, code_, clock_.Steady() - start_); }

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(
            grpc::experimental::InterceptionHookPoints::PRE_SEND_STATUS)) {
      code_ = static_cast<absl::StatusCode>(methods->GetSendStatus().error_code());
    }
    methods->Proceed();
  }

 private:
  CallMetrics& metrics_;
  base::Clock& clock_;
  const std::string path_;
  const absl::Duration start_;
  absl::StatusCode code_ = absl::StatusCode::kCancelled;  // until a status is sent
};

// Owned by the server, hence it owns the metrics its timers use.
class CallTimerFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  CallTimerFactory(std::unique_ptr<CallMetrics> metrics, base::Clock& clock)
      : metrics_(std::move(metrics)), clock_(clock) {}

  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    return new CallTimer(*metrics_, clock_, info->method());
  }

 private:
  const std::unique_ptr<CallMetrics> metrics_;
  base::Clock& clock_;
};

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

// Both switches are global to the process in gRPC and may be set once only.
void EnablePlugins() {
  static std::once_flag once;
  std::call_once(once, [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });
}

}  // namespace

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(
    const RpcServerOptions& options, const std::vector<ServedService>& services,
    telemetry::Metrics& metrics, base::Clock& clock) {
  GANNET_RETURN_IF_ERROR(ParseAddress(options.listen).status());
  EnablePlugins();

  auto server = std::unique_ptr<RpcServer>(new RpcServer());
  grpc::ServerBuilder builder;
  // Otherwise a second server on the same port would start, and take half of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(options.keepalive_interval));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             Milliseconds(options.keepalive_timeout));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             Milliseconds(options.min_client_ping_interval));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             options.max_concurrent_streams_per_connection);
  if (options.max_connection_idle < absl::InfiniteDuration()) {
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS,
                               Milliseconds(options.max_connection_idle));
  }
  builder.SetMaxReceiveMessageSize(options.max_receive_message_bytes);
  for (const ServedService& served : services) {
    builder.RegisterService(served.service);
    server->service_names_.push_back(served.full_name);
  }
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(std::make_unique<CallTimerFactory>(
      std::make_unique<CallMetrics>(metrics, options.metric_prefix, server->service_names_),
      clock));
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  builder.AddListeningPort(options.listen, options.credentials, &server->port_);

  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr || server->port_ == 0) {
    return absl::UnavailableError(absl::StrCat(
        "cannot listen: the port is in use, or the host is not an address of this machine. Stop "
        "the other process or choose another address; got ",
        options.listen));
  }
  server->SetServing(false);
  return server;
}

RpcServer::~RpcServer() {
  if (server_ != nullptr) Stop(absl::ZeroDuration());
}

void RpcServer::SetServing(bool serving) {
  grpc::HealthCheckServiceInterface* health = server_->GetHealthCheckService();
  health->SetServingStatus("", serving);
  for (const std::string& name : service_names_) health->SetServingStatus(name, serving);
}

void RpcServer::Stop(absl::Duration limit) {
  base::MutexLock lock(stop_mu_);
  if (stopped_) return;
  stopped_ = true;
  server_->Shutdown(std::chrono::system_clock::now() +
                    std::chrono::milliseconds(absl::ToInt64Milliseconds(limit)));
  server_->Wait();
}

}  // namespace gannet::rpc
