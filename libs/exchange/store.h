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

namespace gannet::exchange {

// Proof of leadership: every fenced write names it.
struct Leadership {
  base::LeaderId leader;  // 32 hexadecimal digits, random per process start
  int64_t term = 0;       // grows with every change of hands

  friend bool operator==(const Leadership&, const Leadership&) = default;
};

// One finished round; see gannet.v1.RoundSummary.
struct RoundSummary {
  base::Round round;
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

// How long a worker counts as live after it was last seen (see Exchange).
inline constexpr absl::Duration kWorkerLivenessTimeout = absl::Seconds(30);

// Blobs of a round (its gradients' bytes, and the weights it publishes) share a place with those of
// the round eight later; see Store::ReclaimOldBlobs.
inline constexpr int kBlobRing = 8;

// Settings that were changed during the run.
struct SettingsChange {
  base::Round round;         // from which they hold
  domain::RunConfig config;  // what holds then
  std::string reason;        // for people

  friend bool operator==(const SettingsChange&, const SettingsChange&) = default;
};

// Which weights of a run made the best images so far.
struct BestWeights {
  base::WeightsVersion version;
  double distance = 0;  // to real images, as the coordinator measured it: less is better

  friend bool operator==(const BestWeights&, const BestWeights&) = default;
};

// A run as it stands.
struct RunStatus {
  base::RunId run;
  domain::RunConfig config;          // as it holds for the open round
  domain::RunConfig next_config;     // and for the one after it
  domain::RunConfig created_config;  // as the run was created with
  base::Round settings_round;    // from which the newest settings hold; 0: they were never changed
  int64_t settings_version = 0;  // another one after every change, replaced ones included
  domain::RunState state = domain::RunState::kRunning;
  std::string state_reason;
  base::WeightsVersion weights_version;  // rounds published
  std::optional<RoundSummary> last_round;
  int worker_count = 0;              // has not left, last seen less than kWorkerLivenessTimeout ago
  int64_t accepted_image_count = 0;  // of all gradients kept, over all rounds
  int64_t wasted_image_count = 0;    // of gradients that were refused (IsWasted) or not consumed
  // What a unit of the last round took from claim to accept: the median. Zero: not known yet.
  absl::Duration median_unit_time;
  std::optional<BestWeights> best;  // none: not measured yet, or never
};

// A gradient that was kept, without its bytes.
struct GradientInfo {
  base::UnitId unit;
  base::Attempt attempt;
  base::Slot slot;
  base::WorkerId worker;
  GradientStats stats;
  tensor::Codec codec = tensor::Codec::kFp32;
  std::string sha256;    // 32 raw bytes
  int stale_rounds = 0;  // how many versions older its weights are than those of its round
};

// Units of a round by state, speculative copies included. A round that has no units (yet) has none
// in any. Units that were carried over from an earlier round are counted apart: nobody waits for
// them.
struct RoundProgress {
  std::vector<GradientInfo> gradients;  // of state done, in slot order
  std::vector<GradientInfo> stale;      // as gradients, of units carried over
  int stale_leased = 0;                 // units carried over that are leased
  int ready = 0;
  int leased = 0;
  int failed = 0;
  // Of the ready and leased ones, how often the one was claimed that was most often, and its
  // slot. 0 when there is none.
  int most_attempts = 0;
  base::Slot most_attempts_slot;
  std::string
      failure_reason;  // the last reason of the failed unit of the lowest slot; empty when none
};

struct WorkerSummary {
  base::WorkerId worker;
  std::string display_name;
  std::string hardware;
  int64_t accepted_unit_count = 0;
  int64_t accepted_image_count = 0;
  int64_t duplicate_unit_count = 0;  // computed beside a faster worker
  int64_t wasted_image_count = 0;    // of gradients that were refused
  absl::Time last_seen;
  std::string removed_reason = {};  // why it was removed from the run; empty: it was not

  friend bool operator==(const WorkerSummary&, const WorkerSummary&) = default;
};

// A worker as the run knows it: what is needed so that it goes on, with its credit, elsewhere.
struct WorkerRecord {
  WorkerSummary summary;
  std::string secret_sha256;  // 32 raw bytes
  base::Incarnation incarnation;

