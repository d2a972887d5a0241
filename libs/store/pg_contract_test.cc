#include "libs/exchange/testing/exchange_contract.h"
#include "libs/store/testing/pg_fixture.h"

namespace gannet::store {
namespace {

GANNET_INSTANTIATE_EXCHANGE_CONTRACT(PostgreSql, MakePgFixture);

}  // namespace
}  // namespace gannet::store
