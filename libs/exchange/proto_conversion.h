#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gannet/v1/admin_service.pb.h"
#include "gannet/v1/archive.pb.h"
#include "gannet/v1/exchange_service.pb.h"
#include "gannet/v1/run.pb.h"
#include "gannet/v1/tensor.pb.h"
#include "gannet/v1/work.pb.h"
#include "libs/exchange/exchange.h"
#include "libs/exchange/store.h"

namespace gannet::exchange {

// Values of exchange.h and store.h as messages of gannet.v1, and back.
//
// ToProto never fails. FromProto is strict: a malformed id, an unknown enum value, a negative
// count, a value that is not finite, or a duration out of range is INVALID_ARGUMENT naming the
// field; requests are checked by validation.h as well, so that what it returns is well-formed. For
// every well-formed value x: FromProto(ToProto(x)) == x.

v1::WorkerIdentity ToProto(const WorkerIdentity& worker);
absl::StatusOr<WorkerIdentity> FromProto(const v1::WorkerIdentity& proto);

v1::RunState ToProto(domain::RunState state);
absl::StatusOr<domain::RunState> FromProto(v1::RunState proto);

v1::SubmitOutcome ToProto(domain::SubmitOutcome outcome);
absl::StatusOr<domain::SubmitOutcome> FromProto(v1::SubmitOutcome proto);

v1::Codec ToProto(tensor::Codec codec);
absl::StatusOr<tensor::Codec> FromProto(v1::Codec proto);

v1::DataFingerprint ToProto(const domain::DataFingerprint& data);
absl::StatusOr<domain::DataFingerprint> FromProto(const v1::DataFingerprint& proto);

// The result of FromProto has passed ValidateRunConfig.
v1::RunConfig ToProto(const domain::RunConfig& config);
absl::StatusOr<domain::RunConfig> FromProto(const v1::RunConfig& proto);

// The config as the JSON form of gannet.v1.RunConfig, in which it is stored. Unknown keys are
// refused.
std::string RunConfigToJson(const domain::RunConfig& config);
absl::StatusOr<domain::RunConfig> RunConfigFromJson(const std::string& json);

v1::RunArchive ToProto(const RunArchive& archive);
absl::StatusOr<RunArchive> FromProto(const v1::RunArchive& proto);

// The same as JSON. Unknown keys are refused.
std::string RunArchiveToJson(const RunArchive& archive);
absl::StatusOr<RunArchive> RunArchiveFromJson(const std::string& json);

v1::RoundSummary ToProto(const RoundSummary& summary);
absl::StatusOr<RoundSummary> FromProto(const v1::RoundSummary& proto);

v1::WorkerSummary ToProto(const WorkerSummary& summary);
absl::StatusOr<WorkerSummary> FromProto(const v1::WorkerSummary& proto);

v1::GradientStats ToProto(const GradientStats& stats);
absl::StatusOr<GradientStats> FromProto(const v1::GradientStats& proto);

v1::WorkUnit ToProto(const WorkUnit& unit);
absl::StatusOr<WorkUnit> FromProto(const v1::WorkUnit& proto);

v1::UnitProgress ToProto(const UnitProgress& progress);
absl::StatusOr<UnitProgress> FromProto(const v1::UnitProgress& proto);

// Join.
v1::JoinRequest ToProto(const JoinRequest& request);
absl::StatusOr<JoinRequest> FromProto(const v1::JoinRequest& proto);
v1::JoinResponse ToProto(const JoinResult& result);
absl::StatusOr<JoinResult> FromProto(const v1::JoinResponse& proto);

// Describe.
struct DescribeCall {
  WorkerIdentity worker;
  base::RunId run;
};
v1::DescribeRequest ToProto(const DescribeCall& call);
absl::StatusOr<DescribeCall> FromProto(const v1::DescribeRequest& proto);
v1::DescribeResponse ToProto(const RunDescription& description);
absl::StatusOr<RunDescription> FromProto(const v1::DescribeResponse& proto);

// Claim.
v1::ClaimRequest ToProto(const ClaimRequest& request);
absl::StatusOr<ClaimRequest> FromProto(const v1::ClaimRequest& proto);
v1::ClaimResponse ToProto(const ClaimResult& result);
absl::StatusOr<ClaimResult> FromProto(const v1::ClaimResponse& proto);

// FetchWeights.
v1::FetchWeightsRequest ToProto(const FetchWeightsRequest& request);
absl::StatusOr<FetchWeightsRequest> FromProto(const v1::FetchWeightsRequest& proto);

// What announces a payload. The bytes themselves travel in chunks.
struct PayloadAnnouncement {
  tensor::Codec codec = tensor::Codec::kFp32;
  int64_t total_bytes = 0;  // at least 1
  std::string sha256;       // 32 raw bytes
};
v1::PayloadHeader PayloadHeaderOf(const Payload& payload);
absl::StatusOr<PayloadAnnouncement> FromProto(const v1::PayloadHeader& proto);

// Submit, but for the bytes.
struct SubmitAnnouncement {
  WorkerIdentity worker;
  base::RunId run;
  base::UnitId unit;
  base::Attempt attempt;
  GradientStats stats;
  PayloadAnnouncement payload;
};
v1::SubmitHeader SubmitHeaderOf(const SubmitRequest& request);
absl::StatusOr<SubmitAnnouncement> FromProto(const v1::SubmitHeader& proto);

// Heartbeat.
struct HeartbeatCall {
  WorkerIdentity worker;
  base::RunId run;
  std::vector<UnitProgress> held;
};
v1::HeartbeatRequest ToProto(const HeartbeatCall& call);
absl::StatusOr<HeartbeatCall> FromProto(const v1::HeartbeatRequest& proto);
v1::HeartbeatResponse ToProto(const HeartbeatResult& result);
absl::StatusOr<HeartbeatResult> FromProto(const v1::HeartbeatResponse& proto);

// Release.
struct ReleaseCall {
  WorkerIdentity worker;
  base::RunId run;
  base::UnitId unit;
  base::Attempt attempt;
};
v1::ReleaseRequest ToProto(const ReleaseCall& call);
absl::StatusOr<ReleaseCall> FromProto(const v1::ReleaseRequest& proto);

// Fail.
struct FailCall {
  WorkerIdentity worker;
  base::RunId run;
  base::UnitId unit;
  base::Attempt attempt;
  std::string reason;
};
v1::FailRequest ToProto(const FailCall& call);
absl::StatusOr<FailCall> FromProto(const v1::FailRequest& proto);

// Leave.
struct LeaveCall {
  WorkerIdentity worker;
  base::RunId run;
};
v1::LeaveRequest ToProto(const LeaveCall& call);
absl::StatusOr<LeaveCall> FromProto(const v1::LeaveRequest& proto);

}  // namespace gannet::exchange
