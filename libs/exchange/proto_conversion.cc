#include "libs/exchange/proto_conversion.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"
#include "libs/base/check.h"
#include "libs/base/hex.h"
#include "libs/base/printable.h"
#include "libs/base/status_macros.h"
#include "libs/base/training_choices.h"
#include "libs/exchange/validation.h"

namespace gannet::exchange {
namespace {

// With what older versions took from a client, archive or checkpoint, and nobody may choose any
// more, at the nearest value of today: a run that has it can still be looked at, steered, exported
// and deleted.
domain::RunConfig AsChosenToday(domain::RunConfig config) {
  constexpr uint64_t kMaxSeed = std::numeric_limits<int64_t>::max();
  constexpr int kMaxImagesPerUnit = 65'536;
  constexpr int kOldMaxImagesPerUnit = 1 << 20;
  config.seed = std::min(config.seed, kMaxSeed);
  if (config.lease >= absl::Milliseconds(100)) {
    config.lease = std::max(config.lease, absl::Seconds(1));
  }
  if (config.images_per_unit <= kOldMaxImagesPerUnit) {
    config.images_per_unit = std::min(config.images_per_unit, kMaxImagesPerUnit);
  }
  return config;
}

absl::Status Invalid(const std::string& what) { return absl::InvalidArgumentError(what); }

bool HasUnknownFields(const google::protobuf::Message& message) {
  return !message.GetReflection()->GetUnknownFields(message).empty();
}

google::protobuf::Duration DurationToProto(absl::Duration duration) {
  google::protobuf::Duration proto;
  proto.set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &duration));
  proto.set_nanos(
      static_cast<int32_t>(absl::IDivDuration(duration, absl::Nanoseconds(1), &duration)));
  return proto;
}

absl::StatusOr<absl::Duration> DurationFromProto(const char* field,
                                                 const google::protobuf::Duration& proto) {
  // The limits that google/protobuf/duration.proto states: 10,000 years.
  constexpr int64_t kMaxSeconds = 315'576'000'000;
  const bool in_range = std::abs(proto.nanos()) <= 999'999'999 && proto.seconds() <= kMaxSeconds &&
                        proto.seconds() >= -kMaxSeconds;
  const bool same_sign =
      (proto.seconds() <= 0 || proto.nanos() >= 0) && (proto.seconds() >= 0 || proto.nanos() <= 0);
  if (!in_range || !same_sign) {
    return Invalid(
        absl::StrCat(field, " is not a duration: ", proto.seconds(), " s ", proto.nanos(), " ns"));
  }
  return absl::Seconds(proto.seconds()) + absl::Nanoseconds(proto.nanos());
}

std::string ToJson(const google::protobuf::Message& message) {
  std::string json;
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  GANNET_CHECK(status.ok());
  return json;
}

absl::Status FromJson(const std::string& json, const char* what,
                      google::protobuf::Message& message) {
  const auto status = google::protobuf::util::JsonStringToMessage(json, &message);
  if (status.ok()) return absl::OkStatus();
  return Invalid(absl::StrCat("not the JSON of ", what, ": ", status.ToString()));
}

}  // namespace

v1::WorkerIdentity ToProto(const WorkerIdentity& worker) {
  v1::WorkerIdentity proto;
  proto.set_worker_id(worker.id.value());
  proto.set_secret(worker.secret);
  proto.set_incarnation(worker.incarnation.value());
  return proto;
}

absl::StatusOr<WorkerIdentity> FromProto(const v1::WorkerIdentity& proto) {
  WorkerIdentity worker;
  worker.id = base::WorkerId(proto.worker_id());
  worker.secret = proto.secret();
  worker.incarnation = base::Incarnation(proto.incarnation());
  GANNET_RETURN_IF_ERROR(ValidateIdentity(worker));
  return worker;
}

v1::RunState ToProto(domain::RunState state) { return static_cast<v1::RunState>(state); }

absl::StatusOr<domain::RunState> FromProto(v1::RunState proto) {
  switch (proto) {
    case v1::RUN_STATE_RUNNING:
    case v1::RUN_STATE_PAUSED:
    case v1::RUN_STATE_FINISHED:
    case v1::RUN_STATE_STOPPED:
      return static_cast<domain::RunState>(proto);
    default:
      return Invalid(absl::StrCat("state is unknown: ", static_cast<int>(proto)));
  }
}

v1::SubmitOutcome ToProto(domain::SubmitOutcome outcome) {
  return static_cast<v1::SubmitOutcome>(outcome);
}