  friend bool operator==(const WorkerRecord&, const WorkerRecord&) = default;
};

// How a run came to be what it is.
struct RunArchive {
  domain::RunConfig created_config;
  std::vector<SettingsChange> changes;  // by round; the last one may not hold yet
  std::vector<WorkerRecord> workers;
  std::optional<std::string> pause_reason = {};  // set: it was paused
};

// A worker whose gradients were rejected so often, less one for each that was published, is removed
// from the run: rejecting the next ones would cost the class more than its work is worth.
inline constexpr int kMaxNetRejections = 3;

// Why such a worker is removed, at most kMaxReasonChars.
std::string RejectionsReason(int rejections, const std::string& last_reason);

// SHA-256 of the checksums of the consumed gradients, one after another, each of 32 raw bytes.
std::string ConsumedSha256(const std::vector<std::string>& gradient_sha256s);

// The reasons of two changes from the same round on: "FIRST; SECOND", at most kMaxReasonChars.
std::string JoinReasons(const std::string& first, const std::string& second);

// The settings that hold in `round` when those were created with and changed.
const domain::RunConfig& ConfigOf(const domain::RunConfig& created,
                                  const std::vector<SettingsChange>& changes, base::Round round);

struct NewRun {
  domain::RunConfig config;                // as it was created with
  Payload weights;                         // of `version`, layout WeightsSpec
  Payload adam_state;                      // layout AdamStateSpec
  std::vector<domain::PlannedUnit> units;  // of round version + 1
  // More than 0: the run goes on from a checkpoint. Then it has these rounds behind it, ascending
  // and none above `version`; some may be missing.
  base::WeightsVersion version{0};
  std::vector<RoundSummary> history;
  // Then it may have settings that were changed, by round and none after version + 2 (`units` are
  // planned with those that hold), and workers that have joined it.
  std::vector<SettingsChange> changes;
  std::vector<WorkerRecord> workers;
  std::optional<std::string> pause_reason;  // set: it begins paused
};

struct PublishRequest {
  base::RunId run;
  Leadership leadership;
  base::WeightsVersion
      expected_version;  // the version published before; this one is expected_version + 1
  std::string expected_sha256 = {};  // of its weights, 32 raw bytes; empty: not compared
  Payload weights;
  Payload adam_state;
  RoundSummary summary;                // of the round just folded: round == expected_version + 1
  std::vector<base::UnitId> consumed;  // whose gradients were folded
  std::string consumed_sha256 = {};    // as ConsumedSha256; empty: not compared
  int64_t settings_version = 0;        // RunStatus's, when next_units were planned
  std::vector<domain::PlannedUnit>
      next_units;  // of round expected_version + 2; empty when finished
  bool finished = false;
  bool keep = false;  // keep this version permanently (a checkpoint)
  // Units in progress go on in the next round, if they have done so less often than this (see
  // UnitState); at most kMaxStaleRounds. 0: they are closed. With `finished` there is no next one.
  int max_stale_rounds = 0;
};

// Everything the coordinator needs from the database: the other side of Exchange.
//
// Thread safety: all methods may be called from any thread.
//
// Errors of every call, in the order in which they are checked: INVALID_ARGUMENT - malformed
// (validation.h, before anything is looked at); NOT_FOUND - no such run; FAILED_PRECONDITION -
// "fenced" calls only: `leadership` is not the current, unexpired one: a deposed leader must end or
// elect itself anew; then those of the call itself. At any point UNAVAILABLE - the database cannot
// be reached; UNKNOWN - a commit is in doubt: read before repeating.
class Store {
 public:
  virtual ~Store() = default;

  // The run of that name.
  // Returns: NOT_FOUND.
  virtual absl::StatusOr<RunStatus> FindRun(const std::string& name) = 0;

  // Creates a run with its first weights (version 0, unless it goes on from a checkpoint) and the
  // units of the round after them, in one transaction.
  // Returns: ALREADY_EXISTS - the name is taken; DATA_LOSS - a payload does not match its checksum.
  virtual absl::StatusOr<base::RunId> CreateRun(const NewRun& run) = 0;

  // Becomes or stays leader until `ttl` from now. The leader of record keeps the term, even when
  // its leadership had expired and nobody took over; everybody else gets the next term (the first
  // is 1). Returns: FAILED_PRECONDITION - another leader's time has not expired.
  virtual absl::StatusOr<Leadership> AcquireLeadership(base::RunId run,
                                                       const base::LeaderId& leader,
                                                       absl::Duration ttl) = 0;

