#pragma once

#include <memory>

#include "libs/base/clock.h"
#include "libs/client/grpc_exchange.h"
#include "libs/exchange/testing/backend_fixture.h"
#include "libs/exchange/work_signal.h"
#include "services/gateway/gateway_server.h"

namespace gannet::gateway {

// Options of a gateway for tests: port 0, and parked claims look again after 20 ms instead of a
// second.
GatewayServerOptions TestGatewayOptions();

// A client of the gateway, of its own connections.
std::unique_ptr<client::GrpcExchange> ConnectTo(const GatewayServer& gateway);
std::unique_ptr<client::GrpcExchange> ConnectTo(int port);

// A backend seen through a gateway and its client, over a real socket: what holds for the backend
// must hold for this one.
class GatewayFixture final : public exchange::BackendFixture {
 public:
  explicit GatewayFixture(std::unique_ptr<exchange::BackendFixture> backend,
                          const GatewayServerOptions& options = TestGatewayOptions());
  ~GatewayFixture() override;

  exchange::Store& store() override { return backend_->store(); }
  exchange::Exchange& exchange() override { return *client_; }
  void AdvanceTime(absl::Duration by) override { backend_->AdvanceTime(by); }
  exchange::RunDump Dump(base::RunId run) override { return backend_->Dump(run); }
  bool DecodesGradients() const override { return true; }

 private:
  const std::unique_ptr<exchange::BackendFixture> backend_;
  base::RealClock clock_;
  exchange::WorkSignal signal_;
  std::unique_ptr<GatewayServer> gateway_;
  std::unique_ptr<client::GrpcExchange> client_;
};

}  // namespace gannet::gateway