absl::StatusOr<domain::SubmitOutcome> FromProto(v1::SubmitOutcome proto) {
  switch (proto) {
    case v1::SUBMIT_OUTCOME_ACCEPTED:
    case v1::SUBMIT_OUTCOME_LATE:
    case v1::SUBMIT_OUTCOME_ALREADY_ACCEPTED:
    case v1::SUBMIT_OUTCOME_SUPERSEDED:
    case v1::SUBMIT_OUTCOME_CLOSED:
    case v1::SUBMIT_OUTCOME_DUPLICATE:
      return static_cast<domain::SubmitOutcome>(proto);
    default:
      return Invalid(absl::StrCat("outcome is unknown: ", static_cast<int>(proto)));
  }
}

v1::Codec ToProto(tensor::Codec codec) { return static_cast<v1::Codec>(codec); }

absl::StatusOr<tensor::Codec> FromProto(v1::Codec proto) {
  const auto codec = static_cast<tensor::Codec>(proto);
  if (FindCodec(codec) != nullptr) return codec;
  return Invalid(absl::StrCat("codec is unknown: expected ", base::JoinCodecNumbers(), ", got ",
                              static_cast<int>(proto)));
}

v1::DataFingerprint ToProto(const domain::DataFingerprint& data) {
  v1::DataFingerprint proto;
  proto.set_kind(data.kind);
  proto.set_image_count(data.image_count);
  proto.set_digest(data.digest);
  proto.set_description(data.description);
  return proto;
}

absl::StatusOr<domain::DataFingerprint> FromProto(const v1::DataFingerprint& proto) {
  domain::DataFingerprint data;
  data.kind = proto.kind();
  data.image_count = proto.image_count();
  data.digest = proto.digest();
  // Only shown, and perhaps stored before the rule for text was what it is: a run stays readable.
  data.description = base::Printable(proto.description());
  GANNET_RETURN_IF_ERROR(ValidateFingerprint(data));
  return data;
}

v1::RunConfig ToProto(const domain::RunConfig& config) {
  v1::RunConfig proto;
  proto.set_name(config.name);
  proto.set_seed(config.seed);
  proto.mutable_model()->set_kind(config.model.kind);
  proto.mutable_model()->set_image_size(config.model.image_size);
  proto.mutable_model()->set_latent_dim(config.model.latent_dim);
  proto.mutable_model()->set_base_width(config.model.base_width);
  proto.set_learning_rate(config.adam.learning_rate);
  proto.set_learning_rate_generator(config.adam.learning_rate_generator);
  proto.set_learning_rate_discriminator(config.adam.learning_rate_discriminator);
  proto.set_beta1(config.adam.beta1);
  proto.set_beta2(config.adam.beta2);
  proto.set_epsilon(config.adam.epsilon);
  proto.set_ema_decay(config.adam.ema_decay);
  proto.set_loss(config.objective.loss);
  proto.set_real_label(config.objective.real_label);
  proto.set_augment(config.objective.augment);
  proto.set_flip(config.objective.flip);
  proto.set_images_per_unit(config.images_per_unit);
  proto.set_units_per_round(config.units_per_round);
  proto.set_micro_batch(config.micro_batch);
  proto.set_round_count(config.round_count);
  proto.set_lease_seconds(absl::ToDoubleSeconds(config.lease));
  proto.set_gradient_codec(config.gradient_codec);
  proto.set_quorum(config.policy.quorum);
  proto.set_round_deadline_seconds(absl::ToDoubleSeconds(config.policy.round_deadline));
  proto.set_stale_weight(config.policy.stale_weight);
  proto.set_speculation_multiplier(config.policy.speculation_multiplier);
  // The usual beginning is not worth a field that an older program would not know.
  if (config.plan_origin != domain::PlanOrigin()) {
    proto.set_plan_origin_round(config.plan_origin.round);
    proto.set_plan_origin_position(config.plan_origin.position);
  }
  *proto.mutable_data() = ToProto(config.data);
  return proto;
}

