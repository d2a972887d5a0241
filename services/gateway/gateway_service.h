#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/base/periodic_runner.h"
#include "libs/base/sha256.h"
#include "libs/exchange/exchange.h"
#include "libs/exchange/proto_conversion.h"
#include "libs/exchange/work_signal.h"
#include "libs/telemetry/log.h"
#include "services/gateway/byte_budget.h"
#include "services/gateway/claim_queue.h"
#include "services/gateway/gateway_metrics.h"
#include "services/gateway/identity_cache.h"
#include "services/gateway/join_gate.h"
#include "services/gateway/refusals.h"
#include "services/gateway/run_directory.h"
#include "services/gateway/stream_watch.h"
#include "services/gateway/task_pool.h"
#include "services/gateway/weights_cache.h"
#include "services/gateway/worker_slots.h"

namespace gannet::gateway {

// Of one worker at the same time: as many as it may hold units.
inline constexpr int kMaxUploadsPerWorker = domain::kMaxLeasesPerWorker;
inline constexpr int kMaxFetchesPerWorker = 2;

// Nothing is kept for a stranger: whoever has not shown an identity, and for a gradient a lease,
// takes up no more than an open stream, and that for a minute.
struct GatewayServiceOptions {
  int control_threads = 4;  // each uses at most one database connection
  int bulk_threads = 4;
  int control_queue_limit = 4'096;
  // Calls of one address in that queue or on its way to the database. A class of sixty behind one
  // address that does all it may at once (two claims, transfers and uploads each) has 360.
  int max_calls_per_address = 512;
  int bulk_queue_limit = 256;

  int64_t max_payload_bytes = int64_t{256} << 20;  // of one gradient
  // Of all gradients being received: what has come, not what was announced.
  int64_t max_inflight_bytes = int64_t{1} << 30;
  int64_t weights_cache_bytes = int64_t{256} << 20;

  // At the same time, of all workers. Each costs a chunk, of 1 MiB and 0.5 MiB at most.
  int max_uploads = 512;
  int max_fetches = 256;
  // A stream below these is cut: a sender from the moment its stream opens, a reader from the first
  // byte that waits for it. 25 MB at the least rate take 26 minutes.
  StreamLimits uploads = {};
  StreamLimits fetches = {};
  // How often streams are looked at.
  absl::Duration watch_interval = absl::Seconds(5);

  JoinGateOptions joins = {};

  // How long the database's word about an identity is good for; see IdentityCache.
  absl::Duration identity_lifetime = absl::Seconds(5);
  size_t max_identities = 10'000;

  ClaimQueueOptions claims = {};
};

class GatewayService;

// A gradient being received. Obtained from GatewayService::OpenUpload. Holds its worker's place and
// the bytes that have come, until it is destroyed or cut.
//
// Thread safety: one caller at a time; the service may give it up at any moment.
class Upload {
 public:
  // Takes the next bytes, in order.
  // Returns: INVALID_ARGUMENT - no byte; DATA_LOSS - more than announced; RESOURCE_EXHAUSTED - no
  // room for them; ABORTED - it was cut before, because the same attempt is sent anew.
  absl::Status Append(absl::string_view chunk);

 private:
  friend class GatewayService;
  Upload(exchange::SubmitAnnouncement announced, ByteBudget::Hold hold, WorkerSlots::Slot slot,
         std::shared_ptr<const tensor::BundleSpec> spec, Refusals& refusals);

  // Gives bytes and place back: the same attempt is sent anew.
  void GiveUp();

  // The whole gradient.
  // Returns: DATA_LOSS - truncated, or the checksum does not match; ABORTED - it was cut.
  absl::StatusOr<exchange::Payload> TakePayload();

