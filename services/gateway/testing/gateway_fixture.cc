#include "services/gateway/testing/gateway_fixture.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/telemetry/log.h"

namespace gannet::gateway {

GatewayServerOptions TestGatewayOptions() {
  GatewayServerOptions options;
  options.service.claims.poll_interval = absl::Milliseconds(20);
  options.report_interval = absl::Milliseconds(20);
  // Tests of other things than the limits have any number of workers, in one process.
  options.service.joins.address_burst = 1e6;
  options.service.joins.total_burst = 1e6;
  options.rpc.max_concurrent_streams_per_connection = 1024;
  return options;
}

std::unique_ptr<client::GrpcExchange> ConnectTo(const GatewayServer& gateway) {
  return ConnectTo(gateway.port());
}

std::unique_ptr<client::GrpcExchange> ConnectTo(int port) {
  client::GrpcExchangeOptions options;
  options.channel.target = absl::StrCat("127.0.0.1:", port);
  // A test that waits this long has failed.
  options.call_limit = absl::Seconds(60);
  auto client = client::GrpcExchange::Create(options);
  GANNET_CHECK(client.ok());
  return *std::move(client);
}

GatewayFixture::GatewayFixture(std::unique_ptr<exchange::BackendFixture> backend,
                               const GatewayServerOptions& options)
    : backend_(std::move(backend)) {
  auto gateway = GatewayServer::Start(options, clock_, telemetry::NullLogger());
  GANNET_CHECK(gateway.ok());
  gateway_ = *std::move(gateway);
  const absl::Status ready = gateway_->AwaitBackend([this](telemetry::Metrics&) {
    return GatewayBackend{
        .owner = nullptr, .exchange = &backend_->exchange(), .signal = &signal_, .probe = [] {
          return absl::OkStatus();
        }};
  });
  GANNET_CHECK(ready.ok());
  client_ = ConnectTo(*gateway_);
}

GatewayFixture::~GatewayFixture() {
  client_.reset();
  gateway_->Stop();
}

}  // namespace gannet::gateway
