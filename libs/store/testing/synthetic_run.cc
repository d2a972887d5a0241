#include "libs/store/testing/synthetic_run.h"

#include "absl/strings/str_cat.h"
#include "libs/base/hex.h"
#include "libs/base/philox.h"
#include "libs/base/status_macros.h"

namespace gannet::store {

std::string Noise(size_t bytes, uint64_t seed) {
  std::string noise;
  noise.reserve(bytes + 16);
  base::PhiloxStream stream(seed, base::RandomPurpose::kNoise, 0, 0);
  while (noise.size() < bytes) {
    const uint32_t word = stream.Next32();
    noise.append(reinterpret_cast<const char*>(&word), sizeof(word));
  }
  noise.resize(bytes);
  return noise;
}

absl::StatusOr<std::unique_ptr<SyntheticRun>> SyntheticRun::Create(exchange::Store& store,
                                                                   exchange::Exchange& exchange,
                                                                   const std::string& name,
                                                                   int units_per_round,
                                                                   size_t payload_bytes) {
  auto run = std::unique_ptr<SyntheticRun>(new SyntheticRun(store, exchange, units_per_round));
  run->config_.name = name;
  run->config_.model = {.image_size = 32, .latent_dim = 4, .base_width = 1};
  run->config_.images_per_unit = 1;
  run->config_.units_per_round = units_per_round;
  run->config_.micro_batch = 1;
  run->config_.round_count = 1'000'000;
  run->config_.policy.speculation_multiplier = 0;
  run->config_.data = {"procedural", 1000, std::string(64, '0'), "nothing"};
  run->payload_ = exchange::Payload::FromBytes(tensor::Codec::kFp32, Noise(payload_bytes, 1));
  exchange::NewRun fresh;
  fresh.config = run->config_;
  fresh.weights = run->payload_;
  fresh.adam_state = run->payload_;
  fresh.units = run->Units(1);
  GANNET_ASSIGN_OR_RETURN(run->run_, store.CreateRun(fresh));
  GANNET_ASSIGN_OR_RETURN(
      run->leadership_,
      store.AcquireLeadership(run->run_, base::LeaderId(base::RandomHex(16)), absl::Hours(1)));
  return run;
}

absl::StatusOr<exchange::WorkerIdentity> SyntheticRun::Join() {
  exchange::JoinRequest join;
  join.worker = {base::WorkerId(base::RandomHex(16)), base::RandomHex(32), base::Incarnation(1)};
  join.run_name = config_.name;
  join.data = config_.data;
  GANNET_RETURN_IF_ERROR(exchange_.Join(join).status());
  return join.worker;
}

absl::StatusOr<bool> SyntheticRun::ClaimAndSubmit(const exchange::WorkerIdentity& worker) {
  GANNET_ASSIGN_OR_RETURN(
      const exchange::ClaimResult claim,
      exchange_.Claim({worker, run_, base::RandomHex(16), absl::ZeroDuration()}));
  if (!claim.unit.has_value()) return false;
  exchange::SubmitRequest request;
  request.worker = worker;
  request.run = run_;
  request.unit = claim.unit->unit;
  request.attempt = claim.unit->attempt;
  request.stats.image_count = 1;
  request.stats.micro_batch_count = 1;
  request.payload = payload_;
  GANNET_ASSIGN_OR_RETURN(const domain::SubmitOutcome outcome, exchange_.Submit(request));
  if (outcome != domain::SubmitOutcome::kAccepted) return absl::InternalError("not accepted");
  return true;
}

absl::Status SyntheticRun::PrepareNext() {
  return store_.ReclaimOldBlobs(run_, leadership_, base::Round(version_ + 2));
}

absl::Status SyntheticRun::CheckPayloads(const exchange::WorkerIdentity& worker) {
  const auto check = [&](const absl::StatusOr<exchange::Payload>& payload) -> absl::Status {
    GANNET_RETURN_IF_ERROR(payload.status());
    if (payload->bytes == nullptr || *payload->bytes != *payload_.bytes) {
      return absl::DataLossError("other bytes than those submitted");
    }
    return absl::OkStatus();
  };
  GANNET_ASSIGN_OR_RETURN(const exchange::RoundProgress progress,
                          store_.GetRoundProgress(run_, base::Round(version_ + 1)));
  if (progress.gradients.size() != static_cast<size_t>(units_per_round_)) {
    return absl::DataLossError(absl::StrCat("gradients: ", progress.gradients.size()));
  }
  for (const exchange::GradientInfo& gradient : progress.gradients) {
    GANNET_RETURN_IF_ERROR(check(store_.FetchGradient(run_, gradient.unit)));
  }
  return check(exchange_.FetchWeights({worker, run_, base::WeightsVersion(version_)}));
}

absl::Status SyntheticRun::Publish() {
  exchange::PublishRequest request;
  request.run = run_;
  request.leadership = leadership_;
  request.expected_version = base::WeightsVersion(version_);
  request.weights = payload_;
  request.adam_state = payload_;
  request.summary.round = base::Round(version_ + 1);
  request.next_units = Units(version_ + 2);
  GANNET_RETURN_IF_ERROR(store_.Publish(request));
  ++version_;
  return absl::OkStatus();
}

absl::Status SyntheticRun::SaveBest() {
  return store_.SaveBest(run_, leadership_, {base::WeightsVersion(version_), 0.5}, payload_);
}

std::vector<domain::PlannedUnit> SyntheticRun::Units(int64_t round) const {
  std::vector<domain::PlannedUnit> units;
  units.reserve(static_cast<size_t>(units_per_round_));
  for (int slot = 0; slot < units_per_round_; ++slot)
    units.push_back({base::Slot(slot), {round % 1000}});
  return units;
}

}  // namespace gannet::store
