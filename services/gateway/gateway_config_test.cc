#include "services/gateway/gateway_config.h"

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::gateway {
namespace {

TEST(GatewayConfigTest, TakesOverWhatIsConfigured) {
  config::Config config;
  config.gateway.listen = "0.0.0.0:1234";
  config.gateway.drain_limit = absl::Seconds(3);
  config.database.pool_size = 7;

  ASSERT_OK_AND_ASSIGN(const GatewayServerOptions options, GatewayOptionsFrom(config, absl::Now()));

  EXPECT_EQ(options.rpc.listen, "0.0.0.0:1234");
  EXPECT_EQ(options.drain_limit, absl::Seconds(3));
  EXPECT_EQ(options.service.control_threads, 4);
  EXPECT_EQ(options.service.bulk_threads, 3);
}

TEST(GatewayConfigTest, OneConnectionIsEnough) {
  config::Config config;
  config.database.pool_size = 1;

  ASSERT_OK_AND_ASSIGN(const GatewayServerOptions options, GatewayOptionsFrom(config, absl::Now()));

  EXPECT_EQ(options.service.control_threads, 1);
  EXPECT_EQ(options.service.bulk_threads, 1);
  EXPECT_EQ(options.service.claims.max_concurrent_polls, 1);
}

}  // namespace
}  // namespace gannet::gateway
