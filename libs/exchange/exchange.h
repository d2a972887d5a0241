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
#include "libs/tensor/tensor_bundle.h"

namespace gannet::exchange {

inline constexpr int kProtocolVersion = 1;
inline constexpr int kMinProtocolVersion = 1;
inline constexpr absl::Duration kMaxClaimWait = absl::Seconds(30);

// Who calls. Chosen by the worker (see docs/adr/0002-worker-identity.md).
struct WorkerIdentity {
  base::WorkerId id;              // 32 hexadecimal digits
  std::string secret;             // 64 hexadecimal digits; only its SHA-256 is stored
  base::Incarnation incarnation;  // of this start of the process; above those of the starts before
};

struct JoinRequest {
  WorkerIdentity worker;
  std::string run_name;      // empty: the one run that has not ended (the newest one when several)
  std::string display_name;  // at most 64 characters
  std::string hardware;      // at most 200 characters
  int protocol_version = kProtocolVersion;
  std::optional<domain::DataFingerprint> data;  // unset: only describes the run, registers nothing
};

struct JoinResult {
  base::RunId run;
  domain::RunConfig config;
  domain::RunState state = domain::RunState::kRunning;
  absl::Duration heartbeat_interval = absl::Seconds(5);  // as HeartbeatInterval says
};

// A run at the moment.
struct RunDescription {
  base::RunId run;
  domain::RunConfig config;  // of the open round
  domain::RunState state = domain::RunState::kRunning;

  friend bool operator==(const RunDescription&, const RunDescription&) = default;
};

struct WorkUnit {
  base::RunId run;
  base::UnitId unit;
  base::Attempt attempt;
  base::Round round;
  base::Slot slot;
  base::WeightsVersion weights_version;
  std::string weights_sha256;  // 32 raw bytes; empty from an older gateway
  std::vector<int64_t> image_indices;
  int micro_batch = 0;
  uint64_t seed = 0;
  absl::Duration lease;

  friend bool operator==(const WorkUnit&, const WorkUnit&) = default;
};

struct ClaimRequest {
  WorkerIdentity worker;
  base::RunId run;
  std::string request_id;  // 32 hexadecimal digits
  absl::Duration wait;     // at most kMaxClaimWait; zero answers at once
};

struct ClaimResult {
  std::optional<WorkUnit> unit;
  domain::RunState state = domain::RunState::kRunning;
};

// Asks for published weights.
struct FetchWeightsRequest {
  WorkerIdentity worker;
  base::RunId run;
  base::WeightsVersion version;
  std::string sha256 = {};  // 32 raw bytes: these and no others; empty: whichever have that number
};

// What was hashed on this side of the wire, so that nobody hashes the same 25 MB twice.
struct HashedBytes {
  const std::string* bytes = nullptr;
  std::string sha256;
};

// Encoded tensors with their checksum. The bytes are shared, never changed.
struct Payload {
  tensor::Codec codec = tensor::Codec::kFp32;
  std::string sha256;  // 32 raw bytes, as its sender states it
  std::shared_ptr<const std::string> bytes;
  HashedBytes hashed = {};  // set by the two functions below, left alone by everybody else

  // Computes the checksum.
  static Payload FromBytes(tensor::Codec codec, std::string bytes);
  // Returns: as EncodeBundle.
  static absl::StatusOr<Payload> FromBundle(const tensor::TensorBundle& bundle,
                                            tensor::Codec codec);

  // For whoever computed the checksum while the bytes arrived.
  static Payload FromHashed(tensor::Codec codec, std::string bytes, std::string computed_sha256);

  // Whether the bytes match `sha256`. Reads the bytes only when nobody on this side hashed them
  // before.
  bool IsIntact() const;
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
  base::RunId run;
  base::UnitId unit;
  base::Attempt attempt;
  GradientStats stats;
  Payload payload;
};

// A submission whose bytes are not there yet.
struct SubmissionCheck {
  WorkerIdentity worker;
  base::RunId run;
  base::UnitId unit;
  base::Attempt attempt;
  int image_count = 0;
  int micro_batch_count = 0;
  std::string sha256;  // of the payload, as its sender states it
};

// A unit held, and how far it is.
struct UnitProgress {
  base::UnitId unit;
  base::Attempt attempt;
  int micro_batches_done = 0;
};

struct HeartbeatResult {
  std::vector<base::UnitId> dropped;  // stop working on these, ascending
  domain::RunState state = domain::RunState::kRunning;
};

// Everything a worker needs from outside. A worker does not know which implementation it has:
// PgExchange (SQL functions), GrpcExchange (the gateway's client) or MemoryBackend (in process).
//
// Thread safety: all methods may be called from any thread.
//
// Errors of every call, in the order in which they are checked:
//   INVALID_ARGUMENT    - malformed; every backend asks validation.h, before it looks at anything;
//   NOT_FOUND           - no such run;
//   UNAUTHENTICATED     - the worker is unknown in this run, or its secret wrong, or its
//                         incarnation above the current one: it has not joined, as far as the
//                         database knows (it may have been rolled back);
//   FAILED_PRECONDITION - the worker was removed from the run (Store::RemoveWorker; the message
//                         says why), or its incarnation is below the current one: the caller must
//                         end;
//   then those of the call itself. UNAVAILABLE at any point - the backend cannot be reached: repeat
//   with back-off (every call is idempotent).
//
// A worker is registered per run: the first Join stores the SHA-256 of its secret beside its id.
//
// A gradient that is refused (IsWasted) is counted for its worker, once for each attempt of a unit
// (and not for one below an attempt that was counted): its images as wasted, and for kDuplicate the
// unit as a duplicate.
//
// Liveness is Join, Heartbeat and a Submit whose gradient is accepted; Claim is not, so that a
// long poll costs no write. After Leave a worker is not live until it is seen again.
//
// Time is the database's (MemoryBackend: its Clock). A lease or leadership has expired when its end
// is at or before now. A returned unit is ready, and claimable again after RequeueBackoff.
class Exchange {
 public:
  virtual ~Exchange() = default;

