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
std::unique_ptr<GrpcExchange> ConnectTo(const GatewayServer& gateway);
std::unique_ptr<GrpcExchange> ConnectTo(int port);

// A backend seen through a gateway and its client, over a real socket: what holds for the backend
// must hold for this one.
class GatewayFixture final : public BackendFixture {
 public:
  explicit GatewayFixture(std::unique_ptr<BackendFixture> backend,
                          const GatewayServerOptions& options = TestGatewayOptions());
  ~GatewayFixture() override;

  Store& store() override { return backend_->store(); }
  Exchange& exchange() override { return *client_; }
  void AdvanceTime(absl::Duration by) override { backend_->AdvanceTime(by); }
  RunDump Dump(RunId run) override { return backend_->Dump(run); }
  bool DecodesGradients() const override { return true; }

 private:
  const std::unique_ptr<BackendFixture> backend_;
  RealClock clock_;
  WorkSignal signal_;
  std::unique_ptr<GatewayServer> gateway_;
  std::unique_ptr<GrpcExchange> client_;
};

}  // namespace gannet::gateway
