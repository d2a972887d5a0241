#include "libs/rpc/reconnector.h"

#include <memory>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/clock.h"
#include "libs/base/testing/child_process.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/server.h"

namespace gannet::rpc {
namespace {

class ReconnectorTest : public testing::Test {
 protected:
  // On a port that stays the same.
  void Serve() {
    RpcServerOptions options;
    options.listen = absl::StrCat("127.0.0.1:", port_);
    auto server = RpcServer::Start(options, {}, metrics_, clock_);
    ASSERT_OK(server);
    server_ = *std::move(server);
    port_ = server_->bound_port();
  }

  std::shared_ptr<grpc::Channel> MakeChannelFor(ChannelUse use) const {
    return *MakeChannel({.target = absl::StrCat("127.0.0.1:", port_)}, use);
  }

  base::RealClock clock_;
  telemetry::Metrics metrics_;
  int port_ = 0;
  std::unique_ptr<RpcServer> server_;
};

bool IsConnected(grpc::Channel& channel) {
  return channel.GetState(/*try_to_connect=*/false) == GRPC_CHANNEL_READY;
}

TEST_F(ReconnectorTest, ConnectsEveryChannelOnceItIsAskedTo) {
  Serve();
  const auto control = MakeChannelFor(ChannelUse::kControl);
  const auto bulk = MakeChannelFor(ChannelUse::kBulk);
  Reconnector reconnector({control, bulk});
  EXPECT_EQ(control->GetState(false), GRPC_CHANNEL_IDLE);

  reconnector.Reconnect();
  EXPECT_TRUE(base::AwaitUntil([&] { return IsConnected(*control) && IsConnected(*bulk); }));
}

TEST_F(ReconnectorTest, FindsAServerThatComesBackWithoutAnyCall) {
  Serve();
  const auto channel = MakeChannelFor(ChannelUse::kControl);
  Reconnector reconnector({channel});
  server_.reset();
  reconnector.Reconnect();
  ASSERT_TRUE(
      base::AwaitUntil([&] { return channel->GetState(false) == GRPC_CHANNEL_TRANSIENT_FAILURE; }));

  Serve();
  EXPECT_TRUE(base::AwaitUntil([&] { return IsConnected(*channel); }));
}

TEST_F(ReconnectorTest, EndsAlthoughNobodyAnswers) {
  Serve();
  const auto channel = MakeChannelFor(ChannelUse::kControl);
  server_.reset();
  std::optional<Reconnector> reconnector;
  reconnector.emplace(std::vector{channel});
  reconnector->Reconnect();
  ASSERT_TRUE(
      base::AwaitUntil([&] { return channel->GetState(false) == GRPC_CHANNEL_TRANSIENT_FAILURE; }));

  reconnector.reset();  // does not wait for a connection
  EXPECT_FALSE(IsConnected(*channel));
}

}  // namespace
}  // namespace gannet::rpc