  // Gives leadership up at once, so that a successor need not wait: nobody is leader of record any
  // more. Not holding it is OK.
  virtual absl::Status ResignLeadership(base::RunId run, const Leadership& leadership) = 0;

  virtual absl::StatusOr<RunStatus> GetRunStatus(base::RunId run) = 0;

  // Weights and Adam state of the current version (they belong together).
  struct Snapshot {
    base::WeightsVersion version;
    Payload weights;
    Payload adam_state;
  };
  virtual absl::StatusOr<Snapshot> LoadSnapshot(base::RunId run) = 0;

  // Gradients and open units of a round, also of one published long ago.
  virtual absl::StatusOr<RoundProgress> GetRoundProgress(base::RunId run, base::Round round) = 0;

  // Blocks until something of the run may have changed that the coordinator waits for (a round
  // without ready or leased units, a unit failed permanently, control) or `timeout` has passed. A
  // hint only. A change since the previous call returned is not lost: the next one returns at once.
  // An unknown run returns at once.
  virtual void AwaitChange(base::RunId run, absl::Duration timeout) = 0;

  // The bytes of a kept gradient.
  // Returns: NOT_FOUND - no such unit, no gradient, or its bytes were reclaimed (ReclaimOldBlobs).
  virtual absl::StatusOr<Payload> FetchGradient(base::RunId run, base::UnitId unit) = 0;

  // Fenced. Deletes an unusable gradient of the open round and returns its unit to ready, or to
  // failed (see RequeueCause::kRejected; a failed unit pauses the run as after Exchange::Fail); the
  // worker's credit is taken back. The holder is forgotten, so a repeat of that submission is
  // refused. The worker's rejection number kMaxNetRejections, not counting those for which one
  // of its gradients was published, removes it, as RemoveWorker does. Returns: NOT_FOUND - the unit
  // has no gradient, its round is published, or the run has ended.
  virtual absl::Status RejectGradient(base::RunId run, const Leadership& leadership,
                                      base::UnitId unit, const std::string& reason) = 0;

  // Removes a worker from the run, or changes the reason: from the next call on it is answered
  // FAILED_PRECONDITION, for the reason given here, whatever it calls and however often it starts
  // again. What it holds is ready for others at once, and so is every unit of the open round whose
  // gradient came from it, as if that had been rejected, but without a failure of the unit: whoever
  // has been removed is not believed. Published rounds and the worker's credit for them stay. It
  // counts as having left. The worker is refused before its work is taken back; when the answer is
  // lost, call it again.
  // Returns: INVALID_ARGUMENT - the reason is empty; NOT_FOUND - no such run or worker.
  virtual absl::Status RemoveWorker(base::RunId run, const base::WorkerId& worker,
                                    const std::string& reason) = 0;

  // Takes a removed worker back: its next call is answered as if nothing had been. Idempotent.
  // Returns: NOT_FOUND - no such run or worker.
  virtual absl::Status RestoreWorker(base::RunId run, const base::WorkerId& worker) = 0;

  // Fenced. Publishes a round in one transaction behind a compare-and-swap on (version, leader,
  // term, state is running or paused, settings): weights, Adam state, summary, consumed units,
  // next units; open units of the published round are closed or carried over, gradients of it that
  // were not consumed count as wasted; the run becomes finished when asked (also a paused one).
  // Checked in this order: FAILED_PRECONDITION - the run has ended; ABORTED - the version or its
  // weights are not the expected ones, or the settings have been changed since `settings_version`,
  // or `consumed` names a unit that is not a done one of this round (any more), or was done with
  // another gradient.
  virtual absl::Status Publish(const PublishRequest& request) = 0;

  // Fenced. Returns every unit to ready whose lease has expired. The number returned.
  virtual absl::StatusOr<int> ReapExpiredLeases(base::RunId run, const Leadership& leadership) = 0;

