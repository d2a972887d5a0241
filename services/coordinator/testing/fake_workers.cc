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

tensor::TensorBundle FakeGradient(const domain::RunConfig& config, base::Round round,
                                  base::Slot slot) {
  base::PhiloxStream stream(config.seed, base::RandomPurpose::kNoise,
                            static_cast<uint64_t>(round.value()),
                            static_cast<uint64_t>(slot.value()));
  tensor::TensorBundle gradient;
  for (const tensor::TensorSpec& spec : domain::GradientSpec(config.model)) {
    tensor::Tensor tensor = tensor::Tensor::Zeros(spec);
    base::FillNormal(stream, tensor.mutable_f32());
    if (absl::StrContains(spec.name, ".batch_var.")) {
      for (float& value : tensor.mutable_f32()) value = std::abs(value) + 0.5F;
    }
    gradient.Add(std::move(tensor));
  }
  return gradient;
}

FakeWorkers::FakeWorkers(exchange::Exchange& exchange, const domain::RunConfig& config,
                         int64_t incarnation)
    : exchange_(exchange), config_(config) {
  for (int i = 0; i < config.units_per_round; i += domain::kMaxLeasesPerWorker) {
    workers_.push_back(exchange::TestWorker(i + 1, incarnation));
    const absl::StatusOr<exchange::JoinResult> joined =
        exchange.Join(exchange::TestJoin(workers_.back(), config));
    GANNET_CHECK(joined.ok());
    run_ = joined->run;
  }
}

absl::StatusOr<exchange::WorkUnit> FakeWorkers::ClaimOne() {
  const size_t worker = next_worker_++ % workers_.size();
  exchange::ClaimRequest request;
  request.worker = workers_[worker];
  request.run = run_;
  request.request_id = absl::StrFormat("%032x", ++next_request_);
  request.wait = exchange::kMaxClaimWait;
  GANNET_ASSIGN_OR_RETURN(const exchange::ClaimResult result, exchange_.Claim(request));
  if (!result.unit.has_value()) return absl::DeadlineExceededError("no unit came");
  claimed_.push_back({result.unit->unit, worker});
  return *result.unit;
}

absl::StatusOr<std::vector<exchange::WorkUnit>> FakeWorkers::ClaimRound() {
  std::vector<exchange::WorkUnit> units;
  for (int i = 0; i < config_.units_per_round; ++i) {
    GANNET_ASSIGN_OR_RETURN(exchange::WorkUnit unit, ClaimOne());
    units.push_back(std::move(unit));
  }
  std::sort(
      units.begin(), units.end(),
      [](const exchange::WorkUnit& a, const exchange::WorkUnit& b) { return a.slot < b.slot; });
  return units;
}

const exchange::WorkerIdentity& FakeWorkers::HolderOf(const exchange::WorkUnit& unit) const {
  const auto last = std::find_if(claimed_.rbegin(), claimed_.rend(),
                                 [&](const Claimed& claimed) { return claimed.unit == unit.unit; });
  GANNET_CHECK(last != claimed_.rend());
  return workers_[last->worker];
}

absl::StatusOr<domain::SubmitOutcome> FakeWorkers::Submit(const exchange::WorkUnit& unit) {
  return Submit(unit, FakeGradient(config_, unit.round, unit.slot));
}

absl::StatusOr<domain::SubmitOutcome> FakeWorkers::Submit(const exchange::WorkUnit& unit,
                                                          const tensor::TensorBundle& gradient) {
  GANNET_ASSIGN_OR_RETURN(std::string bytes, EncodeBundle(gradient, tensor::Codec::kFp32));
  return SubmitBytes(unit, std::move(bytes));
}

absl::StatusOr<domain::SubmitOutcome> FakeWorkers::SubmitBytes(const exchange::WorkUnit& unit,
                                                               std::string bytes) {
  exchange::SubmitRequest request;
  request.worker = HolderOf(unit);
  request.run = run_;
  request.unit = unit.unit;
  request.attempt = unit.attempt;
  request.stats = exchange::TestStats(config_);
  // Tells rounds and slots apart in the history.
  request.stats.generator_loss = static_cast<double>(unit.round.value());
  request.payload = exchange::Payload::FromBytes(tensor::Codec::kFp32, std::move(bytes));
  return exchange_.Submit(request);
}

absl::Status FakeWorkers::Fail(const exchange::WorkUnit& unit, const std::string& reason) {
  return exchange_.Fail(HolderOf(unit), run_, unit.unit, unit.attempt, reason);
}

absl::Status FakeWorkers::PlayRounds(int count, const std::vector<int>& order) {
  for (int i = 0; i < count; ++i) {
    GANNET_ASSIGN_OR_RETURN(const std::vector<exchange::WorkUnit> units, ClaimRound());
    for (const int slot : order) {
      GANNET_ASSIGN_OR_RETURN(const domain::SubmitOutcome outcome,
                              Submit(units[static_cast<size_t>(slot)]));
      if (outcome != domain::SubmitOutcome::kAccepted) {
        return absl::InternalError(absl::StrCat("not accepted: slot ", slot));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace gannet::coordinator