absl::StatusOr<domain::RunConfig> FromProto(const v1::RunConfig& proto) {
  if (HasUnknownFields(proto) || HasUnknownFields(proto.model())) {
    return absl::FailedPreconditionError(
        "the run has settings that this version does not know: update this program to the "
        "coordinator's version");
  }
  GANNET_RETURN_IF_ERROR(ValidateFinite("lease_seconds", proto.lease_seconds()));
  domain::RunConfig config;
  config.name = proto.name();
  config.seed = proto.seed();
  if (!proto.model().kind().empty()) config.model.kind = proto.model().kind();
  config.model.image_size = proto.model().image_size();
  config.model.latent_dim = proto.model().latent_dim();
  config.model.base_width = proto.model().base_width();
  config.adam.learning_rate = proto.learning_rate();
  config.adam.learning_rate_generator = proto.learning_rate_generator();
  config.adam.learning_rate_discriminator = proto.learning_rate_discriminator();
  config.adam.beta1 = proto.beta1();
  config.adam.beta2 = proto.beta2();
  config.adam.epsilon = proto.epsilon();
  config.adam.ema_decay = proto.ema_decay();
  if (!proto.loss().empty()) config.objective.loss = proto.loss();
  config.objective.real_label = proto.real_label();
  config.objective.augment = proto.augment();
  config.objective.flip = proto.flip();
  config.images_per_unit = proto.images_per_unit();
  config.units_per_round = proto.units_per_round();
  config.micro_batch = proto.micro_batch();
  config.round_count = proto.round_count();
  config.lease = absl::Seconds(proto.lease_seconds());
  config.gradient_codec = proto.gradient_codec();
  GANNET_RETURN_IF_ERROR(ValidateFinite("round_deadline_seconds", proto.round_deadline_seconds()));
  config.policy = {.quorum = proto.quorum(),
                   .round_deadline = absl::Seconds(proto.round_deadline_seconds()),
                   .stale_weight = proto.stale_weight(),
                   .speculation_multiplier = proto.speculation_multiplier()};
  config.plan_origin = {.round = std::max<int64_t>(1, proto.plan_origin_round()),
                        .position = proto.plan_origin_position()};
  GANNET_ASSIGN_OR_RETURN(config.data, FromProto(proto.data()));
  GANNET_RETURN_IF_ERROR(ValidateText("name", config.name, kMaxRunNameChars));
  GANNET_RETURN_IF_ERROR(domain::ValidateRunConfig(AsChosenToday(config)));
  return config;
}

std::string RunConfigToJson(const domain::RunConfig& config) { return ToJson(ToProto(config)); }

absl::StatusOr<domain::RunConfig> RunConfigFromJson(const std::string& json) {
  v1::RunConfig proto;
  GANNET_RETURN_IF_ERROR(FromJson(json, "a run's config", proto));
  return FromProto(proto);
}

v1::RunArchive ToProto(const RunArchive& archive) {
  v1::RunArchive proto;
  *proto.mutable_created_config() = ToProto(archive.created_config);
  for (const SettingsChange& change : archive.changes) {
    v1::ArchivedChange& out = *proto.add_changes();
    out.set_round(change.round.value());
    *out.mutable_config() = ToProto(change.config);
    out.set_reason(change.reason);
  }
  for (const WorkerRecord& record : archive.workers) {
    v1::ArchivedWorker& out = *proto.add_workers();
    *out.mutable_summary() = ToProto(record.summary);
    out.set_secret_sha256(record.secret_sha256);
    out.set_incarnation(record.incarnation.value());
  }
  proto.set_paused(archive.pause_reason.has_value());
  proto.set_pause_reason(archive.pause_reason.value_or(""));
  return proto;
}

absl::StatusOr<RunArchive> FromProto(const v1::RunArchive& proto) {
  RunArchive archive;
  GANNET_ASSIGN_OR_RETURN(archive.created_config, FromProto(proto.created_config()));
  for (const v1::ArchivedChange& in : proto.changes()) {
    GANNET_RETURN_IF_ERROR(ValidateAtLeast("round", 2, in.round()));
    const std::string reason = base::Printable(in.reason());
    GANNET_RETURN_IF_ERROR(ValidateReason(reason));
    SettingsChange& change = archive.changes.emplace_back();
    change.round = base::Round(in.round());
    GANNET_ASSIGN_OR_RETURN(change.config, FromProto(in.config()));
    change.reason = reason;
  }
  for (const v1::ArchivedWorker& in : proto.workers()) {
    if (in.secret_sha256().size() != 32) return Invalid("secret_sha256 must be 32 bytes");
    GANNET_RETURN_IF_ERROR(ValidateAtLeast("incarnation", 1, in.incarnation()));
    WorkerRecord& record = archive.workers.emplace_back();
    GANNET_ASSIGN_OR_RETURN(record.summary, FromProto(in.summary()));
    record.secret_sha256 = in.secret_sha256();
    record.incarnation = base::Incarnation(in.incarnation());
  }
  const std::string pause_reason = base::Printable(proto.pause_reason());
  GANNET_RETURN_IF_ERROR(ValidateReason(pause_reason));
  if (proto.paused()) archive.pause_reason = pause_reason;
  return archive;
}

