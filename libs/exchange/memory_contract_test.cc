#include "libs/exchange/testing/exchange_contract.h"
#include "libs/exchange/testing/memory_fixture.h"

namespace gannet::exchange {
namespace {

GANNET_INSTANTIATE_EXCHANGE_CONTRACT(Memory, MakeMemoryFixture);

}  // namespace
}  // namespace gannet::exchange
