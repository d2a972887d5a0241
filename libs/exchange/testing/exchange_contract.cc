#include "libs/exchange/testing/exchange_contract.h"

#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/clock.h"
#include "libs/base/sha256.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/domain/gradient_limits.h"
#include "libs/domain/round_plan.h"
#include "libs/exchange/testing/contract/contract_support.h"
#include "libs/exchange/validation.h"

namespace gannet::exchange {
ExchangeContractParam MakeExchangeContractParam(const std::string& name,
                                                BackendFixtureFactory make) {
  return {name, std::move(make)};
}

void ExchangeContractTest::SetUp() {
  backend_ = GetParam().make();
  ASSERT_NE(backend_, nullptr);
}

void ExchangeContractTest::ExpectWoken(const std::function<void()>& wait,
                                       const std::function<void()>& act) {
  base::RealClock clock;
  const absl::Duration start = clock.Steady();
  std::thread waiter(wait);
  // A claim that comes later and has waited without a result: by then the waiter waits, too.
  ClaimRequest bystander = NewClaim(TestWorker(99));
  bystander.wait = absl::Milliseconds(100);
  const absl::Status joined = exchange().Join(TestJoin(bystander.worker, config_)).status();
  const absl::StatusOr<ClaimResult> nothing = exchange().Claim(bystander);
  act();
  waiter.join();
  EXPECT_LT(clock.Steady() - start, absl::Seconds(20)) << "nothing woke the waiter";
  EXPECT_OK(joined);
  ASSERT_OK(nothing);
  EXPECT_FALSE(nothing->unit.has_value());
}

void ExchangeContractTest::StartRun(int unit_count) {
  NewRun run = TestNewRun(config_);
  run.units.resize(static_cast<size_t>(unit_count));
  run_ = Must(store().CreateRun(run));
  leadership_ = Must(store().AcquireLeadership(run_, TestLeader(1), kMaxLeadershipTtl));
}

void ExchangeContractTest::Join(const WorkerIdentity& worker) {
  Must(exchange().Join(TestJoin(worker, config_)).status());
}

ClaimRequest ExchangeContractTest::NewClaim(const WorkerIdentity& worker) {
  return {worker, run_, absl::StrFormat("%032x", ++request_count_), absl::ZeroDuration()};
}

WorkUnit ExchangeContractTest::ClaimUnit(const WorkerIdentity& worker) {
  ClaimResult result = Must(exchange().Claim(NewClaim(worker)));
  if (!result.unit.has_value()) throw std::runtime_error("there is no unit to claim");
  return *std::move(result.unit);
}

void ExchangeContractTest::ExpectNothingToClaim(const WorkerIdentity& worker) {
  EXPECT_FALSE(Must(exchange().Claim(NewClaim(worker))).unit.has_value());
}

absl::StatusOr<domain::SubmitOutcome> ExchangeContractTest::Submit(const WorkerIdentity& worker,
                                                                   const WorkUnit& unit,
                                                                   float value) {
  return exchange().Submit(TestSubmit(config_, worker, unit, value));
}

absl::StatusOr<HeartbeatResult> ExchangeContractTest::Heartbeat(const WorkerIdentity& worker,
                                                                const WorkUnit& unit,
                                                                int micro_batches_done) {
  return exchange().Heartbeat(worker, run_, {{unit.unit, unit.attempt, micro_batches_done}});
}

void ExchangeContractTest::Publish(int unit_count, bool keep) {
  PublishRequest request = TestPublish(config_, run_, leadership_, Status().weights_version);
  request.next_units.resize(static_cast<size_t>(unit_count));
  request.keep = keep;
  Must(store().Publish(request));
}

void ExchangeContractTest::Finish() {
  PublishRequest request = TestPublish(config_, run_, leadership_, Status().weights_version);
  request.next_units.clear();
  request.finished = true;
  Must(store().Publish(request));
}

void ExchangeContractTest::FailForGood(const WorkerIdentity& worker, const std::string& reason) {
  for (int failure = 0; failure < domain::kMaxUnitFailures; ++failure) {
    const WorkUnit unit = ClaimUnit(worker);
    Must(exchange().Fail(worker, run_, unit.unit, unit.attempt, reason));
    backend().AdvanceTime(domain::RequeueBackoff(unit.attempt, domain::RequeueCause::kFailed));
  }
}

RunStatus ExchangeContractTest::Status() { return Must(store().GetRunStatus(run_)); }

RoundProgress ExchangeContractTest::Progress(int64_t round) {
  return Must(store().GetRoundProgress(run_, base::Round(round)));
}

WorkerSummary ExchangeContractTest::Summary(const WorkerIdentity& worker) {
  for (const WorkerSummary& summary : Must(store().ListWorkers(run_, base::WorkerId(), kMaxPage))) {
    if (summary.worker == worker.id) return summary;
  }
  throw std::runtime_error("the worker is not listed");
}

std::vector<ExchangeContractTest::Answer> ExchangeContractTest::CallEverything(
    const WorkerIdentity& worker, base::RunId run) {
  WorkUnit unit;
  unit.run = run;
  unit.unit = base::UnitId(1);
  unit.attempt = base::Attempt(1);
  ClaimRequest claim = NewClaim(worker);
  claim.run = run;
  return {
      {"Describe", exchange().Describe(worker, run).status()},
      {"Claim", exchange().Claim(claim).status()},
      {"FetchWeights", exchange().FetchWeights({worker, run, base::WeightsVersion(0)}).status()},
      {"Submit", Submit(worker, unit).status()},
      {"Heartbeat", exchange().Heartbeat(worker, run, {}).status()},
      {"Release", exchange().Release(worker, run, unit.unit, unit.attempt)},
      {"Fail", exchange().Fail(worker, run, unit.unit, unit.attempt, "unreadable image")},
      {"Leave", exchange().Leave(worker, run)},
  };
}

}  // namespace gannet::exchange
