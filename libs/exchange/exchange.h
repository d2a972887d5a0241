#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/typed_id.h"
#include "libs/domain/run_config.h"
#include "libs/domain/run_state.h"
#include "libs/domain/unit_state.h"
#include "libs/tensor/codec.h"

namespace gannet {

inline constexpr int kProtocolVersion = 1;
inline constexpr int kMinProtocolVersion = 1;
inline constexpr absl::Duration kMaxClaimWait = absl::Seconds(30);

// Who calls. Chosen by the worker (see docs/adr/0002-worker-identity.md).
struct WorkerIdentity {
  WorkerId id;         // 32 hexadecimal digits
  std::string secret;  // 64 hexadecimal digits; only its SHA-256 is stored
  Incarnation incarnation;
};

struct JoinRequest {
  WorkerIdentity worker;
  std::string run_name;      // empty: the one run that has not ended (the newest one when several)
  std::string display_name;  // at most 64 characters
  std::string hardware;      // at most 200 characters
  int protocol_version = kProtocolVersion;
  std::optional<DataFingerprint> data;  // unset: only describes the run, registers nothing
};

struct JoinResult {
  RunId run;
  RunConfig config;
  RunState state = RunState::kRunning;
  absl::Duration heartbeat_interval = absl::Seconds(5);
};

struct WorkUnit {
  RunId run;
  UnitId unit;
  Attempt attempt;
  Round round;
  Slot slot;
  WeightsVersion weights_version;
  std::vector<int64_t> image_indices;
  int micro_batch = 0;
  uint64_t seed = 0;
  absl::Duration lease;

  friend bool operator==(const WorkUnit&, const WorkUnit&) = default;
};

struct ClaimRequest {
  WorkerIdentity worker;
  RunId run;
  std::string request_id;  // 32 hexadecimal digits
  absl::Duration wait;     // at most kMaxClaimWait; zero answers at once
};

struct ClaimResult {
  std::optional<WorkUnit> unit;
  RunState state = RunState::kRunning;
};

// Encoded tensors with their checksum. The bytes are shared, never changed.
struct Payload {
  Codec codec = Codec::kFp32;
  std::string sha256;  // 32 raw bytes
  std::shared_ptr<const std::string> bytes;

  // Computes the checksum.
  static Payload FromBytes(Codec codec, std::string bytes);
};

struct GradientStats {
  int image_count = 0;
  int micro_batch_count = 0;
  double discriminator_loss = 0;
  double generator_loss = 0;
  double real_accuracy = 0;
  double fake_accuracy = 0;
  double compute_seconds = 0;

  friend bool operator==(const GradientStats&, const GradientStats&) = default;
};

struct SubmitRequest {
  WorkerIdentity worker;
  RunId run;
  UnitId unit;
  Attempt attempt;
  GradientStats stats;
  Payload payload;
};

// A unit held, and how far it is.
struct UnitProgress {
  UnitId unit;
  Attempt attempt;
  int micro_batches_done = 0;
};

struct HeartbeatResult {
  std::vector<UnitId> dropped;  // stop working on these, ascending
  RunState state = RunState::kRunning;
};

// Everything a worker needs from outside. A worker does not know which implementation it has: PgExchange (SQL functions),
// GrpcExchange (the gateway's client) or MemoryExchange (in process).
//
// Thread safety: all methods may be called from any thread.
// Errors of every call: INVALID_ARGUMENT - malformed; UNAUTHENTICATED - the worker is unknown or its secret wrong;
// FAILED_PRECONDITION - the incarnation is not the current one: the caller must end; NOT_FOUND - no such run;
// UNAVAILABLE - the backend cannot be reached: repeat with back-off (every call is idempotent).
class Exchange {
 public:
  virtual ~Exchange() = default;

  // Registers a worker, or a new incarnation of a known one (whose old leases return to ready). Idempotent.
  // Returns: UNAUTHENTICATED - the id is known with another secret; FAILED_PRECONDITION - protocol version below the minimum, or another data
  // fingerprint (the message says how it differs); NOT_FOUND - no such run, or none that has not ended.
  virtual absl::StatusOr<JoinResult> Join(const JoinRequest& request) = 0;

  // Leases the unit of the lowest round and slot that is ready, waiting up to `wait` for one. Idempotent by (worker, request id): a repeat
  // answers with the same unit while this worker still holds it under the same attempt. Answers without a unit at once when the run has ended, and after the wait when paused or empty.
  // Returns: FAILED_PRECONDITION - the worker holds kMaxLeasesPerWorker already.
  virtual absl::StatusOr<ClaimResult> Claim(const ClaimRequest& request) = 0;

  // The published weights of a version (codec kFp32, layout WeightsSpec).
  // Returns: NOT_FOUND - not kept (any more).
  virtual absl::StatusOr<Payload> FetchWeights(const WorkerIdentity& worker, RunId run, WeightsVersion version) = 0;

  // Hands in a gradient; see ClassifySubmit for outcomes and errors.
  // Returns: NOT_FOUND - no such unit; INVALID_ARGUMENT - image_count or micro_batch_count is not the unit's, a statistic is not finite, the
  // codec is unknown or the payload empty; DATA_LOSS - the bytes do not match their checksum. Backends do not decode the payload: the gateway and the coordinator do.
  virtual absl::StatusOr<SubmitOutcome> Submit(const SubmitRequest& request) = 0;

  // Renews the leases of `held` (see DecideRenewal) and records the sign of life.
  virtual absl::StatusOr<HeartbeatResult> Heartbeat(const WorkerIdentity& worker, RunId run,
                                                    const std::vector<UnitProgress>& held) = 0;

  // Gives a unit back. A lease that is not held (any more) is OK.
  virtual absl::Status Release(const WorkerIdentity& worker, RunId run, UnitId unit, Attempt attempt) = 0;

  // Reports that a unit cannot be computed here. A lease that is not held (any more) is OK.
  virtual absl::Status Fail(const WorkerIdentity& worker, RunId run, UnitId unit, Attempt attempt,
                            const std::string& reason) = 0;

  // Gives every unit back and signs off; the identity stays valid for a later Join.
  virtual absl::Status Leave(const WorkerIdentity& worker, RunId run) = 0;
};

}  // namespace gannet
