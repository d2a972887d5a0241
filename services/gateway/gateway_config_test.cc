#include "services/gateway/gateway_config.h"

#include "gtest/gtest.h"

namespace gannet {
namespace {

TEST(GatewayConfigTest, TakesOverWhatIsConfigured) {
  Config config;
  config.gateway.listen = "0.0.0.0:1234";
  config.gateway.drain_limit = absl::Seconds(3);
  config.database.pool_size = 7;

  const GatewayServerOptions options = GatewayOptionsFrom(config);

  EXPECT_EQ(options.rpc.listen, "0.0.0.0:1234");
  EXPECT_EQ(options.drain_limit, absl::Seconds(3));
  EXPECT_EQ(options.service.control_threads, 4);
  EXPECT_EQ(options.service.bulk_threads, 3);
}

TEST(GatewayConfigTest, OneConnectionIsEnough) {
  Config config;
  config.database.pool_size = 1;

  const GatewayServerOptions options = GatewayOptionsFrom(config);

  EXPECT_EQ(options.service.control_threads, 1);
  EXPECT_EQ(options.service.bulk_threads, 1);
  EXPECT_EQ(options.service.claims.max_looks_at_once, 1);
}

}  // namespace
}  // namespace gannet
