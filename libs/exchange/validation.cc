#include "libs/exchange/validation.h"

#include <cmath>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/hex.h"
#include "libs/base/printable.h"
#include "libs/base/status_macros.h"
#include "libs/base/training_choices.h"
#include "libs/domain/gradient_limits.h"
#include "libs/domain/round_plan.h"
#include "libs/domain/unit_state.h"

namespace gannet::exchange {
namespace {

// How the refusal of a removed worker begins; gannet.require_not_removed says the same.
constexpr char kRemovedWorker[] = "this worker was removed from the run: ";

absl::Status Invalid(const std::string& what) { return absl::InvalidArgumentError(what); }

absl::Status ValidateWorkerAndRun(const WorkerIdentity& worker, base::RunId run) {
  GANNET_RETURN_IF_ERROR(ValidateIdentity(worker));
  return ValidateAtLeast("run_id", 1, run.value());
}

absl::Status ValidateLease(const WorkerIdentity& worker, base::RunId run, base::UnitId unit,
                           base::Attempt attempt) {
  GANNET_RETURN_IF_ERROR(ValidateWorkerAndRun(worker, run));
  GANNET_RETURN_IF_ERROR(ValidateAtLeast("unit_id", 1, unit.value()));
  return ValidateAtLeast("attempt", 1, attempt.value());
}

absl::Status ValidateUnits(const char* field, const std::vector<domain::PlannedUnit>& units) {
  std::set<base::Slot> slots;
  for (const domain::PlannedUnit& unit : units) {
    GANNET_RETURN_IF_ERROR(ValidateAtLeast("slot", 0, unit.slot.value()));
    if (!slots.insert(unit.slot).second) {
      return Invalid(absl::StrCat(field, " names a slot twice: ", unit.slot.value()));
    }
    if (unit.image_indices.empty()) {
      return Invalid(absl::StrCat(field, " has a unit without images: slot ", unit.slot.value()));
    }
    for (const int64_t index : unit.image_indices) {
      GANNET_RETURN_IF_ERROR(ValidateAtLeast("image_indices", 0, index));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateAtLeast(const char* field, int64_t least, int64_t value) {
  if (value >= least) return absl::OkStatus();
  return Invalid(absl::StrCat(field, " must be at least ", least, ", got ", value));
}

absl::Status ValidateFinite(const char* field, double value) {
  if (std::isfinite(value)) return absl::OkStatus();
  return Invalid(absl::StrCat(field, " must be finite, got ", value));
}

absl::Status ValidateBetween(const char* field, double least, double most, double value) {
  // Not a number is between nothing.
  if (value >= least && value <= most) return absl::OkStatus();
  return Invalid(absl::StrCat(field, " must be between ", least, " and ", most, ", got ", value));
}

absl::Status ValidateStats(const GradientStats& stats) {
  GANNET_RETURN_IF_ERROR(ValidateAtLeast("stats.image_count", 1, stats.image_count));
  GANNET_RETURN_IF_ERROR(ValidateAtLeast("stats.micro_batch_count", 1, stats.micro_batch_count));
  GANNET_RETURN_IF_ERROR(ValidateBetween("stats.discriminator_loss", -domain::kDivergedLoss,
                                         domain::kDivergedLoss, stats.discriminator_loss));
  GANNET_RETURN_IF_ERROR(ValidateBetween("stats.generator_loss", -domain::kDivergedLoss,
                                         domain::kDivergedLoss, stats.generator_loss));
  GANNET_RETURN_IF_ERROR(ValidateBetween("stats.real_accuracy", 0, 1, stats.real_accuracy));
  GANNET_RETURN_IF_ERROR(ValidateBetween("stats.fake_accuracy", 0, 1, stats.fake_accuracy));
  return ValidateBetween("stats.compute_seconds", 0, domain::kMaxComputeSeconds,
                         stats.compute_seconds);
}

absl::Status ValidateText(const char* field, const std::string& text, int max_chars) {
  const std::optional<int> count = base::CountPlainCharacters(text);
  if (!count.has_value()) {
    return Invalid(
        absl::StrCat(field,
                     " must be UTF-8 without control, invisible, direction or private characters, "
                     "and begin with no combining mark"));
  }
  if (*count > max_chars) {
    return Invalid(
        absl::StrCat(field, " must have at most ", max_chars, " characters, got ", *count));
  }
  return absl::OkStatus();
}

absl::Status ValidateIdentity(const WorkerIdentity& worker) {
  if (!base::IsHex(worker.id.value(), 32)) {
    return Invalid("worker_id must be 32 lower-case hexadecimal digits");
  }
  if (!base::IsHex(worker.secret, 64)) {
    return Invalid("secret must be 64 lower-case hexadecimal digits");
  }
  return ValidateAtLeast("incarnation", 1, worker.incarnation.value());
}

absl::Status ValidateFingerprint(const domain::DataFingerprint& data) {
  if (data.kind.empty()) return Invalid("data.kind must not be empty");
  GANNET_RETURN_IF_ERROR(ValidateText("data.kind", data.kind, kMaxRunNameChars));
  GANNET_RETURN_IF_ERROR(ValidateAtLeast("data.image_count", 0, data.image_count));
  if (!base::IsHex(data.digest, 64)) {
    return Invalid("data.digest must be 64 lower-case hexadecimal digits");
  }
  return ValidateText("data.description", data.description, kMaxReasonChars);
}

absl::Status ValidateJoin(const JoinRequest& request) {
  GANNET_RETURN_IF_ERROR(ValidateIdentity(request.worker));
  GANNET_RETURN_IF_ERROR(ValidateText("run_name", request.run_name, kMaxRunNameChars));
  GANNET_RETURN_IF_ERROR(ValidateText("display_name", request.display_name, kMaxDisplayNameChars));
  GANNET_RETURN_IF_ERROR(ValidateText("hardware", request.hardware, kMaxHardwareChars));
  if (request.data.has_value()) GANNET_RETURN_IF_ERROR(ValidateFingerprint(*request.data));
  if (request.protocol_version < kMinProtocolVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("protocol version too old, upgrade the worker: expected at least ",
                     kMinProtocolVersion, ", got ", request.protocol_version));
  }
  return absl::OkStatus();
}

absl::Status ValidateClaim(const ClaimRequest& request) {
  GANNET_RETURN_IF_ERROR(ValidateWorkerAndRun(request.worker, request.run));
  if (!base::IsHex(request.request_id, 32)) {
    return Invalid("request_id must be 32 lower-case hexadecimal digits");
  }
  if (request.wait < absl::ZeroDuration() || request.wait > kMaxClaimWait) {
    return Invalid(absl::StrCat("wait must be between 0s and ", absl::FormatDuration(kMaxClaimWait),
                                ", got ", absl::FormatDuration(request.wait)));
  }
  return absl::OkStatus();
}

absl::Status ValidateFetchWeights(const FetchWeightsRequest& request) {
  GANNET_RETURN_IF_ERROR(ValidateWorkerAndRun(request.worker, request.run));
  GANNET_RETURN_IF_ERROR(ValidateAtLeast("weights_version", 0, request.version.value()));
  return ValidateOptionalSha256("weights_sha256", request.sha256);
}

absl::Status ValidateSubmitHeader(const WorkerIdentity& worker, base::RunId run, base::UnitId unit,
                                  base::Attempt attempt, const GradientStats& stats) {
  GANNET_RETURN_IF_ERROR(ValidateLease(worker, run, unit, attempt));
  return ValidateStats(stats);
}

absl::Status ValidateSubmit(const SubmitRequest& request) {
  GANNET_RETURN_IF_ERROR(ValidateSubmitHeader(request.worker, request.run, request.unit,
                                              request.attempt, request.stats));
  return ValidatePayload("payload", request.payload);
}

absl::Status ValidateHeartbeat(const WorkerIdentity& worker, base::RunId run,
                               const std::vector<UnitProgress>& held) {
  GANNET_RETURN_IF_ERROR(ValidateWorkerAndRun(worker, run));
  if (held.size() > kMaxHeldUnits) {
    return Invalid(
        absl::StrCat("progress must name at most ", kMaxHeldUnits, " units, got ", held.size()));
  }
  std::set<base::UnitId> units;
  for (const UnitProgress& progress : held) {
    GANNET_RETURN_IF_ERROR(ValidateAtLeast("progress.unit_id", 1, progress.unit.value()));
    GANNET_RETURN_IF_ERROR(ValidateAtLeast("progress.attempt", 1, progress.attempt.value()));
    GANNET_RETURN_IF_ERROR(
        ValidateAtLeast("progress.micro_batches_done", 0, progress.micro_batches_done));
    if (!units.insert(progress.unit).second) {
      return Invalid(absl::StrCat("progress names a unit twice: ", progress.unit.value()));
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateRelease(const WorkerIdentity& worker, base::RunId run, base::UnitId unit,
                             base::Attempt attempt) {
  return ValidateLease(worker, run, unit, attempt);
}

absl::Status ValidateFail(const WorkerIdentity& worker, base::RunId run, base::UnitId unit,
                          base::Attempt attempt, const std::string& reason) {
  GANNET_RETURN_IF_ERROR(ValidateLease(worker, run, unit, attempt));
  return ValidateReason(reason);
}

absl::Status ValidateDescribe(const WorkerIdentity& worker, base::RunId run) {
  return ValidateWorkerAndRun(worker, run);
}

absl::Status ValidateLeave(const WorkerIdentity& worker, base::RunId run) {
  return ValidateWorkerAndRun(worker, run);
}

namespace {

// The numbers of a round; not which round it is.
absl::Status ValidateSummary(const char* field, const RoundSummary& summary) {
  const auto name = [&](const char* part) { return absl::StrCat(field, ".", part); };
  GANNET_RETURN_IF_ERROR(ValidateAtLeast(name("epoch").c_str(), 0, summary.epoch));
  GANNET_RETURN_IF_ERROR(
      ValidateAtLeast(name("gradient_count").c_str(), 0, summary.gradient_count));
  GANNET_RETURN_IF_ERROR(ValidateAtLeast(name("image_count").c_str(), 0, summary.image_count));
  GANNET_RETURN_IF_ERROR(
      ValidateFinite(name("discriminator_loss").c_str(), summary.discriminator_loss));
  GANNET_RETURN_IF_ERROR(ValidateFinite(name("generator_loss").c_str(), summary.generator_loss));
  GANNET_RETURN_IF_ERROR(ValidateFinite(name("real_accuracy").c_str(), summary.real_accuracy));
  GANNET_RETURN_IF_ERROR(ValidateFinite(name("fake_accuracy").c_str(), summary.fake_accuracy));
  GANNET_RETURN_IF_ERROR(ValidateFinite(name("seconds").c_str(), summary.seconds));
  return absl::OkStatus();
}

}  // namespace

namespace {

absl::Status ValidateChanges(const NewRun& run) {
  const int64_t last = run.version.value() + 2;
  base::Round before(1);
  for (const SettingsChange& change : run.changes) {
    if (change.round <= before || change.round.value() > last) {
      return Invalid(absl::StrCat("changes must have ascending rounds from 2 to ", last, ", got ",
                                  change.round.value(), " after ", before.value()));
    }
    GANNET_RETURN_IF_ERROR(domain::CheckOnlyChangeable(run.config, change.config));
    GANNET_RETURN_IF_ERROR(domain::ValidateRunConfig(change.config));
    GANNET_RETURN_IF_ERROR(ValidateReason(change.reason));
    before = change.round;
  }
  return absl::OkStatus();
}

absl::Status ValidateWorkers(const std::vector<WorkerRecord>& workers) {
  std::set<base::WorkerId> ids;
  for (const WorkerRecord& record : workers) {
    const WorkerSummary& summary = record.summary;
    if (!base::IsHex(summary.worker.value(), 32)) {
      return Invalid("worker_id must be 32 lower-case hexadecimal digits");
    }
    if (record.secret_sha256.size() != 32) {
      return Invalid(
          absl::StrCat("secret_sha256 must be 32 bytes, got ", record.secret_sha256.size()));
    }
    GANNET_RETURN_IF_ERROR(ValidateAtLeast("incarnation", 1, record.incarnation.value()));
    GANNET_RETURN_IF_ERROR(
        ValidateText("display_name", summary.display_name, kMaxDisplayNameChars));
    GANNET_RETURN_IF_ERROR(ValidateText("hardware", summary.hardware, kMaxHardwareChars));
    GANNET_RETURN_IF_ERROR(ValidateReason(summary.removed_reason));
    for (const int64_t count : {summary.accepted_unit_count, summary.accepted_image_count,
                                summary.duplicate_unit_count, summary.wasted_image_count}) {
      GANNET_RETURN_IF_ERROR(ValidateAtLeast("the count of a worker", 0, count));
    }
    if (!ids.insert(summary.worker).second) {
      return Invalid(absl::StrCat("a worker comes twice: ", summary.worker.value()));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateNewRun(const NewRun& run) {
  GANNET_RETURN_IF_ERROR(ValidateText("config.name", run.config.name, kMaxRunNameChars));
  GANNET_RETURN_IF_ERROR(ValidateFingerprint(run.config.data));
  GANNET_RETURN_IF_ERROR(domain::ValidateRunConfig(run.config));
  GANNET_RETURN_IF_ERROR(ValidateAtLeast("version", 0, run.version.value()));
  if (run.version.value() >= run.config.round_count) {
    return Invalid(absl::StrCat("the checkpoint must be of a round before the last one (",
                                run.config.round_count, "), got ", run.version.value()));
  }
  base::Round before(0);
  for (const RoundSummary& round : run.history) {
    if (round.round <= before || round.round.value() > run.version.value()) {
      return Invalid(absl::StrCat("history must have ascending rounds from 1 to ",
                                  run.version.value(), ", got ", round.round.value(), " after ",
                                  before.value()));
    }
    GANNET_RETURN_IF_ERROR(ValidateSummary("history", round));
    before = round.round;
  }
  GANNET_RETURN_IF_ERROR(ValidateChanges(run));
  GANNET_RETURN_IF_ERROR(ValidateWorkers(run.workers));
  if (run.pause_reason.has_value()) GANNET_RETURN_IF_ERROR(ValidateReason(*run.pause_reason));
  if (run.units.empty()) return Invalid("units must not be empty");
  GANNET_RETURN_IF_ERROR(ValidateUnits("units", run.units));
  GANNET_RETURN_IF_ERROR(ValidatePayload("weights", run.weights));
  return ValidatePayload("adam_state", run.adam_state);
}

absl::Status ValidatePublish(const PublishRequest& request) {
  GANNET_RETURN_IF_ERROR(ValidateAtLeast("expected_version", 0, request.expected_version.value()));
  const RoundSummary& summary = request.summary;
  if (summary.round.value() != request.expected_version.value() + 1) {
    return Invalid(absl::StrCat("summary.round must be that of the version published: expected ",
                                request.expected_version.value() + 1, ", got ",
                                summary.round.value()));
  }
  GANNET_RETURN_IF_ERROR(ValidateSummary("summary", summary));
  if (request.finished && !request.next_units.empty()) {
    return Invalid("next_units must be empty when the run is finished");
  }
  if (!request.finished && request.next_units.empty()) {
    return Invalid("next_units must not be empty unless the run is finished");
  }
  GANNET_RETURN_IF_ERROR(ValidateUnits("next_units", request.next_units));
  GANNET_RETURN_IF_ERROR(ValidateOptionalSha256("expected_sha256", request.expected_sha256));
  GANNET_RETURN_IF_ERROR(ValidateOptionalSha256("consumed_sha256", request.consumed_sha256));
  const int most = request.finished ? 0 : domain::kMaxStaleRounds;
  if (request.max_stale_rounds < 0 || request.max_stale_rounds > most) {
    return Invalid(absl::StrCat("max_stale_rounds must be between 0 and ", most, ", got ",
                                request.max_stale_rounds));
  }
  std::set<base::UnitId> consumed;
  for (const base::UnitId unit : request.consumed) {
    if (!consumed.insert(unit).second) {
      return Invalid(absl::StrCat("consumed names a unit twice: ", unit.value()));
    }
  }
  GANNET_RETURN_IF_ERROR(ValidatePayload("weights", request.weights));
  return ValidatePayload("adam_state", request.adam_state);
}

absl::Status ValidateSaveBest(const BestWeights& best, const Payload& weights) {
  GANNET_RETURN_IF_ERROR(ValidateAtLeast("version", 0, best.version.value()));
  GANNET_RETURN_IF_ERROR(ValidateFinite("distance", best.distance));
  if (best.distance < 0) {
    return Invalid(absl::StrCat("distance must not be negative, got ", best.distance));
  }
  return ValidatePayload("weights", weights);
}

absl::Status ValidateAcquireLeadership(const base::LeaderId& leader, absl::Duration ttl) {
  if (!base::IsHex(leader.value(), 32)) {
    return Invalid("leader must be 32 lower-case hexadecimal digits");
  }
  if (ttl <= absl::ZeroDuration() || ttl > kMaxLeadershipTtl) {
    return Invalid(absl::StrCat("ttl must be above zero and at most ",
                                absl::FormatDuration(kMaxLeadershipTtl), ", got ",
                                absl::FormatDuration(ttl)));
  }
  return absl::OkStatus();
}

absl::Status ValidateReason(const std::string& reason) {
  return ValidateText("reason", reason, kMaxReasonChars);
}

absl::Status ValidateWorkerId(const base::WorkerId& worker) {
  if (base::IsHex(worker.value(), 32)) return absl::OkStatus();
  return Invalid("worker_id must be 32 lower-case hexadecimal digits");
}

absl::Status ValidateRemoveWorker(const base::WorkerId& worker, const std::string& reason) {
  GANNET_RETURN_IF_ERROR(ValidateWorkerId(worker));
  if (reason.empty()) return Invalid("reason must not be empty: the removed person is shown it");
  return ValidateReason(reason);
}

absl::Status ValidateListRounds(base::Round after, int limit) {
  GANNET_RETURN_IF_ERROR(ValidateAtLeast("after", 0, after.value()));
  if (limit >= 1 && limit <= kMaxPage) return absl::OkStatus();
  return Invalid(absl::StrCat("limit must be between 1 and ", kMaxPage, ", got ", limit));
}

absl::Status ValidateListWorkers(const base::WorkerId& after, int limit) {
  if (!after.value().empty() && !base::IsHex(after.value(), 32)) {
    return Invalid("after must be empty or 32 lower-case hexadecimal digits");
  }
  return ValidateListRounds(base::Round(0), limit);
}

absl::Status ValidateOptionalSha256(const char* field, const std::string& sha256) {
  if (sha256.empty() || sha256.size() == 32) return absl::OkStatus();
  return Invalid(absl::StrCat(field, " must have 32 bytes or none, got ", sha256.size()));
}

absl::Status ValidatePayloadHeader(tensor::Codec codec, const std::string& sha256) {
  if (FindCodec(codec) == nullptr) {
    return Invalid(absl::StrCat("codec is unknown: expected ", base::JoinCodecNumbers(), ", got ",
                                static_cast<int>(codec)));
  }
  if (sha256.size() != 32) {
    return Invalid(absl::StrCat("sha256 must have 32 bytes, got ", sha256.size()));
  }
  return absl::OkStatus();
}

absl::Status ValidatePayload(const char* field, const Payload& payload) {
  if (absl::Status header = ValidatePayloadHeader(payload.codec, payload.sha256); !header.ok()) {
    return Invalid(absl::StrCat(field, ".", header.message()));
  }
  if (payload.bytes == nullptr || payload.bytes->empty()) {
    return Invalid(absl::StrCat(field, " must not be empty"));
  }
  if (!payload.IsIntact()) {
    return absl::DataLossError(
        absl::StrCat(field, ": the bytes do not match their checksum, send them again: expected ",
                     base::HexEncode(payload.sha256)));
  }
  return absl::OkStatus();
}

absl::Status CheckFingerprint(const domain::DataFingerprint& expected,
                              const domain::DataFingerprint& got) {
  if (expected == got) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the worker sees another data set than the run; give it the run's by data.kind, "
                   "data.path, data.seed and data.count: ",
                   domain::DescribeDifference(expected, got)));
}

absl::Status CheckUnitCounts(const GradientStats& stats, int unit_image_count, int micro_batch) {
  if (stats.image_count != unit_image_count) {
    return Invalid(absl::StrCat("stats.image_count is not the unit's: expected ", unit_image_count,
                                ", got ", stats.image_count));
  }
  const auto expected =
      static_cast<int>(domain::MicroBatchSizes(unit_image_count, micro_batch).size());
  if (stats.micro_batch_count != expected) {
    return Invalid(absl::StrCat("stats.micro_batch_count is not the unit's: expected ", expected,
                                ", got ", stats.micro_batch_count));
  }
  return absl::OkStatus();
}

absl::Status CheckCodec(int run_codec, tensor::Codec codec) {
  const int number = static_cast<int>(codec);
  if (run_codec == number) return absl::OkStatus();
  return Invalid(absl::StrCat("payload.codec is not the run's: expected ", run_codec, " (",
                              base::CodecName(run_codec), "), got ", number, " (",
                              base::CodecName(number), ")"));
}

absl::Status RemovedWorkerStatus(const std::string& reason) {
  return absl::FailedPreconditionError(
      absl::StrCat(kRemovedWorker, reason, "; ask the instructor"));
}

bool IsRemovedWorkerStatus(const absl::Status& status) {
  // The databases and the wire carry a code and a text, and the code is that of others, too.
  return absl::IsFailedPrecondition(status) && absl::StrContains(status.message(), kRemovedWorker);
}

absl::Status CheckIsPublished(base::WeightsVersion published, base::WeightsVersion version) {
  if (version <= published) return absl::OkStatus();
  return Invalid(absl::StrCat("version is not published yet: current ", published.value(), ", got ",
                              version.value()));
}

absl::Status CheckReclaimOldBlobs(base::WeightsVersion published, base::Round round) {
  const int64_t ahead = round.value() - published.value();
  if (ahead == 1 || ahead == 2) return absl::OkStatus();
  return Invalid(absl::StrCat("round must be one or two above the published version ",
                              published.value(), ", got ", round.value()));
}

}  // namespace gannet::exchange
