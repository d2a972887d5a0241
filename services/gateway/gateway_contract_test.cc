// Everything that is promised of an exchange holds through a gateway, too.
#include <memory>

#include "gtest/gtest.h"
#include "libs/exchange/testing/exchange_contract.h"
#include "libs/exchange/testing/memory_fixture.h"
#include "libs/exchange/testing/random_operations.h"
#include "services/gateway/testing/gateway_fixture.h"

namespace gannet::gateway {
namespace {

std::unique_ptr<exchange::BackendFixture> MakeGatewayFixture() {
  return std::make_unique<GatewayFixture>(exchange::MakeMemoryFixture());
}

GANNET_INSTANTIATE_EXCHANGE_CONTRACT(GatewayBeforeMemory, MakeGatewayFixture);

class GatewayRandomOperationsTest : public ::testing::TestWithParam<uint64_t> {};

TEST_P(GatewayRandomOperationsTest, AGatewayChangesNoAnswerAndNoState) {
  GatewayServerOptions options = TestGatewayOptions();
  // Weights in memory outlive those in the store, which is the one difference that is meant.
  options.service.weights_cache_bytes = 0;
  exchange::MemoryFixture memory;
  GatewayFixture gateway(exchange::MakeMemoryFixture(), options);

  EXPECT_TRUE(exchange::CompareRandomOperations(memory, gateway, GetParam(), 2'000));
}

INSTANTIATE_TEST_SUITE_P(Seeds, GatewayRandomOperationsTest, ::testing::Values(1, 2, 3));

}  // namespace
}  // namespace gannet::gateway
