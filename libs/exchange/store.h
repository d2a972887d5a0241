#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/typed_id.h"
#include "libs/domain/round_plan.h"
#include "libs/domain/run_config.h"
#include "libs/domain/run_state.h"
#include "libs/exchange/exchange.h"

namespace gannet {

// Proof of leadership: every fenced write names it.
struct Leadership {
  LeaderId leader;    // 32 hexadecimal digits, random per process start
  int64_t epoch = 0;  // grows with every change of hands

  friend bool operator==(const Leadership&, const Leadership&) = default;
};

// One finished round; see gannet.v1.RoundSummary.
struct RoundSummary {
  Round round;
  int64_t epoch = 0;
  int gradient_count = 0;
  int image_count = 0;
  double discriminator_loss = 0;
  double generator_loss = 0;
  double real_accuracy = 0;
  double fake_accuracy = 0;
  double seconds = 0;

  friend bool operator==(const RoundSummary&, const RoundSummary&) = default;
};

// A run as it stands.
struct RunStatus {
  RunId run;
  RunConfig config;
  RunState state = RunState::kRunning;
  std::string state_reason;
  WeightsVersion weights_version;  // rounds published
  std::optional<RoundSummary> last_round;
  int worker_count = 0;           // heard from within the last 30 s by the database's clock
  int64_t accepted_image_count = 0;  // over all rounds
};

// A gradient that was kept, without its bytes.
struct GradientInfo {
  UnitId unit;
  Attempt attempt;
  Slot slot;
  WorkerId worker;
  GradientStats stats;
  Codec codec = Codec::kFp32;
  std::string sha256;  // 32 raw bytes
};

// Units of a round by state.
struct RoundProgress {
  std::vector<GradientInfo> gradients;  // of state done, in slot order
  int ready = 0;
  int leased = 0;
  int failed = 0;
  std::string failure_reason;  // of the first failed unit; empty when none
};

struct WorkerSummary {
  WorkerId worker;
  std::string display_name;
  std::string hardware;
  int64_t accepted_unit_count = 0;
  int64_t accepted_image_count = 0;
  absl::Time last_seen;
};

struct NewRun {
  RunConfig config;
  Payload weights;     // version 0, layout WeightsSpec
  Payload adam_state;  // layout AdamStateSpec
  std::vector<PlannedUnit> units;  // of round 1
};

struct PublishRequest {
  RunId run;
  Leadership leadership;
  WeightsVersion expected_version;  // the version published before; this one is expected_version + 1
  Payload weights;
  Payload adam_state;
  RoundSummary summary;                // of the round just folded: round == expected_version + 1
  std::vector<UnitId> consumed;        // whose gradients were folded
  std::vector<PlannedUnit> next_units; // of round expected_version + 2; empty when finished
  bool finished = false;
  bool keep = false;  // keep this version for good (a checkpoint)
};

// Everything the coordinator needs from the database: the other side of Exchange.
//
// Thread safety: all methods may be called from any thread.
// Errors of every call: UNAVAILABLE - the database cannot be reached; UNKNOWN - a commit is in doubt: read before repeating; NOT_FOUND - no such run.
// "Fenced" calls return FAILED_PRECONDITION when `leadership` is not the current, unexpired one: a deposed leader must end or elect itself anew.
class Store {
 public:
  virtual ~Store() = default;

  // The run of that name.
  // Returns: NOT_FOUND.
  virtual absl::StatusOr<RunStatus> FindRun(const std::string& name) = 0;

  // Creates a run with its first weights and units, in one transaction.
  // Returns: ALREADY_EXISTS - the name is taken.
  virtual absl::StatusOr<RunId> CreateRun(const NewRun& run) = 0;

  // Becomes or stays leader for `ttl`, by the database's clock. Renewing keeps the epoch.
  // Returns: FAILED_PRECONDITION - another leader's time has not run out.
  virtual absl::StatusOr<Leadership> AcquireLeadership(RunId run, const LeaderId& leader, absl::Duration ttl) = 0;

  // Gives leadership up at once, so that a successor need not wait. Not holding it is OK.
  virtual absl::Status ResignLeadership(RunId run, const Leadership& leadership) = 0;

  virtual absl::StatusOr<RunStatus> GetRunStatus(RunId run) = 0;

  // Weights and Adam state of the current version (they belong together).
  struct Snapshot {
    WeightsVersion version;
    Payload weights;
    Payload adam_state;
  };
  virtual absl::StatusOr<Snapshot> LoadSnapshot(RunId run) = 0;

  // Gradients and open units of a round.
  virtual absl::StatusOr<RoundProgress> GetRoundProgress(RunId run, Round round) = 0;

  // Blocks until something of the run may have changed that the coordinator waits for (round complete, control) or `timeout` has passed. A hint only.
  virtual void AwaitChange(RunId run, absl::Duration timeout) = 0;

  // The bytes of a kept gradient.
  // Returns: NOT_FOUND.
  virtual absl::StatusOr<Payload> FetchGradient(RunId run, UnitId unit) = 0;

  // Fenced. Deletes an unusable gradient and returns its unit to ready (see ReturnCause::kRejected); the worker's credit is taken back.
  // Returns: NOT_FOUND - the unit has no gradient.
  virtual absl::Status RejectGradient(RunId run, const Leadership& leadership, UnitId unit, const std::string& reason) = 0;

  // Fenced. Publishes a round in one transaction behind a compare-and-swap on (version, leader, epoch, state is running or paused): weights, Adam state, summary, consumed
  // units, next units; open units of the published round are closed; the run becomes finished when asked.
  // Returns: ABORTED - the version is not the expected one.
  virtual absl::Status Publish(const PublishRequest& request) = 0;

  // Fenced. Returns every unit to ready whose lease has run out. The number returned.
  virtual absl::StatusOr<int> ReapExpiredLeases(RunId run, const Leadership& leadership) = 0;

  // Fenced. Makes room for the blobs of round `round` (gradients) and version `round` (weights): frees what those of eight rounds earlier occupied.
  // Call it before the units of that round are published; it may be called again.
  // Returns: UNAVAILABLE - a long reader holds the place: wait and warn.
  virtual absl::Status PrepareRound(RunId run, const Leadership& leadership, Round round) = 0;

  // Pauses, resumes or stops (kStopped closes all open units). Idempotent.
  // Returns: as CheckRunTransition.
  virtual absl::Status SetRunState(RunId run, RunState state, const std::string& reason) = 0;

  // Finished rounds after `after`, oldest first, at most `limit`.
  virtual absl::StatusOr<std::vector<RoundSummary>> ListRounds(RunId run, Round after, int limit) = 0;

  // Workers of the run by id, after `after` (empty: from the first), at most `limit`.
  virtual absl::StatusOr<std::vector<WorkerSummary>> ListWorkers(RunId run, const WorkerId& after, int limit) = 0;
};

}  // namespace gannet
