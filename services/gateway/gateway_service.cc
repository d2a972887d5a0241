#include "services/gateway/gateway_service.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/status_macros.h"
#include "libs/domain/gradient_limits.h"
#include "libs/exchange/validation.h"
#include "libs/tensor/codec.h"
#include "services/gateway/gradient_size.h"

namespace gannet::gateway {
namespace {

// No claim of the queue has it: there is nothing to cancel.
constexpr ClaimQueue::Ticket kNoTicket = 0;

constexpr auto kNeverCancelled = [] { return false; };

}  // namespace

// --- Upload --------------------------------------------------------------------------------------

Upload::Upload(exchange::SubmitAnnouncement announced, ByteBudget::Hold hold,
               WorkerSlots::Slot slot, std::shared_ptr<const tensor::BundleSpec> spec,
               Refusals& refusals)
    : announced_(std::move(announced)),
      spec_(std::move(spec)),
      refusals_(refusals),
      hold_(std::move(hold)),
      slot_(std::move(slot)) {}

absl::Status Upload::CheckNotGivenUp() const {
  if (!given_up_) return absl::OkStatus();
  return absl::AbortedError(
      "the same attempt is being sent again: this upload was cut in its favour");
}

absl::Status Upload::Append(absl::string_view chunk) {
  base::MutexLock lock(mu_);
  GANNET_RETURN_IF_ERROR(CheckNotGivenUp());
  if (chunk.empty()) {
    return refusals_.Refuse(domain::RefusalReason::kUploadEmptyChunk,
                            absl::InvalidArgumentError("a chunk has at least one byte"));
  }
  const auto total_bytes = static_cast<size_t>(announced_.payload.total_bytes);
  if (chunk.size() > total_bytes - bytes_.size()) {
    return absl::DataLossError(
        absl::StrCat("gradient stream continues past its announced end: ", total_bytes, " bytes"));
  }
  const size_t needed = bytes_.size() + chunk.size();
  if (needed > bytes_.capacity()) {
    // Grows with what has come: at most twice that, and never beyond what was announced, which is
    // what a gradient of the run has.
    const size_t capacity = std::max(needed, std::min(2 * bytes_.capacity(), total_bytes));
    if (!hold_.GrowTo(static_cast<int64_t>(capacity))) {
      return refusals_.Refuse(
          domain::RefusalReason::kUploadBytes,
          absl::ResourceExhaustedError("too many gradients are being received, repeat later"));
    }
    bytes_.reserve(capacity);
  }
  hasher_.Update(chunk);
  bytes_.append(chunk.data(), chunk.size());
  return absl::OkStatus();
}

void Upload::GiveUp() {
  base::MutexLock lock(mu_);
  given_up_ = true;
  bytes_ = std::string();
  hold_ = ByteBudget::Hold();
  slot_ = WorkerSlots::Slot();
}

absl::StatusOr<exchange::Payload> Upload::TakePayload() {
  base::MutexLock lock(mu_);
  GANNET_RETURN_IF_ERROR(CheckNotGivenUp());
  const exchange::PayloadAnnouncement& payload = announced_.payload;
  if (bytes_.size() != static_cast<size_t>(payload.total_bytes)) {
    return absl::DataLossError(absl::StrCat("gradient stream is truncated: expected ",
                                            payload.total_bytes, " bytes, got ", bytes_.size()));
  }
  std::string sha256 = hasher_.Finish();
  if (sha256 != payload.sha256) {
    return absl::DataLossError("the gradient's bytes do not match their checksum: send it again");
  }
  return exchange::Payload::FromHashed(payload.codec, std::move(bytes_), std::move(sha256));
}

// --- GatewayService ------------------------------------------------------------------------------

GatewayService::GatewayService(exchange::Exchange& exchange, exchange::WorkSignal& signal,
                               base::Clock& clock, GatewayMetrics& metrics, Refusals& refusals,
                               telemetry::Logger& log, const GatewayServiceOptions& options)
    : exchange_(exchange),
      metrics_(metrics),
      log_(log),
      options_(options),
      refusals_(refusals),
      identities_(clock, options.identity_lifetime, options.max_identities),
      joins_(clock, refusals, options.joins),
      upload_budget_(options.max_inflight_bytes, metrics.upload_bytes_in_progress),
      upload_slots_(kMaxUploadsPerWorker, options.max_uploads),
      fetch_slots_(kMaxFetchesPerWorker, options.max_fetches),
      address_slots_(options.max_calls_per_address, std::numeric_limits<int>::max()),
      upload_watch_(clock, options.uploads),
      fetch_watch_(clock, options.fetches),
      control_pool_(options.control_threads, options.control_queue_limit,
                    metrics.control_tasks_queued),
      bulk_pool_(options.bulk_threads, options.bulk_queue_limit, metrics.bulk_tasks_queued),
      weights_(bulk_pool_, options.weights_cache_bytes, metrics),
      claims_(exchange, signal, control_pool_, clock, metrics.parked_claims, refusals,
              options.claims),
      stream_runner_(options.watch_interval, [this] { CutSlowStreams(); }) {}

GatewayService::~GatewayService() { Stop(); }

absl::StatusOr<AddressSlots::Slot> GatewayService::TakePlace(const std::string& peer) {
  AddressSlots::Slot place;
  if (address_slots_.TryTake(JoinAddressOf(peer), place) == AddressSlots::Answer::kTaken) {
    return place;
  }
  return refusals_.Refuse(domain::RefusalReason::kCallsOfAddress,
                          absl::ResourceExhaustedError(absl::StrCat(
                              "too many calls from this address wait, repeat later: at most ",
                              options_.max_calls_per_address)));
}

template <typename Result, typename Call, typename DoneFunction>
void GatewayService::OnControlPool(const std::string& peer, IsCancelled is_cancelled,
                                   DoneFunction done, Call call) {
  absl::StatusOr<AddressSlots::Slot> taken = TakePlace(peer);
  if (!taken.ok()) {
    done(taken.status());
    return;
  }
  // Shared, for a task must be one that could be copied.
  auto place = std::make_shared<AddressSlots::Slot>(*std::move(taken));
  const absl::Status queued =
      control_pool_.Run([done, is_cancelled = std::move(is_cancelled), call = std::move(call),
                         place = std::move(place)]() mutable {
        if (is_cancelled()) {
          place.reset();
          done(absl::CancelledError("the caller is gone"));
          return;
        }
        Result result = call();
        place.reset();  // before the caller knows, and calls again
        done(std::move(result));
      });
  if (queued.ok()) return;
  if (absl::IsResourceExhausted(queued)) refusals_.Count(domain::RefusalReason::kCalls);
  done(queued);
}

void GatewayService::Join(exchange::JoinRequest request, const std::string& peer,
                          IsCancelled is_cancelled, Done<exchange::JoinResult> done) {
  // Only a join with data registers anybody.
  const bool is_new = request.data.has_value() && !joins_.HasJoined(request.worker);
  const std::string address = is_new ? JoinAddressOf(peer) : "";
  if (is_new) {
    // Before it takes up a thread.
    if (absl::Status admitted = joins_.Admit(address); !admitted.ok()) {
      done(std::move(admitted));
      return;
    }
    done = [this, address, done = std::move(done)](absl::StatusOr<exchange::JoinResult> result) {
      // A join that is wrong costs the database as much as one that is right.
      if (absl::IsResourceExhausted(result.status()) || absl::IsUnavailable(result.status())) {
        joins_.Refund(address);
      }
      done(std::move(result));
    };
  }
  OnControlPool<absl::StatusOr<exchange::JoinResult>>(
      peer, std::move(is_cancelled), std::move(done), [this, is_new, request = std::move(request)] {
        absl::StatusOr<exchange::JoinResult> result =
            is_new ? JoinAsNew(request) : exchange_.Join(request);
        if (result.ok()) {
          runs_.Learn(result->run, result->config);
          if (request.data.has_value()) identities_.Insert(request.worker, result->run);
        }
        return result;
      });
}

absl::StatusOr<exchange::JoinResult> GatewayService::JoinAsNew(
    const exchange::JoinRequest& request) {
  exchange::JoinRequest describe = request;
  describe.data.reset();
  GANNET_ASSIGN_OR_RETURN(const exchange::JoinResult run, exchange_.Join(describe));
  GANNET_ASSIGN_OR_RETURN(const bool entered, joins_.Enter(run.run, request.worker.id));
  absl::StatusOr<exchange::JoinResult> result = exchange_.Join(request);
  if (result.ok()) {
    joins_.MarkJoined(request.worker);
  } else if (entered) {
    joins_.Leave(run.run, request.worker.id);
  }
  return result;
}

ClaimQueue::Ticket GatewayService::Claim(exchange::ClaimRequest request, const std::string& peer,
                                         Done<exchange::ClaimResult> done) {
  absl::StatusOr<AddressSlots::Slot> place = TakePlace(peer);
  if (!place.ok()) {
    done(place.status());
    return kNoTicket;
  }
  done = [this, worker = request.worker.id, run = request.run,
          done = std::move(done)](absl::StatusOr<exchange::ClaimResult> result) {
    RecordLiveness(worker, run, result.status());
    done(std::move(result));
  };
  return claims_.Enter(std::move(request), std::move(done), *std::move(place));
}

void GatewayService::CancelClaim(ClaimQueue::Ticket ticket) { claims_.Cancel(ticket); }

void GatewayService::FetchWeights(const exchange::FetchWeightsRequest& request,
                                  const std::string& peer, IsCancelled is_cancelled,
                                  const Done<WeightsTransfer>& done) {
  auto get = [this, request, done] {
    auto slot = std::make_shared<WorkerSlots::Slot>();
    switch (fetch_slots_.TryTake({request.run, request.worker.id}, *slot)) {
      case WorkerSlots::Answer::kTaken:
        break;
      case WorkerSlots::Answer::kOwnerHasAll:
        done(refusals_.Refuse(domain::RefusalReason::kFetchesOfWorker,
                              absl::ResourceExhaustedError(absl::StrCat(
                                  "this worker is being sent weights as often as it may: at most ",
                                  kMaxFetchesPerWorker))));
        return;
      case WorkerSlots::Answer::kFull:
        fetch_watch_.CutSlowest();
        done(refusals_.Refuse(domain::RefusalReason::kFetches,
                              absl::ResourceExhaustedError(absl::StrCat(
                                  "weights are being sent to too many, repeat later: at most ",
                                  options_.max_fetches))));
        return;
    }
    weights_.Get(
        {request.run, request.version, request.sha256},
        [this, request] { return exchange_.FetchWeights(request); },
        [slot, done](absl::StatusOr<exchange::Payload> payload) {
          if (!payload.ok()) {
            *slot = WorkerSlots::Slot();  // before the worker knows, and asks again
            done(payload.status());
          } else {
            done(WeightsTransfer{*std::move(payload), slot});
          }
        });
  };
  if (identities_.Contains(request.worker, request.run)) {
    metrics_.identity_cache_hits.Increment();
    get();
    return;
  }
  OnControlPool<absl::Status>(
      peer, std::move(is_cancelled),
      [get, done](absl::Status identity) {
        if (identity.ok()) {
          get();
        } else {
          done(std::move(identity));
        }
      },
      [this, request] { return CheckIdentity(request.worker, request.run); });
}

void GatewayService::OpenUpload(exchange::SubmitAnnouncement announced, const std::string& peer,
                                IsCancelled is_cancelled, Done<OpenedUpload> done) {
  done = [this, done = std::move(done)](absl::StatusOr<OpenedUpload> upload) {
    if (!upload.ok()) metrics_.SubmitErrorCounter(upload.status()).Increment();
    done(std::move(upload));
  };
  if (announced.payload.total_bytes > options_.max_payload_bytes) {
    done(refusals_.Refuse(
        domain::RefusalReason::kUploadSize,
        absl::OutOfRangeError(absl::StrCat(
            "gradient too large for this gateway: at most ", options_.max_payload_bytes,
            " bytes (gateway.max_payload_bytes), got ", announced.payload.total_bytes))));
    return;
  }
  OnControlPool<absl::StatusOr<OpenedUpload>>(peer, std::move(is_cancelled), std::move(done),
                                              [this, announced = std::move(announced)]() mutable {
                                                return MakeUpload(std::move(announced));
                                              });
}

absl::StatusOr<GatewayService::OpenedUpload> GatewayService::MakeUpload(
    exchange::SubmitAnnouncement announced) {
  GANNET_RETURN_IF_ERROR(CheckIdentity(announced.worker, announced.run));
  GANNET_ASSIGN_OR_RETURN(std::shared_ptr<const tensor::BundleSpec> spec,
                          LearnGradientSpec(announced.worker, announced.run));
  const absl::Status size =
      CheckGradientSize(*spec, announced.payload.codec, announced.payload.total_bytes);
  if (!size.ok()) return refusals_.Refuse(domain::RefusalReason::kUploadSize, size);
  GANNET_ASSIGN_OR_RETURN(
      const std::optional<domain::SubmitOutcome> outcome,
      exchange_.CheckSubmission({.worker = announced.worker,
                                 .run = announced.run,
                                 .unit = announced.unit,
                                 .attempt = announced.attempt,
                                 .image_count = announced.stats.image_count,
                                 .micro_batch_count = announced.stats.micro_batch_count,
                                 .sha256 = announced.payload.sha256}));
  if (outcome.has_value()) {
    metrics_.SubmitOutcomeCounter(*outcome).Increment();
    return *outcome;
  }

  // From here on the worker is known to hold the unit.
  const UploadKey key(announced.run, announced.worker.id, announced.unit, announced.attempt);
  std::shared_ptr<Upload> older;
  {
    base::MutexLock lock(uploads_mu_);
    if (const auto found = uploads_.find(key); found != uploads_.end())
      older = found->second.lock();
  }
  if (older != nullptr) older->GiveUp();
  WorkerSlots::Slot slot;
  switch (upload_slots_.TryTake({announced.run, announced.worker.id}, slot)) {
    case WorkerSlots::Answer::kTaken:
      break;
    case WorkerSlots::Answer::kOwnerHasAll:
      return refusals_.Refuse(domain::RefusalReason::kUploadsOfWorker,
                              absl::ResourceExhaustedError(absl::StrCat(
                                  "this worker is sending as many gradients as it may: at most ",
                                  kMaxUploadsPerWorker)));
    case WorkerSlots::Answer::kFull:
      upload_watch_.CutSlowest();
      return refusals_.Refuse(domain::RefusalReason::kUploads,
                              absl::ResourceExhaustedError(absl::StrCat(
                                  "too many gradients are being received, repeat later: at most ",
                                  options_.max_uploads)));
  }
  // A look ahead, so that few are refused in their middle: only what has come is counted.
  ByteBudget::Hold hold = upload_budget_.TryHold(0);
  if (!hold || !upload_budget_.HasRoomFor(announced.payload.total_bytes)) {
    upload_watch_.CutSlowest();
    return refusals_.Refuse(
        domain::RefusalReason::kUploadBytes,
        absl::ResourceExhaustedError(
            absl::StrCat("too many gradients are being received, repeat later: this gateway takes ",
                         options_.max_inflight_bytes, " bytes at the same time, this one has ",
                         announced.payload.total_bytes)));
  }
  auto upload = std::shared_ptr<Upload>(new Upload(std::move(announced), std::move(hold),
                                                   std::move(slot), std::move(spec), refusals_));
  base::MutexLock lock(uploads_mu_);
  std::erase_if(uploads_, [](const auto& other) { return other.second.expired(); });
  uploads_[key] = upload;
  return upload;
}

void GatewayService::FinishUpload(std::shared_ptr<Upload> upload,
                                  Done<domain::SubmitOutcome> done) {
  done = [this, done = std::move(done)](absl::StatusOr<domain::SubmitOutcome> outcome) {
    if (outcome.ok()) {
      metrics_.SubmitOutcomeCounter(*outcome).Increment();
    } else {
      metrics_.SubmitErrorCounter(outcome.status()).Increment();
    }
    done(std::move(outcome));
  };
  const absl::Status queued = bulk_pool_.Run([this, upload = std::move(upload), done]() mutable {
    absl::StatusOr<domain::SubmitOutcome> outcome = CheckAndSubmit(*upload);
    upload.reset();  // so that its bytes are given back before the worker knows, and sends more
    done(std::move(outcome));
  });
  if (!queued.ok()) done(queued);
}

absl::StatusOr<domain::SubmitOutcome> GatewayService::CheckAndSubmit(Upload& upload) {
  const exchange::SubmitAnnouncement& announced = upload.announced_;
  GANNET_ASSIGN_OR_RETURN(exchange::Payload payload, upload.TakePayload());
  metrics_.payload_bytes_in.Increment(static_cast<double>(announced.payload.total_bytes));
  {
    // Decoded only to be looked at; gone before the database is asked.
    GANNET_ASSIGN_OR_RETURN(const tensor::TensorBundle gradient,
                            DecodeBundle(*payload.bytes, payload.codec));
    GANNET_RETURN_IF_ERROR(gradient.CheckSpec(*upload.spec_));
    GANNET_RETURN_IF_ERROR(domain::CheckGradientValues(gradient));
  }
  return exchange_.Submit({.worker = announced.worker,
                           .run = announced.run,
                           .unit = announced.unit,
                           .attempt = announced.attempt,
                           .stats = announced.stats,
                           .payload = std::move(payload)});
}

void GatewayService::Describe(exchange::DescribeCall call, const std::string& peer,
                              IsCancelled is_cancelled, Done<exchange::RunDescription> done) {
  OnControlPool<absl::StatusOr<exchange::RunDescription>>(
      peer, std::move(is_cancelled), std::move(done),
      [this, call = std::move(call)] { return exchange_.Describe(call.worker, call.run); });
}

void GatewayService::Heartbeat(exchange::HeartbeatCall call, const std::string& peer,
                               IsCancelled is_cancelled, Done<exchange::HeartbeatResult> done) {
  OnControlPool<absl::StatusOr<exchange::HeartbeatResult>>(
      peer, std::move(is_cancelled), std::move(done), [this, call = std::move(call)] {
        absl::StatusOr<exchange::HeartbeatResult> result =
            exchange_.Heartbeat(call.worker, call.run, call.held);
        if (result.ok()) identities_.Insert(call.worker, call.run);
        RecordLiveness(call.worker.id, call.run, result.status());
        return result;
      });
}

void GatewayService::Release(exchange::ReleaseCall call, const std::string& peer, DoneStatus done) {
  OnControlPool<absl::Status>(
      peer, kNeverCancelled, std::move(done), [this, call = std::move(call)] {
        return exchange_.Release(call.worker, call.run, call.unit, call.attempt);
      });
}

void GatewayService::Fail(exchange::FailCall call, const std::string& peer, DoneStatus done) {
  OnControlPool<absl::Status>(
      peer, kNeverCancelled, std::move(done), [this, call = std::move(call)] {
        return exchange_.Fail(call.worker, call.run, call.unit, call.attempt, call.reason);
      });
}

void GatewayService::Leave(exchange::LeaveCall call, const std::string& peer, DoneStatus done) {
  OnControlPool<absl::Status>(
      peer, kNeverCancelled, std::move(done),
      [this, call = std::move(call)] { return exchange_.Leave(call.worker, call.run); });
}

void GatewayService::RecordLiveness(const base::WorkerId& worker, base::RunId run,
                                    const absl::Status& answer) {
  if (answer.ok()) joins_.Touch(run, worker);
  // Removed from the run, or taken over: no cached weights for it either.
  if (absl::IsFailedPrecondition(answer)) identities_.Erase(worker, run);
  if (exchange::IsRemovedWorkerStatus(answer)) joins_.Leave(run, worker);
}

absl::Status GatewayService::CheckIdentity(const exchange::WorkerIdentity& worker,
                                           base::RunId run) {
  if (identities_.Contains(worker, run)) {
    metrics_.identity_cache_hits.Increment();
    return absl::OkStatus();
  }
  metrics_.identity_checks_asked.Increment();
  GANNET_ASSIGN_OR_RETURN(const exchange::RunDescription described,
                          exchange_.Describe(worker, run));
  runs_.Learn(run, described.config);
  identities_.Insert(worker, run);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const tensor::BundleSpec>> GatewayService::LearnGradientSpec(
    const exchange::WorkerIdentity& worker, base::RunId run) {
  if (auto spec = runs_.FindGradientSpec(run); spec != nullptr) return spec;
  // After a restart of the gateway a worker may beat, and so be known, before its run is.
  GANNET_ASSIGN_OR_RETURN(const exchange::RunDescription described,
                          exchange_.Describe(worker, run));
  return runs_.Learn(run, described.config);
}

void GatewayService::CutSlowStreams() {
  for (int cut = upload_watch_.CutSlow(); cut > 0; --cut) {
    metrics_.uploads_stalled.Increment();
    refusals_.Count(domain::RefusalReason::kUploadSlow);
  }
  for (int cut = fetch_watch_.CutSlow(); cut > 0; --cut) {
    refusals_.Count(domain::RefusalReason::kFetchSlow);
  }
  refusals_.Update();
  const std::vector<domain::RefusalReason> current = refusals_.Current();
  if (current == refusing_) return;
  if (current.empty()) {
    log_.Info("nothing is refused any more");
  } else {
    log_.Warning("refusing requests above the limits, other workers continue",
                 {{"reasons",
                   absl::StrJoin(current, ",", [](std::string* out, domain::RefusalReason reason) {
                     absl::StrAppend(out, domain::RefusalLabel(reason));
                   })}});
  }
  refusing_ = current;
}

void GatewayService::ForgetEverything() {
  runs_.Clear();
  identities_.Clear();
  weights_.Clear();
}

void GatewayService::DrainClaims() { claims_.Drain(); }

void GatewayService::Stop() {
  stream_runner_.Stop();
  claims_.Stop();
  control_pool_.Stop();
  bulk_pool_.Stop();
}

}  // namespace gannet::gateway