  // Registers a worker, or a new incarnation of a known one (whose old leases return to ready), and
  // replaces its display name and hardware. Idempotent. The run of an empty name is the newest one
  // that has not ended; a run named that has ended is joined like any other, and says so by its
  // state. Without `data` the run is described and nothing changes (a known id still needs its
  // secret).
  // Checked in this order: INVALID_ARGUMENT; FAILED_PRECONDITION - protocol version below
  // kMinProtocolVersion; NOT_FOUND - no such run, or none that has not ended; UNAUTHENTICATED - the
  // id is known with another secret; FAILED_PRECONDITION - the worker was removed from the run, or
  // has another data fingerprint (the message says how it differs).
  virtual absl::StatusOr<JoinResult> Join(const JoinRequest& request) = 0;

  // The run at the moment, for a worker that has joined it. Changes nothing, and is no sign of
  // life: a gateway asks so whether a worker is who it says, and what gradients of the run look
  // like.
  virtual absl::StatusOr<RunDescription> Describe(const WorkerIdentity& worker,
                                                  base::RunId run) = 0;

  // Leases the unit of the lowest round and slot that is ready (see RequeueBackoff), waiting up to
  // `wait` for one; each poll is a whole Claim of its own, every check included. A poll decides in
  // this order:
  //   1. a unit leased to this worker under this request id: the same unit again, under the same
  //      attempt, with the time that remains of its lease (zero when it expired and nobody reaped
  //      it);
  //   2. RESOURCE_EXHAUSTED - the worker holds kMaxLeasesPerWorker already, expired ones included;
  //   3. the run has ended: an answer without a unit, at once;
  //   4. the run is paused: an answer without a unit, after the wait;
  //   5. the unit: attempt + 1, the whole lease (see UnitLease), progress starts at zero now;
  //   6. nothing is ready: a speculative copy of the unit that was claimed first among those that
  //   are leased to others for longer than SpeculationDelay and have no open speculative copy, and
  //   whose slot this worker does not work on: a new unit in that slot, attempt 1; else an answer
  //   without a unit, after the wait.
  virtual absl::StatusOr<ClaimResult> Claim(const ClaimRequest& request) = 0;

  // The published weights of a version (codec kFp32, layout WeightsSpec).
  // Returns: NOT_FOUND - not kept (any more), not published yet, or others than those asked for.
  virtual absl::StatusOr<Payload> FetchWeights(const FetchWeightsRequest& request) = 0;

  // Submits a gradient; see ClassifySubmit for outcomes and errors. A kept one makes its unit done
  // and credits the worker with a unit and its images. Accepted while paused, too.
  // Returns: INVALID_ARGUMENT - a statistic is beyond its limits (gradient_limits.h), the codec is
  // unknown or the payload empty; DATA_LOSS - the bytes do not match their checksum (both before
  // anything is looked up); INVALID_ARGUMENT - the codec is not RunConfig::gradient_codec;
  // NOT_FOUND - no such unit (any more: a database that was rolled back knows nothing of the last
  // ones, and never gives their ids again); INVALID_ARGUMENT - image_count or micro_batch_count is
  // not the unit's; then as ClassifySubmit. Backends do not decode the payload: the gateway and the
  // coordinator do.
  virtual absl::StatusOr<domain::SubmitOutcome> Submit(const SubmitRequest& request) = 0;

  // What Submit would answer without looking at bytes and statistics: an outcome other than kept,
  // counted as Submit counts it, or none when the gradient would be kept now. For whoever receives
  // bytes for others and would rather not for nothing. A client, which sends them, is always told
  // none.
  // Returns: as Submit.
  virtual absl::StatusOr<std::optional<domain::SubmitOutcome>> CheckSubmission(
      const SubmissionCheck& /*submission*/) {
    return std::optional<domain::SubmitOutcome>();
  }

  // Renews the leases of `held` (see DecideRenewal) to a whole lease from now and records the sign
  // of life. More micro-batches than reported before count as progress made now; fewer are ignored,
  // and so are those that the unit does not have.
  // A unit that is not renewed is named in the answer, also one that never existed; its lease, if
  // it is still held, expires on its own.
  virtual absl::StatusOr<HeartbeatResult> Heartbeat(const WorkerIdentity& worker, base::RunId run,
                                                    const std::vector<UnitProgress>& held) = 0;

  // Releases a unit. A lease that is not held (any more), or a unit that never existed, is OK.
  virtual absl::Status Release(const WorkerIdentity& worker, base::RunId run, base::UnitId unit,
                               base::Attempt attempt) = 0;

  // Reports that a unit cannot be computed here. A lease that is not held (any more), or a unit
  // that never existed, is OK. When the unit has failed permanently a running run is paused, for
  // the reason that FailedUnitReason gives. The holder is remembered, as after Release.
  virtual absl::Status Fail(const WorkerIdentity& worker, base::RunId run, base::UnitId unit,
                            base::Attempt attempt, const std::string& reason) = 0;

  // Releases every unit and leaves the run; the identity stays valid, and so does the incarnation.
  virtual absl::Status Leave(const WorkerIdentity& worker, base::RunId run) = 0;
};

}  // namespace gannet::exchange
