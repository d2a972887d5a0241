#include "services/coordinator/testing/fake_workers.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/check.h"
#include "libs/base/philox.h"
#include "libs/base/status_macros.h"
#include "libs/domain/model_layout.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/tensor/codec.h"

namespace gannet::coordinator {

TensorBundle FakeGradient(const RunConfig& config, Round round, Slot slot) {
  PhiloxStream stream(config.seed, RandomPurpose::kNoise, static_cast<uint64_t>(round.value()),
                      static_cast<uint64_t>(slot.value()));
  TensorBundle gradient;
  for (const TensorSpec& spec : GradientSpec(config.model)) {
    Tensor tensor = Tensor::Zeros(spec);
    FillNormal(stream, tensor.mutable_f32());
    if (absl::StrContains(spec.name, ".batch_var.")) {
      for (float& value : tensor.mutable_f32()) value = std::abs(value) + 0.5F;
    }
    gradient.Add(std::move(tensor));
  }
  return gradient;
}

FakeWorkers::FakeWorkers(Exchange& exchange, const RunConfig& config, int64_t incarnation)
    : exchange_(exchange), config_(config) {
  for (int i = 0; i < config.units_per_round; i += kMaxLeasesPerWorker) {
    workers_.push_back(TestWorker(i + 1, incarnation));
    const absl::StatusOr<JoinResult> joined = exchange.Join(TestJoin(workers_.back(), config));
    GANNET_CHECK(joined.ok());
    run_ = joined->run;
  }
}

absl::StatusOr<WorkUnit> FakeWorkers::ClaimOne() {
  const size_t worker = next_worker_++ % workers_.size();
  ClaimRequest request;
  request.worker = workers_[worker];
  request.run = run_;
  request.request_id = absl::StrFormat("%032x", ++next_request_);
  request.wait = kMaxClaimWait;
  GANNET_ASSIGN_OR_RETURN(const ClaimResult result, exchange_.Claim(request));
  if (!result.unit.has_value()) return absl::DeadlineExceededError("no unit came");
  claimed_.push_back({result.unit->unit, worker});
  return *result.unit;
}

absl::StatusOr<std::vector<WorkUnit>> FakeWorkers::ClaimRound() {
  std::vector<WorkUnit> units;
  for (int i = 0; i < config_.units_per_round; ++i) {
    GANNET_ASSIGN_OR_RETURN(WorkUnit unit, ClaimOne());
    units.push_back(std::move(unit));
  }
  std::sort(units.begin(), units.end(),
            [](const WorkUnit& a, const WorkUnit& b) { return a.slot < b.slot; });
  return units;
}

const WorkerIdentity& FakeWorkers::HolderOf(const WorkUnit& unit) const {
  const auto last = std::find_if(claimed_.rbegin(), claimed_.rend(),
                                 [&](const Claimed& claimed) { return claimed.unit == unit.unit; });
  GANNET_CHECK(last != claimed_.rend());
  return workers_[last->worker];
}

absl::StatusOr<SubmitOutcome> FakeWorkers::Submit(const WorkUnit& unit) {
  return Submit(unit, FakeGradient(config_, unit.round, unit.slot));
}

absl::StatusOr<SubmitOutcome> FakeWorkers::Submit(const WorkUnit& unit,
                                                  const TensorBundle& gradient) {
  GANNET_ASSIGN_OR_RETURN(std::string bytes, EncodeBundle(gradient, Codec::kFp32));
  return SubmitBytes(unit, std::move(bytes));
}

absl::StatusOr<SubmitOutcome> FakeWorkers::SubmitBytes(const WorkUnit& unit, std::string bytes) {
  SubmitRequest request;
  request.worker = HolderOf(unit);
  request.run = run_;
  request.unit = unit.unit;
  request.attempt = unit.attempt;
  request.stats = TestStats(config_);
  // Tells rounds and slots apart in the history.
  request.stats.generator_loss = static_cast<double>(unit.round.value());
  request.payload = Payload::FromBytes(Codec::kFp32, std::move(bytes));
  return exchange_.Submit(request);
}

absl::Status FakeWorkers::Fail(const WorkUnit& unit, const std::string& reason) {
  return exchange_.Fail(HolderOf(unit), run_, unit.unit, unit.attempt, reason);
}

absl::Status FakeWorkers::PlayRounds(int count, const std::vector<int>& order) {
  for (int i = 0; i < count; ++i) {
    GANNET_ASSIGN_OR_RETURN(const std::vector<WorkUnit> units, ClaimRound());
    for (const int slot : order) {
      GANNET_ASSIGN_OR_RETURN(const SubmitOutcome outcome,
                              Submit(units[static_cast<size_t>(slot)]));
      if (outcome != SubmitOutcome::kAccepted) {
        return absl::InternalError(absl::StrCat("not accepted: slot ", slot));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace gannet::coordinator