  absl::Status CheckNotGivenUp() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const exchange::SubmitAnnouncement announced_;
  const std::shared_ptr<const tensor::BundleSpec> spec_;
  Refusals& refusals_;
  base::Mutex mu_;
  ByteBudget::Hold hold_ ABSL_GUARDED_BY(mu_);
  WorkerSlots::Slot slot_ ABSL_GUARDED_BY(mu_);
  std::string bytes_ ABSL_GUARDED_BY(mu_);
  base::Sha256Hasher hasher_ ABSL_GUARDED_BY(mu_);
  bool given_up_ ABSL_GUARDED_BY(mu_) = false;
};

// Weights on their way to a worker, and its place among those who are sent some.
struct WeightsTransfer {
  exchange::Payload payload;
  std::shared_ptr<WorkerSlots::Slot> slot;
};

// What the gateway does between workers and an Exchange: it passes calls on from a bounded number
// of threads, parks claims, receives and checks gradients, and keeps weights in memory. Knows
// nothing of gRPC.
//
// Every call ends in exactly one call of `done`, from a thread of the service or, when the answer
// is known at once, from the caller's. Beyond what Exchange states for the call: RESOURCE_EXHAUSTED
// - a limit of the options; UNAVAILABLE - the service has stopped. `is_cancelled` is asked before a
// call that had to queue goes to the exchange; when it says yes, `done` gets CANCELLED.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: what the constructor takes must outlive it. The destructor stops.
class GatewayService {
 public:
  template <typename T>
  using Done = std::function<void(absl::StatusOr<T>)>;
  using DoneStatus = std::function<void(absl::Status)>;
  using IsCancelled = std::function<bool()>;

  GatewayService(exchange::Exchange& exchange, exchange::WorkSignal& signal, base::Clock& clock,
                 GatewayMetrics& metrics, Refusals& refusals, telemetry::Logger& log,
                 const GatewayServiceOptions& options);
  ~GatewayService();
  GatewayService(const GatewayService&) = delete;
  GatewayService& operator=(const GatewayService&) = delete;

  // `peer`, here and below, is the caller as gRPC names it. Its address may have so many calls at a
  // time (max_calls_per_address), so that nobody fills the queue for all; new workers are limited
  // by it, too: see JoinGate.
  void Join(exchange::JoinRequest request, const std::string& peer, IsCancelled is_cancelled,
            Done<exchange::JoinResult> done);

  // Parked while there is no unit; see ClaimQueue. The ticket is for CancelClaim.
  ClaimQueue::Ticket Claim(exchange::ClaimRequest request, const std::string& peer,
                           Done<exchange::ClaimResult> done);
  void CancelClaim(ClaimQueue::Ticket ticket);

  // From memory where possible; the worker's identity is checked by the database all the same (see
  // IdentityCache). RESOURCE_EXHAUSTED, too, when the worker, or all of them, have as many
  // transfers as they may.
  void FetchWeights(const exchange::FetchWeightsRequest& request, const std::string& peer,
                    IsCancelled is_cancelled, const Done<WeightsTransfer>& done);

  // Opens a submission, or answers it before its first byte is sent: with an outcome, when it would
  // not be kept anyway. Another upload of the same attempt, which may hang in a connection that is
  // no more, is cut for it.
  // Returns: INVALID_ARGUMENT - the header is malformed, or announces more bytes than a gradient of
  // the run has; OUT_OF_RANGE - more than any gradient may have here; RESOURCE_EXHAUSTED - too many
  // uploads of this worker or of all, or no room for the bytes: repeat later; then as
  // Exchange::CheckSubmission.
  using OpenedUpload = std::variant<std::shared_ptr<Upload>, domain::SubmitOutcome>;
  void OpenUpload(exchange::SubmitAnnouncement announced, const std::string& peer,
                  IsCancelled is_cancelled, Done<OpenedUpload> done);

  // Watches a stream of a sender, or a reader, from now on; see StreamWatch.
  std::unique_ptr<StreamWatch::Stream> WatchUpload(StreamWatch::Cut cut) {
    return upload_watch_.Watch(std::move(cut));
  }
  std::unique_ptr<StreamWatch::Stream> WatchFetch(StreamWatch::Cut cut) {
    return fetch_watch_.Watch(std::move(cut));
  }

