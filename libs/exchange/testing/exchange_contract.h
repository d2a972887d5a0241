#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "libs/exchange/testing/backend_fixture.h"
#include "libs/exchange/testing/test_values.h"

namespace gannet::exchange {

// Every promise of exchange.h and store.h, as tests that any backend must pass:
//
//   std::unique_ptr<BackendFixture> MakeMemoryFixture();
//   GANNET_INSTANTIATE_EXCHANGE_CONTRACT(Memory, MakeMemoryFixture);
//
// in namespace gannet, in a test that links `exchange_testing`. The factory is called once per test
// and yields an empty backend each time; the fixture is destroyed before the next one is made.
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
  void SetUp() override;
  void TearDown() override { backend_.reset(); }

  BackendFixture& backend() { return *backend_; }
  Store& store() { return backend_->store(); }
  Exchange& exchange() { return backend_->exchange(); }

  // A run of TinyRunConfig with `unit_count` units in round 1, led by leader 1.
  void StartRun(int unit_count = 3);

  void Join(const WorkerIdentity& worker);
  // One look, under a fresh request id.
  ClaimRequest NewClaim(const WorkerIdentity& worker);
  // Claims and expects a unit.
  WorkUnit ClaimUnit(const WorkerIdentity& worker);
  // Claims and expects that there is none.
  void ExpectNothingToClaim(const WorkerIdentity& worker);
  absl::StatusOr<domain::SubmitOutcome> Submit(const WorkerIdentity& worker, const WorkUnit& unit,
                                               float value = 1.0f);
  absl::StatusOr<HeartbeatResult> Heartbeat(const WorkerIdentity& worker, const WorkUnit& unit,
                                            int micro_batches_done);
  // Publishes the version after the current one, with `unit_count` units in the round to come.
  void Publish(int unit_count = 3, bool keep = false);
  void StartRunWithSpeculation();
  // As Publish, and takes stale work along. `consumed`: all that is there, stale ones included.
  void PublishTakingAlong(int max_stale_rounds, int unit_count = 2);
  void Finish();
  // Lets the worker fail the unit it holds, and claim it again, until it has failed permanently.
  void FailForGood(const WorkerIdentity& worker, const std::string& reason);

  // Runs `wait` in a thread and then `act` in this one; expects that `wait` ends because of it,
  // well before its own limit (at least 30 s). There must be no unit to claim before `act`.
  void ExpectWoken(const std::function<void()>& wait, const std::function<void()>& act);

  RunStatus Status();
  RoundProgress Progress(int64_t round);
  WorkerSummary Summary(const WorkerIdentity& worker);

  // A call and how it was answered, for every call that needs a joined worker.
  struct Answer {
    std::string call;
    absl::Status status;
  };
  std::vector<Answer> CallEverything(const WorkerIdentity& worker, base::RunId run);

  domain::RunConfig config_ = TinyRunConfig();  // changed before StartRun only
  base::RunId run_;
  Leadership leadership_;

 private:
  std::unique_ptr<BackendFixture> backend_;
  int request_count_ = 0;
};

}  // namespace gannet::exchange

#define GANNET_INSTANTIATE_EXCHANGE_CONTRACT(prefix, factory) \
  using ::gannet::exchange::ExchangeContractTest;             \
  INSTANTIATE_TEST_SUITE_P(                                   \
      prefix, ExchangeContractTest,                           \
      ::testing::Values(::gannet::exchange::MakeExchangeContractParam(#prefix, factory)))
