// Everything that is promised of an exchange holds for PostgreSQL seen through a gateway: the way a
// worker behind a firewall goes.
#include <memory>

#include "gtest/gtest.h"
#include "libs/exchange/testing/exchange_contract.h"
#include "libs/exchange/testing/memory_fixture.h"
#include "libs/exchange/testing/random_operations.h"
#include "libs/store/testing/pg_fixture.h"
#include "services/gateway/testing/gateway_fixture.h"

namespace gannet::cluster {
namespace {

std::unique_ptr<exchange::BackendFixture> MakeGatewayBeforePostgresFixture() {
  return std::make_unique<gateway::GatewayFixture>(store::MakePgFixture());
}

GANNET_INSTANTIATE_EXCHANGE_CONTRACT(GatewayBeforePostgreSql, MakeGatewayBeforePostgresFixture);

TEST(GatewayBeforePostgreSqlTest, MemoryAndPostgreSqlThroughAGatewayAnswerAlike) {
  gateway::GatewayServerOptions options = gateway::TestGatewayOptions();
  // Weights in memory outlive those in the database, which is the one difference that is meant.
  options.service.weights_cache_bytes = 0;
  exchange::MemoryFixture memory;
  gateway::GatewayFixture gateway(store::MakePgFixture(), options);

  EXPECT_TRUE(exchange::CompareRandomOperations(memory, gateway, 6, 2'000));
}

}  // namespace
}  // namespace gannet::cluster
