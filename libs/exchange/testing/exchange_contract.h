#pragma once

#include <memory>
#include <ostream>
#include <string>

#include "gtest/gtest.h"
#include "libs/exchange/testing/backend_fixture.h"

namespace gannet {

// Every promise of exchange.h and store.h, as tests that any backend must pass:
//
//   std::unique_ptr<BackendFixture> MakeMemoryFixture();
//   GANNET_INSTANTIATE_EXCHANGE_CONTRACT(Memory, MakeMemoryFixture);
//
// in a test that links `exchange_testing`. The factory is called once per test and yields an empty
// backend each time; the fixture is destroyed before the next one is made.
struct ExchangeContractParam {
  std::string name;
  BackendFixtureFactory make;

  friend void PrintTo(const ExchangeContractParam& param, std::ostream* out) { *out << param.name; }
};

// Defined beside the tests, so that using it links them.
ExchangeContractParam MakeExchangeContractParam(const std::string& name,
                                                BackendFixtureFactory make);

class ExchangeContractTest : public ::testing::TestWithParam<ExchangeContractParam> {
 protected:
  void SetUp() override {
    backend_ = GetParam().make();
    ASSERT_NE(backend_, nullptr);
  }
  void TearDown() override { backend_.reset(); }

  BackendFixture& backend() { return *backend_; }
  Store& store() { return backend_->store(); }
  Exchange& exchange() { return backend_->exchange(); }

 private:
  std::unique_ptr<BackendFixture> backend_;
};

}  // namespace gannet

#define GANNET_INSTANTIATE_EXCHANGE_CONTRACT(prefix, factory) \
  INSTANTIATE_TEST_SUITE_P(                                   \
      prefix, ::gannet::ExchangeContractTest,                 \
      ::testing::Values(::gannet::MakeExchangeContractParam(#prefix, factory)))