  // Fenced. Reclaims the ring's place for round `round` (gradients) and version `round` (weights):
  // the bytes of gradients and of weights that are not kept permanently are deleted where their
  // round or version is below `round` and equal to it modulo kBlobRing. What is known about those
  // gradients stays: a repeat of their submission is still answered ALREADY_ACCEPTED. Call it
  // before the units of that round are published; it may be called again, and it may be left out. A
  // long reader (a backup, a forgotten session) does not hold it up; what he sees is only deleted
  // then, and its room is free eight rounds later.
  // Returns: INVALID_ARGUMENT - `round` is not one or two above the published version (checked
  // after the fence).
  virtual absl::Status ReclaimOldBlobs(base::RunId run, const Leadership& leadership,
                                       base::Round round) = 0;

  // Fenced. Frees what nobody asks for once a run has ended: the bytes of all gradients, and of the
  // weights that are neither kept permanently nor the current ones. What is known about them stays,
  // as after ReclaimOldBlobs; so do current weights, Adam state and best weights. Idempotent.
  // Returns: FAILED_PRECONDITION - the run has not ended; UNAVAILABLE - a reader holds the bytes:
  // repeat later.
  virtual absl::Status ReclaimBlobs(base::RunId run, const Leadership& leadership) = 0;

  // Deletes a run with everything that is stored of it. Its name is free again, its id never comes
  // again. Workers that still belong to it are answered NOT_FOUND.
  // Returns: FAILED_PRECONDITION - a coordinator leads it; UNAVAILABLE - a reader holds its bytes:
  // repeat later.
  virtual absl::Status DeleteRun(base::RunId run) = 0;

  // Fenced. Keeps weights to make images with, those of a published version, as the best of the
  // run, in the place of those kept before. The caller, who has measured them, decides. They are
  // not Exchange's: where the generator's average is kept, it is in its place.
  // Returns: INVALID_ARGUMENT - `distance` is negative or not finite, or (after the fence) the
  // version is not published yet; DATA_LOSS - the payload does not match its checksum.
  virtual absl::Status SaveBest(base::RunId run, const Leadership& leadership,
                                const BestWeights& best, const Payload& weights) = 0;

  // The best weights and what they are, as kept last.
  // Returns: NOT_FOUND - none are kept.
  struct BestSnapshot {
    BestWeights best;
    Payload weights;
  };
  virtual absl::StatusOr<BestSnapshot> LoadBest(base::RunId run) = 0;

  // Pauses, resumes (failed units are ready again, without failures) or stops (all open units are
  // closed). Idempotent: asking for the current state changes nothing, not even the reason. The
  // reason of a running run is empty.
  // Returns: as CheckRunTransition.
  virtual absl::Status SetRunState(base::RunId run, domain::RunState state,
                                   const std::string& reason) = 0;

  // Changes settings during the run: `config` holds from the round after the open one, whose units
  // are out already; lease and speculation_multiplier hold at once. A change that has not begun to
  // hold is replaced. Returns the round. Returns: as ChangeConfig; FAILED_PRECONDITION - the run
  // has ended; ABORTED - rounds were published again and again meanwhile: repeat.
  virtual absl::StatusOr<base::Round> ChangeSettings(base::RunId run,
                                                     const domain::RunConfig& config,
                                                     const std::string& reason) = 0;

  // Every change of settings, by round.
  virtual absl::StatusOr<std::vector<SettingsChange>> ListChanges(base::RunId run) = 0;

  // Finished rounds after `after`, oldest first, at most `limit` (1 to kMaxPage).
  virtual absl::StatusOr<std::vector<RoundSummary>> ListRounds(base::RunId run, base::Round after,
                                                               int limit) = 0;

  // Workers of the run by id, after `after` (empty: from the first), at most `limit` (1 to
  // kMaxPage).
  virtual absl::StatusOr<std::vector<WorkerSummary>> ListWorkers(base::RunId run,
                                                                 const base::WorkerId& after,
                                                                 int limit) = 0;

  // All workers of the run by id, for an archive.
  virtual absl::StatusOr<std::vector<WorkerRecord>> ListWorkerRecords(base::RunId run) = 0;
};

inline constexpr int kMaxPage = 10000;

// Why a run was paused by a unit that failed permanently: "round R slot S failed N times, last by
// worker ID: REASON", at most kMaxReasonChars. Without a worker when the reason names it (a
// rejected gradient's does).
std::string FailedUnitReason(base::Round round, base::Slot slot, int failures,
                             const base::WorkerId& worker, const std::string& reason);

}  // namespace gannet::exchange