std::string RunArchiveToJson(const RunArchive& archive) { return ToJson(ToProto(archive)); }

absl::StatusOr<RunArchive> RunArchiveFromJson(const std::string& json) {
  v1::RunArchive proto;
  GANNET_RETURN_IF_ERROR(FromJson(json, "a run's archive", proto));
  return FromProto(proto);
}

v1::RoundSummary ToProto(const RoundSummary& summary) {
  v1::RoundSummary proto;
  proto.set_round(summary.round.value());
  proto.set_epoch(summary.epoch);
  proto.set_gradient_count(summary.gradient_count);
  proto.set_image_count(summary.image_count);
  proto.set_discriminator_loss(summary.discriminator_loss);
  proto.set_generator_loss(summary.generator_loss);
  proto.set_real_accuracy(summary.real_accuracy);
  proto.set_fake_accuracy(summary.fake_accuracy);
  proto.set_seconds(summary.seconds);
  return proto;
}

absl::StatusOr<RoundSummary> FromProto(const v1::RoundSummary& proto) {
  GANNET_RETURN_IF_ERROR(ValidateAtLeast("round", 1, proto.round()));
  GANNET_RETURN_IF_ERROR(ValidateAtLeast("epoch", 0, proto.epoch()));
  GANNET_RETURN_IF_ERROR(ValidateAtLeast("gradient_count", 0, proto.gradient_count()));
  GANNET_RETURN_IF_ERROR(ValidateAtLeast("image_count", 0, proto.image_count()));
  GANNET_RETURN_IF_ERROR(ValidateFinite("discriminator_loss", proto.discriminator_loss()));
  GANNET_RETURN_IF_ERROR(ValidateFinite("generator_loss", proto.generator_loss()));
  GANNET_RETURN_IF_ERROR(ValidateFinite("real_accuracy", proto.real_accuracy()));
  GANNET_RETURN_IF_ERROR(ValidateFinite("fake_accuracy", proto.fake_accuracy()));
  GANNET_RETURN_IF_ERROR(ValidateFinite("seconds", proto.seconds()));
  RoundSummary summary;
  summary.round = base::Round(proto.round());
  summary.epoch = proto.epoch();
  summary.gradient_count = proto.gradient_count();
  summary.image_count = proto.image_count();
  summary.discriminator_loss = proto.discriminator_loss();
  summary.generator_loss = proto.generator_loss();
  summary.real_accuracy = proto.real_accuracy();
  summary.fake_accuracy = proto.fake_accuracy();
  summary.seconds = proto.seconds();
  return summary;
}

v1::WorkerSummary ToProto(const WorkerSummary& summary) {
  v1::WorkerSummary proto;
  proto.set_worker_id(summary.worker.value());
  proto.set_display_name(summary.display_name);
  proto.set_hardware(summary.hardware);
  proto.set_accepted_unit_count(summary.accepted_unit_count);
  proto.set_accepted_image_count(summary.accepted_image_count);
  proto.set_duplicate_unit_count(summary.duplicate_unit_count);
  proto.set_wasted_image_count(summary.wasted_image_count);
  proto.set_removed_reason(summary.removed_reason);
  const google::protobuf::Duration since_epoch =
      DurationToProto(summary.last_seen - absl::UnixEpoch());
  proto.mutable_last_seen_time()->set_seconds(since_epoch.seconds());
  proto.mutable_last_seen_time()->set_nanos(since_epoch.nanos());
  return proto;
}

absl::StatusOr<WorkerSummary> FromProto(const v1::WorkerSummary& proto) {
  if (!base::IsHex(proto.worker_id(), 32)) {
    return Invalid("worker_id must be 32 lower-case hexadecimal digits");
  }
  WorkerSummary summary;
  // Whoever joined before the rule for text was what it is must not hide the others.
  summary.display_name = base::Printable(proto.display_name());
  summary.hardware = base::Printable(proto.hardware());
  GANNET_RETURN_IF_ERROR(ValidateText("display_name", summary.display_name, kMaxDisplayNameChars));
  GANNET_RETURN_IF_ERROR(ValidateText("hardware", summary.hardware, kMaxHardwareChars));
  GANNET_RETURN_IF_ERROR(ValidateAtLeast("accepted_unit_count", 0, proto.accepted_unit_count()));
  GANNET_RETURN_IF_ERROR(ValidateAtLeast("accepted_image_count", 0, proto.accepted_image_count()));
  google::protobuf::Duration since_epoch;
  since_epoch.set_seconds(proto.last_seen_time().seconds());
  since_epoch.set_nanos(proto.last_seen_time().nanos());
  summary.worker = base::WorkerId(proto.worker_id());
  summary.accepted_unit_count = proto.accepted_unit_count();
  summary.accepted_image_count = proto.accepted_image_count();
  summary.duplicate_unit_count = proto.duplicate_unit_count();
  summary.wasted_image_count = proto.wasted_image_count();
  GANNET_RETURN_IF_ERROR(ValidateReason(proto.removed_reason()));
  summary.removed_reason = proto.removed_reason();
  GANNET_ASSIGN_OR_RETURN(const absl::Duration last_seen,
                          DurationFromProto("last_seen_time", since_epoch));
  summary.last_seen = absl::UnixEpoch() + last_seen;
  return summary;
}

