#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
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
#include "services/gateway/identity_memo.h"
#include "services/gateway/run_directory.h"
#include "services/gateway/task_pool.h"
#include "services/gateway/weights_cache.h"

namespace gannet {

struct GatewayServiceOptions {
  int control_threads = 4;  // each uses at most one database connection
  int bulk_threads = 4;
  int control_queue_limit = 4'096;
  int bulk_queue_limit = 256;

  int64_t max_payload_bytes = int64_t{256} << 20;  // of one gradient
  int64_t max_inflight_bytes = int64_t{1} << 30;   // of all gradients being received
  int64_t weights_cache_bytes = int64_t{256} << 20;

  // An upload without a new chunk for so long gives its bytes back and fails.
  absl::Duration upload_stall_limit = absl::Minutes(1);
  // How long the database's word about an identity is good for; see IdentityMemo.
  absl::Duration identity_lifetime = absl::Seconds(5);
  size_t max_identities = 10'000;

  ClaimQueueOptions claims = {};
};

class GatewayService;

// A gradient being received. Obtained from GatewayService::OpenUpload.
//
// Thread safety: one caller at a time; the service may expire it at any moment.
class Upload {
 public:
  // Takes the next bytes, in order.
  // Returns: DATA_LOSS - more than announced; DEADLINE_EXCEEDED - it has stalled too long before.
  absl::Status Append(absl::string_view chunk);

 private:
  friend class GatewayService;
  Upload(SubmitAnnouncement announced, ByteBudget::Hold hold,
         std::shared_ptr<const BundleSpec> spec, Clock& clock);

  // Gives bytes and budget back when no chunk came since `limit` ago. Whether it did.
  bool ExpireIfIdle(absl::Duration limit);

  // The whole gradient.
  // Returns: DATA_LOSS - truncated, or the checksum does not match; DEADLINE_EXCEEDED - expired.
  absl::StatusOr<Payload> TakePayload();

  const SubmitAnnouncement announced_;
  const std::shared_ptr<const BundleSpec> spec_;  // null when the run is not known
  Clock& clock_;
  Mutex mu_;
  ByteBudget::Hold hold_ ABSL_GUARDED_BY(mu_);
  std::string bytes_ ABSL_GUARDED_BY(mu_);
  Sha256Hasher hasher_ ABSL_GUARDED_BY(mu_);
  absl::Duration last_chunk_at_ ABSL_GUARDED_BY(mu_);
  bool expired_ ABSL_GUARDED_BY(mu_) = false;
};

// What the gateway does between workers and an Exchange: it passes calls on from a bounded number
// of threads, parks claims, receives and checks gradients, and keeps weights in memory. Knows
// nothing of gRPC.
//
// Every call ends in exactly one call of `done`, from a thread of the service or, when the answer
// is known at once, from the caller's. Beyond what Exchange states for the call: RESOURCE_EXHAUSTED
// - a limit of the options; UNAVAILABLE - the service has stopped. `wanted` is asked before a call
// that had to queue goes to the exchange; when it says no, `done` gets CANCELLED.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: what the constructor takes must outlive it. The destructor stops.
class GatewayService {
 public:
  template <typename T>
  using Done = std::function<void(absl::StatusOr<T>)>;
  using DoneStatus = std::function<void(absl::Status)>;
  using Wanted = std::function<bool()>;

  GatewayService(Exchange& exchange, WorkSignal& signal, Clock& clock, GatewayMetrics& metrics,
                 Logger& log, const GatewayServiceOptions& options);
  ~GatewayService();
  GatewayService(const GatewayService&) = delete;
  GatewayService& operator=(const GatewayService&) = delete;

  void Join(JoinRequest request, Wanted wanted, Done<JoinResult> done);

  // Parked while there is no unit; see ClaimQueue. The ticket is for CancelClaim.
  ClaimQueue::Ticket Claim(ClaimRequest request, Done<ClaimResult> done);
  void CancelClaim(ClaimQueue::Ticket ticket);

  // From memory where possible; the worker's identity is checked by the database all the same (see
  // IdentityMemo).
  void FetchWeights(const FetchWeightsRequest& request, Wanted wanted, const Done<Payload>& done);

  // Opens a submission, or refuses it before its first byte is sent.
  // Returns: INVALID_ARGUMENT - the header is malformed; OUT_OF_RANGE - announced bytes beyond the
  // limit of one gradient; RESOURCE_EXHAUSTED - beyond that of all in progress: repeat later;
  // NOT_FOUND, UNAUTHENTICATED, FAILED_PRECONDITION - as Exchange says of run and worker.
  void OpenUpload(SubmitAnnouncement announced, Wanted wanted, Done<std::shared_ptr<Upload>> done);

  // Checks what was received, and submits it. Call once.
  // Returns: DATA_LOSS, DEADLINE_EXCEEDED - see Upload; INVALID_ARGUMENT - names, shapes, dtypes or
  // a value that is not finite, naming tensor and place; then as Exchange::Submit.
  void FinishUpload(std::shared_ptr<Upload> upload, Done<SubmitOutcome> done);

  void Heartbeat(HeartbeatCall call, Wanted wanted, Done<HeartbeatResult> done);
  // These are carried out even when the caller is gone by then: giving up work is often a worker's
  // last word.
  void Release(ReleaseCall call, DoneStatus done);
  void Fail(FailCall call, DoneStatus done);
  void Leave(LeaveCall call, DoneStatus done);

  // Forgets weights, identities and runs: after the database was away, it may be another one.
  void ForgetEverything();

  // Answers parked claims, without a unit where there is none. First step of a shutdown.
  void DrainClaims();

  // Runs what is queued and ends all threads. Idempotent.
  void Stop();

 private:
  // Runs `call` on the control pool and hands its result on.
  template <typename Result, typename Call, typename DoneFunction>
  void OnControlPool(Wanted wanted, DoneFunction done, Call call);

  // Asks the database, unless it has vouched for this identity a moment ago. Blocks.
  absl::Status CheckIdentity(const WorkerIdentity& worker, RunId run);
  // The layout of the run's gradients; null when it cannot be had. Blocks.
  std::shared_ptr<const BundleSpec> LearnGradientSpec(const WorkerIdentity& worker, RunId run);
  absl::StatusOr<std::shared_ptr<Upload>> MakeUpload(SubmitAnnouncement announced);
  absl::StatusOr<SubmitOutcome> CheckAndSubmit(Upload& upload);
  void ExpireIdleUploads();

  Exchange& exchange_;
  Clock& clock_;
  GatewayMetrics& metrics_;
  Logger& log_;
  const GatewayServiceOptions options_;

  RunDirectory runs_;
  IdentityMemo identities_;
  ByteBudget upload_budget_;
  TaskPool control_pool_;
  TaskPool bulk_pool_;
  WeightsCache weights_;
  ClaimQueue claims_;
  Mutex uploads_mu_;
  std::vector<std::weak_ptr<Upload>> uploads_ ABSL_GUARDED_BY(uploads_mu_);
  PeriodicRunner upload_watch_;
};

}  // namespace gannet
