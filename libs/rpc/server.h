#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/impl/service_type.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/telemetry/metrics.h"

namespace gannet::rpc {

struct RpcServerOptions {
  std::string listen = "127.0.0.1:0";  // "HOST:PORT"; port 0 picks a free one
  std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
  std::string metric_prefix = "gannet_rpc";  // of CallMetrics

  // Of one message; payloads come in chunks of at most 1 MiB.
  int max_receive_message_bytes = 4 << 20;
  int max_concurrent_streams_per_connection = 1024;

  // A connection without a call for so long is closed; its client makes a new one when it has one.
  absl::Duration max_connection_idle = absl::InfiniteDuration();

  // A client that goes silent is found dead after interval + timeout.
  absl::Duration keepalive_interval = absl::Seconds(30);
  absl::Duration keepalive_timeout = absl::Seconds(10);
  // Clients may ping this often; must be well below their own interval (30 s), or gRPC hangs up
  // with "too_many_pings".
  absl::Duration min_client_ping_interval = absl::Seconds(10);
};

// A service to serve, and its full protobuf name, which health checks and metrics go by.
struct ServedService {
  grpc::Service* service = nullptr;
  std::string full_name;
};

// A gRPC server with what each of ours needs: health service (grpc.health.v1), reflection,
// keepalive, limits and call metrics.
//
//   ASSIGN_OR_RETURN(server, RpcServer::Start(options, {{&service, "gannet.v1.ExchangeService"}},
//   metrics, clock)); server->SetServing(true);   // health answers NOT_SERVING until then …
//   server->SetServing(false);  // load balancers look away
//   server->Stop(absl::Seconds(10));
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: services, metrics and clock must outlive it. The destructor stops at
// once.
class RpcServer {
 public:
  // Listens and answers calls from here on.
  // Returns: INVALID_ARGUMENT - the address is malformed; UNAVAILABLE - it cannot be listened on,
  // for instance because the port is in use.
  static absl::StatusOr<std::unique_ptr<RpcServer>> Start(
      const RpcServerOptions& options, const std::vector<ServedService>& services,
      telemetry::Metrics& metrics, base::Clock& clock);
  ~RpcServer();
  RpcServer(const RpcServer&) = delete;
  RpcServer& operator=(const RpcServer&) = delete;

  int bound_port() const { return port_; }

  // What the health service answers, for the server ("") and for each service.
  void SetServing(bool serving);

  // Refuses new calls, lets those in progress end within `limit`, cancels the rest and waits for
  // their handlers. Idempotent.
  void Stop(absl::Duration limit);

 private:
  RpcServer() = default;

  std::vector<std::string> service_names_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  base::Mutex stop_mu_;
  bool stopped_ ABSL_GUARDED_BY(stop_mu_) = false;
};

}  // namespace gannet::rpc