v1::GradientStats ToProto(const GradientStats& stats) {
  v1::GradientStats proto;
  proto.set_image_count(stats.image_count);
  proto.set_micro_batch_count(stats.micro_batch_count);
  proto.set_discriminator_loss(stats.discriminator_loss);
  proto.set_generator_loss(stats.generator_loss);
  proto.set_real_accuracy(stats.real_accuracy);
  proto.set_fake_accuracy(stats.fake_accuracy);
  proto.set_compute_seconds(stats.compute_seconds);
  return proto;
}

absl::StatusOr<GradientStats> FromProto(const v1::GradientStats& proto) {
  GradientStats stats;
  stats.image_count = proto.image_count();
  stats.micro_batch_count = proto.micro_batch_count();
  stats.discriminator_loss = proto.discriminator_loss();
  stats.generator_loss = proto.generator_loss();
  stats.real_accuracy = proto.real_accuracy();
  stats.fake_accuracy = proto.fake_accuracy();
  stats.compute_seconds = proto.compute_seconds();
  GANNET_RETURN_IF_ERROR(ValidateStats(stats));
  return stats;
}

v1::WorkUnit ToProto(const WorkUnit& unit) {
  v1::WorkUnit proto;
  proto.set_run_id(unit.run.value());
  proto.set_unit_id(unit.unit.value());
  proto.set_attempt(unit.attempt.value());
  proto.set_round(unit.round.value());
  proto.set_slot(unit.slot.value());
  proto.set_weights_version(unit.weights_version.value());
  proto.set_weights_sha256(unit.weights_sha256);
  for (const int64_t index : unit.image_indices) proto.add_image_indices(index);
  proto.set_micro_batch(unit.micro_batch);
  proto.set_seed(unit.seed);
  *proto.mutable_lease_duration() = DurationToProto(unit.lease);
  return proto;
}

absl::StatusOr<WorkUnit> FromProto(const v1::WorkUnit& proto) {
  GANNET_RETURN_IF_ERROR(ValidateAtLeast("unit.run_id", 1, proto.run_id()));
  GANNET_RETURN_IF_ERROR(ValidateAtLeast("unit.unit_id", 1, proto.unit_id()));
  GANNET_RETURN_IF_ERROR(ValidateAtLeast("unit.attempt", 1, proto.attempt()));
  GANNET_RETURN_IF_ERROR(ValidateAtLeast("unit.round", 1, proto.round()));
  GANNET_RETURN_IF_ERROR(ValidateAtLeast("unit.slot", 0, proto.slot()));
  GANNET_RETURN_IF_ERROR(ValidateAtLeast("unit.weights_version", 0, proto.weights_version()));
  GANNET_RETURN_IF_ERROR(ValidateOptionalSha256("unit.weights_sha256", proto.weights_sha256()));
  GANNET_RETURN_IF_ERROR(ValidateAtLeast("unit.micro_batch", 1, proto.micro_batch()));
  if (proto.image_indices().empty()) return Invalid("unit.image_indices must not be empty");
  for (const int64_t index : proto.image_indices()) {
    GANNET_RETURN_IF_ERROR(ValidateAtLeast("unit.image_indices", 0, index));
  }
  WorkUnit unit;
  unit.run = base::RunId(proto.run_id());
  unit.unit = base::UnitId(proto.unit_id());
  unit.attempt = base::Attempt(proto.attempt());
  unit.round = base::Round(proto.round());
  unit.slot = base::Slot(proto.slot());
  unit.weights_version = base::WeightsVersion(proto.weights_version());
  unit.weights_sha256 = proto.weights_sha256();
  unit.image_indices.assign(proto.image_indices().begin(), proto.image_indices().end());
  unit.micro_batch = proto.micro_batch();
  unit.seed = proto.seed();
  GANNET_ASSIGN_OR_RETURN(unit.lease,
                          DurationFromProto("unit.lease_duration", proto.lease_duration()));
  if (unit.lease < absl::ZeroDuration()) {
    return Invalid(absl::StrCat("unit.lease_duration must not be negative, got ",
                                absl::FormatDuration(unit.lease)));
  }
  return unit;
}