  // Checks what was received, and submits it. Call once.
  // Returns: DATA_LOSS, DEADLINE_EXCEEDED - see Upload; INVALID_ARGUMENT - names, shapes, dtypes or
  // a value that is not finite, naming tensor and place; then as Exchange::Submit.
  void FinishUpload(std::shared_ptr<Upload> upload, Done<domain::SubmitOutcome> done);

  void Describe(exchange::DescribeCall call, const std::string& peer, IsCancelled is_cancelled,
                Done<exchange::RunDescription> done);
  void Heartbeat(exchange::HeartbeatCall call, const std::string& peer, IsCancelled is_cancelled,
                 Done<exchange::HeartbeatResult> done);
  // These are carried out even when the caller is gone by then: giving up work is often a worker's
  // last word.
  void Release(exchange::ReleaseCall call, const std::string& peer, DoneStatus done);
  void Fail(exchange::FailCall call, const std::string& peer, DoneStatus done);
  void Leave(exchange::LeaveCall call, const std::string& peer, DoneStatus done);

  // Forgets weights, identities and runs: after the database was away, it may be another one.
  void ForgetEverything();

  // Answers parked claims, without a unit where there is none. First step of a shutdown.
  void DrainClaims();

  // Runs what is queued and ends all threads. Idempotent.
  void Stop();

 private:
  // Takes a place in the queue before the database for the peer's address.
  // Returns: RESOURCE_EXHAUSTED - it has all it may have.
  absl::StatusOr<AddressSlots::Slot> TakePlace(const std::string& peer);

  // Runs `call` on the control pool, in a place of the peer's, and hands its result on.
  template <typename Result, typename Call, typename DoneFunction>
  void OnControlPool(const std::string& peer, IsCancelled is_cancelled, DoneFunction done,
                     Call call);

  // Asks the database, unless it has authenticated this identity a moment ago. Blocks.
  absl::Status CheckIdentity(const exchange::WorkerIdentity& worker, base::RunId run);
  // The layout of the run's gradients. Blocks.
  // Returns: as Exchange::Describe.
  absl::StatusOr<std::shared_ptr<const tensor::BundleSpec>> LearnGradientSpec(
      const exchange::WorkerIdentity& worker, base::RunId run);
  // What the database's answer to a claim or a heartbeat says about the worker itself.
  void RecordLiveness(const base::WorkerId& worker, base::RunId run, const absl::Status& answer);
  absl::StatusOr<exchange::JoinResult> JoinAsNew(const exchange::JoinRequest& request);
  absl::StatusOr<OpenedUpload> MakeUpload(exchange::SubmitAnnouncement announced);
  absl::StatusOr<domain::SubmitOutcome> CheckAndSubmit(Upload& upload);
  void CutSlowStreams();

  exchange::Exchange& exchange_;
  GatewayMetrics& metrics_;
  telemetry::Logger& log_;
  const GatewayServiceOptions options_;

  Refusals& refusals_;
  RunDirectory runs_;
  IdentityCache identities_;
  JoinGate joins_;
  ByteBudget upload_budget_;
  WorkerSlots upload_slots_;
  WorkerSlots fetch_slots_;
  AddressSlots address_slots_;  // outlives the pool, whose tasks hold some
  StreamWatch upload_watch_;
  StreamWatch fetch_watch_;
  TaskPool control_pool_;
  TaskPool bulk_pool_;
  WeightsCache weights_;
  ClaimQueue claims_;
  using UploadKey = std::tuple<base::RunId, base::WorkerId, base::UnitId, base::Attempt>;
  base::Mutex uploads_mu_;
  std::map<UploadKey, std::weak_ptr<Upload>> uploads_ ABSL_GUARDED_BY(uploads_mu_);
  std::vector<domain::RefusalReason> refusing_;  // as the log knows it; of the runner below
  base::PeriodicRunner stream_runner_;
};

}  // namespace gannet::gateway