v1::UnitProgress ToProto(const UnitProgress& progress) {
  v1::UnitProgress proto;
  proto.set_unit_id(progress.unit.value());
  proto.set_attempt(progress.attempt.value());
  proto.set_micro_batches_done(progress.micro_batches_done);
  return proto;
}

absl::StatusOr<UnitProgress> FromProto(const v1::UnitProgress& proto) {
  GANNET_RETURN_IF_ERROR(ValidateAtLeast("progress.unit_id", 1, proto.unit_id()));
  GANNET_RETURN_IF_ERROR(ValidateAtLeast("progress.attempt", 1, proto.attempt()));
  GANNET_RETURN_IF_ERROR(
      ValidateAtLeast("progress.micro_batches_done", 0, proto.micro_batches_done()));
  UnitProgress progress;
  progress.unit = base::UnitId(proto.unit_id());
  progress.attempt = base::Attempt(proto.attempt());
  progress.micro_batches_done = proto.micro_batches_done();
  return progress;
}

v1::JoinRequest ToProto(const JoinRequest& request) {
  v1::JoinRequest proto;
  *proto.mutable_worker() = ToProto(request.worker);
  proto.set_run_name(request.run_name);
  proto.set_display_name(request.display_name);
  proto.set_hardware(request.hardware);
  proto.set_protocol_version(request.protocol_version);
  if (request.data.has_value()) *proto.mutable_data() = ToProto(*request.data);
  return proto;
}

absl::StatusOr<JoinRequest> FromProto(const v1::JoinRequest& proto) {
  JoinRequest request;
  GANNET_ASSIGN_OR_RETURN(request.worker, FromProto(proto.worker()));
  request.run_name = proto.run_name();
  request.display_name = proto.display_name();
  request.hardware = proto.hardware();
  request.protocol_version = proto.protocol_version();
  if (proto.has_data()) {
    GANNET_ASSIGN_OR_RETURN(request.data, FromProto(proto.data()));
  }
  GANNET_RETURN_IF_ERROR(ValidateJoin(request));
  return request;
}

v1::JoinResponse ToProto(const JoinResult& result) {
  v1::JoinResponse proto;
  proto.set_run_id(result.run.value());
  *proto.mutable_config() = ToProto(result.config);
  proto.set_state(ToProto(result.state));
  *proto.mutable_heartbeat_interval() = DurationToProto(result.heartbeat_interval);
  return proto;
}

absl::StatusOr<JoinResult> FromProto(const v1::JoinResponse& proto) {
  GANNET_RETURN_IF_ERROR(ValidateAtLeast("run_id", 1, proto.run_id()));
  JoinResult result;
  result.run = base::RunId(proto.run_id());
  GANNET_ASSIGN_OR_RETURN(result.config, FromProto(proto.config()));
  GANNET_ASSIGN_OR_RETURN(result.state, FromProto(proto.state()));
  GANNET_ASSIGN_OR_RETURN(result.heartbeat_interval,
                          DurationFromProto("heartbeat_interval", proto.heartbeat_interval()));
  if (result.heartbeat_interval <= absl::ZeroDuration()) {
    return Invalid(absl::StrCat("heartbeat_interval must be above zero, got ",
                                absl::FormatDuration(result.heartbeat_interval)));
  }
  return result;
}

v1::DescribeRequest ToProto(const DescribeCall& call) {
  v1::DescribeRequest proto;
  *proto.mutable_worker() = ToProto(call.worker);
  proto.set_run_id(call.run.value());
  return proto;
}

absl::StatusOr<DescribeCall> FromProto(const v1::DescribeRequest& proto) {
  DescribeCall call;
  GANNET_ASSIGN_OR_RETURN(call.worker, FromProto(proto.worker()));
  call.run = base::RunId(proto.run_id());
  GANNET_RETURN_IF_ERROR(ValidateDescribe(call.worker, call.run));
  return call;
}

v1::DescribeResponse ToProto(const RunDescription& description) {
  v1::DescribeResponse proto;
  proto.set_run_id(description.run.value());
  *proto.mutable_config() = ToProto(description.config);
  proto.set_state(ToProto(description.state));
  return proto;
}

absl::StatusOr<RunDescription> FromProto(const v1::DescribeResponse& proto) {
  GANNET_RETURN_IF_ERROR(ValidateAtLeast("run_id", 1, proto.run_id()));
  RunDescription description;
  description.run = base::RunId(proto.run_id());
  GANNET_ASSIGN_OR_RETURN(description.config, FromProto(proto.config()));
  GANNET_ASSIGN_OR_RETURN(description.state, FromProto(proto.state()));
  return description;
}

v1::ClaimRequest ToProto(const ClaimRequest& request) {
  v1::ClaimRequest proto;
  *proto.mutable_worker() = ToProto(request.worker);
  proto.set_run_id(request.run.value());
  proto.set_request_id(request.request_id);
  *proto.mutable_wait_duration() = DurationToProto(request.wait);
  return proto;
}

absl::StatusOr<ClaimRequest> FromProto(const v1::ClaimRequest& proto) {
  ClaimRequest request;
  GANNET_ASSIGN_OR_RETURN(request.worker, FromProto(proto.worker()));
  request.run = base::RunId(proto.run_id());
  request.request_id = proto.request_id();
  GANNET_ASSIGN_OR_RETURN(request.wait, DurationFromProto("wait_duration", proto.wait_duration()));
  GANNET_RETURN_IF_ERROR(ValidateClaim(request));
  return request;
}

v1::ClaimResponse ToProto(const ClaimResult& result) {
  v1::ClaimResponse proto;
  if (result.unit.has_value()) *proto.mutable_unit() = ToProto(*result.unit);
  proto.set_state(ToProto(result.state));
  return proto;
}

absl::StatusOr<ClaimResult> FromProto(const v1::ClaimResponse& proto) {
  ClaimResult result;
  if (proto.has_unit()) {
    GANNET_ASSIGN_OR_RETURN(result.unit, FromProto(proto.unit()));
  }
  GANNET_ASSIGN_OR_RETURN(result.state, FromProto(proto.state()));
  return result;
}

v1::FetchWeightsRequest ToProto(const FetchWeightsRequest& request) {
  v1::FetchWeightsRequest proto;
  *proto.mutable_worker() = ToProto(request.worker);
  proto.set_run_id(request.run.value());
  proto.set_weights_version(request.version.value());
  proto.set_weights_sha256(request.sha256);
  return proto;
}

absl::StatusOr<FetchWeightsRequest> FromProto(const v1::FetchWeightsRequest& proto) {
  FetchWeightsRequest request;
  GANNET_ASSIGN_OR_RETURN(request.worker, FromProto(proto.worker()));
  request.run = base::RunId(proto.run_id());
  request.version = base::WeightsVersion(proto.weights_version());
  request.sha256 = proto.weights_sha256();
  GANNET_RETURN_IF_ERROR(ValidateFetchWeights(request));
  return request;
}

v1::PayloadHeader PayloadHeaderOf(const Payload& payload) {
  v1::PayloadHeader proto;
  proto.set_codec(ToProto(payload.codec));
  proto.set_total_bytes(static_cast<int64_t>(payload.bytes->size()));
  proto.set_sha256(payload.sha256);
  return proto;
}

absl::StatusOr<PayloadAnnouncement> FromProto(const v1::PayloadHeader& proto) {
  PayloadAnnouncement announcement;
  GANNET_ASSIGN_OR_RETURN(announcement.codec, FromProto(proto.codec()));
  announcement.total_bytes = proto.total_bytes();
  announcement.sha256 = proto.sha256();
  GANNET_RETURN_IF_ERROR(ValidateAtLeast("payload.total_bytes", 1, announcement.total_bytes));
  GANNET_RETURN_IF_ERROR(ValidatePayloadHeader(announcement.codec, announcement.sha256));
  return announcement;
}

v1::SubmitHeader SubmitHeaderOf(const SubmitRequest& request) {
  v1::SubmitHeader proto;
  *proto.mutable_worker() = ToProto(request.worker);
  proto.set_run_id(request.run.value());
  proto.set_unit_id(request.unit.value());
  proto.set_attempt(request.attempt.value());
  *proto.mutable_stats() = ToProto(request.stats);
  *proto.mutable_payload() = PayloadHeaderOf(request.payload);
  return proto;
}

absl::StatusOr<SubmitAnnouncement> FromProto(const v1::SubmitHeader& proto) {
  SubmitAnnouncement announcement;
  GANNET_ASSIGN_OR_RETURN(announcement.worker, FromProto(proto.worker()));
  announcement.run = base::RunId(proto.run_id());
  announcement.unit = base::UnitId(proto.unit_id());
  announcement.attempt = base::Attempt(proto.attempt());
  GANNET_ASSIGN_OR_RETURN(announcement.stats, FromProto(proto.stats()));
  GANNET_ASSIGN_OR_RETURN(announcement.payload, FromProto(proto.payload()));
  GANNET_RETURN_IF_ERROR(ValidateSubmitHeader(announcement.worker, announcement.run,
                                              announcement.unit, announcement.attempt,
                                              announcement.stats));
  return announcement;
}

v1::HeartbeatRequest ToProto(const HeartbeatCall& call) {
  v1::HeartbeatRequest proto;
  *proto.mutable_worker() = ToProto(call.worker);
  proto.set_run_id(call.run.value());
  for (const UnitProgress& progress : call.held) *proto.add_progress() = ToProto(progress);
  return proto;
}

absl::StatusOr<HeartbeatCall> FromProto(const v1::HeartbeatRequest& proto) {
  HeartbeatCall call;
  GANNET_ASSIGN_OR_RETURN(call.worker, FromProto(proto.worker()));
  call.run = base::RunId(proto.run_id());
  for (const v1::UnitProgress& progress : proto.progress()) {
    GANNET_ASSIGN_OR_RETURN(call.held.emplace_back(), FromProto(progress));
  }
  GANNET_RETURN_IF_ERROR(ValidateHeartbeat(call.worker, call.run, call.held));
  return call;
}

v1::HeartbeatResponse ToProto(const HeartbeatResult& result) {
  v1::HeartbeatResponse proto;
  for (const base::UnitId unit : result.dropped) proto.add_dropped_unit_ids(unit.value());
  proto.set_state(ToProto(result.state));
  return proto;
}

absl::StatusOr<HeartbeatResult> FromProto(const v1::HeartbeatResponse& proto) {
  HeartbeatResult result;
  for (const int64_t unit : proto.dropped_unit_ids()) {
    GANNET_RETURN_IF_ERROR(ValidateAtLeast("dropped_unit_ids", 1, unit));
    result.dropped.emplace_back(unit);
  }
  GANNET_ASSIGN_OR_RETURN(result.state, FromProto(proto.state()));
  return result;
}

v1::ReleaseRequest ToProto(const ReleaseCall& call) {
  v1::ReleaseRequest proto;
  *proto.mutable_worker() = ToProto(call.worker);
  proto.set_run_id(call.run.value());
  proto.set_unit_id(call.unit.value());
  proto.set_attempt(call.attempt.value());
  return proto;
}

absl::StatusOr<ReleaseCall> FromProto(const v1::ReleaseRequest& proto) {
  ReleaseCall call;
  GANNET_ASSIGN_OR_RETURN(call.worker, FromProto(proto.worker()));
  call.run = base::RunId(proto.run_id());
  call.unit = base::UnitId(proto.unit_id());
  call.attempt = base::Attempt(proto.attempt());
  GANNET_RETURN_IF_ERROR(ValidateRelease(call.worker, call.run, call.unit, call.attempt));
  return call;
}

v1::FailRequest ToProto(const FailCall& call) {
  v1::FailRequest proto;
  *proto.mutable_worker() = ToProto(call.worker);
  proto.set_run_id(call.run.value());
  proto.set_unit_id(call.unit.value());
  proto.set_attempt(call.attempt.value());
  proto.set_reason(call.reason);
  return proto;
}

absl::StatusOr<FailCall> FromProto(const v1::FailRequest& proto) {
  FailCall call;
  GANNET_ASSIGN_OR_RETURN(call.worker, FromProto(proto.worker()));
  call.run = base::RunId(proto.run_id());
  call.unit = base::UnitId(proto.unit_id());
  call.attempt = base::Attempt(proto.attempt());
  call.reason = proto.reason();
  GANNET_RETURN_IF_ERROR(ValidateFail(call.worker, call.run, call.unit, call.attempt, call.reason));
  return call;
}

v1::LeaveRequest ToProto(const LeaveCall& call) {
  v1::LeaveRequest proto;
  *proto.mutable_worker() = ToProto(call.worker);
  proto.set_run_id(call.run.value());
  return proto;
}

absl::StatusOr<LeaveCall> FromProto(const v1::LeaveRequest& proto) {
  LeaveCall call;
  GANNET_ASSIGN_OR_RETURN(call.worker, FromProto(proto.worker()));
  call.run = base::RunId(proto.run_id());
  GANNET_RETURN_IF_ERROR(ValidateLeave(call.worker, call.run));
  return call;
}

}  // namespace gannet::exchange
