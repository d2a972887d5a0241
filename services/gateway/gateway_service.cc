#include "services/gateway/gateway_service.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/exchange/validation.h"
#include "libs/tensor/codec.h"

namespace gannet {
namespace {

constexpr auto kAlways = [] { return true; };

// Never given out, so releasing it is nothing but a check of run and worker: it changes nothing and
// is no sign of life.
const UnitId kNoUnit(std::numeric_limits<int64_t>::max());

}  // namespace

// --- Upload --------------------------------------------------------------------------------------

Upload::Upload(SubmitAnnouncement announced, ByteBudget::Hold hold,
               std::shared_ptr<const BundleSpec> spec, Clock& clock)
    : announced_(std::move(announced)),
      spec_(std::move(spec)),
      clock_(clock),
      hold_(std::move(hold)),
      last_chunk_at_(clock.Steady()) {
  bytes_.reserve(static_cast<size_t>(announced_.payload.total_bytes));
}

absl::Status Upload::Append(absl::string_view chunk) {
  MutexLock lock(mu_);
  if (expired_) {
    return absl::DeadlineExceededError("the upload stood still for too long and was given up");
  }
  const auto total_bytes = static_cast<size_t>(announced_.payload.total_bytes);
  if (chunk.size() > total_bytes - bytes_.size()) {
    return absl::DataLossError(
        absl::StrCat("gradient stream goes on after its announced end: ", total_bytes, " bytes"));
  }
  hasher_.Update(chunk);
  bytes_.append(chunk.data(), chunk.size());
  last_chunk_at_ = clock_.Steady();
  return absl::OkStatus();
}

bool Upload::ExpireIfIdle(absl::Duration limit) {
  MutexLock lock(mu_);
  if (expired_ || !hold_ || clock_.Steady() - last_chunk_at_ < limit) return false;
  expired_ = true;
  bytes_ = std::string();
  hold_ = ByteBudget::Hold();
  return true;
}

absl::StatusOr<Payload> Upload::TakePayload() {
  MutexLock lock(mu_);
  if (expired_) {
    return absl::DeadlineExceededError("the upload stood still for too long and was given up");
  }
  const PayloadAnnouncement& payload = announced_.payload;
  if (bytes_.size() != static_cast<size_t>(payload.total_bytes)) {
    return absl::DataLossError(absl::StrCat("gradient stream is truncated: expected ",
                                            payload.total_bytes, " bytes, got ", bytes_.size()));
  }
  std::string sha256 = hasher_.Finish();
  if (sha256 != payload.sha256) {
    return absl::DataLossError("the gradient's bytes do not match their checksum: send it again");
  }
  // Being checked and stored is not standing still.
  last_chunk_at_ = absl::InfiniteDuration();
  return Payload::FromHashed(payload.codec, std::move(bytes_), std::move(sha256));
}

// --- GatewayService ------------------------------------------------------------------------------

GatewayService::GatewayService(Exchange& exchange, WorkSignal& signal, Clock& clock,
                               GatewayMetrics& metrics, Logger& log,
                               const GatewayServiceOptions& options)
    : exchange_(exchange),
      clock_(clock),
      metrics_(metrics),
      log_(log),
      options_(options),
      identities_(clock, options.identity_lifetime, options.max_identities),
      upload_budget_(options.max_inflight_bytes, metrics.upload_bytes_in_progress),
      control_pool_(options.control_threads, options.control_queue_limit,
                    metrics.control_tasks_queued),
      bulk_pool_(options.bulk_threads, options.bulk_queue_limit, metrics.bulk_tasks_queued),
      weights_(bulk_pool_, options.weights_cache_bytes, metrics),
      claims_(exchange, signal, control_pool_, clock, metrics.parked_claims, options.claims),
      upload_watch_(std::max(options.upload_stall_limit / 10, absl::Milliseconds(10)),
                    [this] { ExpireIdleUploads(); }) {}

GatewayService::~GatewayService() { Stop(); }

template <typename Result, typename Call, typename DoneFunction>
void GatewayService::OnControlPool(Wanted wanted, DoneFunction done, Call call) {
  const absl::Status queued =
      control_pool_.Run([done, wanted = std::move(wanted), call = std::move(call)]() mutable {
        if (!wanted()) {
          done(absl::CancelledError("the caller is gone"));
          return;
        }
        Result result = call();
        done(std::move(result));
      });
  if (!queued.ok()) done(queued);
}

void GatewayService::Join(JoinRequest request, Wanted wanted, Done<JoinResult> done) {
  OnControlPool<absl::StatusOr<JoinResult>>(
      std::move(wanted), std::move(done), [this, request = std::move(request)] {
        absl::StatusOr<JoinResult> result = exchange_.Join(request);
        if (result.ok()) {
          runs_.Learn(*result);
          // Only a join with data registers the identity.
          if (request.data.has_value()) identities_.Remember(request.worker, result->run);
        }
        return result;
      });
}

ClaimQueue::Ticket GatewayService::Claim(ClaimRequest request, Done<ClaimResult> done) {
  return claims_.Enter(std::move(request), std::move(done));
}

void GatewayService::CancelClaim(ClaimQueue::Ticket ticket) { claims_.Cancel(ticket); }

void GatewayService::FetchWeights(const FetchWeightsRequest& request, Wanted wanted,
                                  const Done<Payload>& done) {
  auto get = [this, request, done] {
    weights_.Get(
        {request.run, request.version, request.sha256},
        [this, request] { return exchange_.FetchWeights(request); }, done);
  };
  if (identities_.Knows(request.worker, request.run)) {
    metrics_.identity_checks_remembered.Increment();
    get();
    return;
  }
  OnControlPool<absl::Status>(
      std::move(wanted),
      [get, done](absl::Status identity) {
        if (identity.ok()) {
          get();
        } else {
          done(std::move(identity));
        }
      },
      [this, request] { return CheckIdentity(request.worker, request.run); });
}

void GatewayService::OpenUpload(SubmitAnnouncement announced, Wanted wanted,
                                Done<std::shared_ptr<Upload>> done) {
  done = [this, done = std::move(done)](absl::StatusOr<std::shared_ptr<Upload>> upload) {
    if (!upload.ok()) metrics_.SubmitErrorCounter(upload.status()).Increment();
    done(std::move(upload));
  };
  if (announced.payload.total_bytes > options_.max_payload_bytes) {
    done(absl::OutOfRangeError(absl::StrCat("gradient too large for this gateway: at most ",
                                            options_.max_payload_bytes, " bytes, got ",
                                            announced.payload.total_bytes)));
    return;
  }
  OnControlPool<absl::StatusOr<std::shared_ptr<Upload>>>(
      std::move(wanted), std::move(done), [this, announced = std::move(announced)]() mutable {
        return MakeUpload(std::move(announced));
      });
}

absl::StatusOr<std::shared_ptr<Upload>> GatewayService::MakeUpload(SubmitAnnouncement announced) {
  GANNET_RETURN_IF_ERROR(CheckIdentity(announced.worker, announced.run));
  std::shared_ptr<const BundleSpec> spec = LearnGradientSpec(announced.worker, announced.run);
  ByteBudget::Hold hold = upload_budget_.TryHold(announced.payload.total_bytes);
  if (!hold) {
    return absl::ResourceExhaustedError(
        absl::StrCat("too many gradients are being received, repeat later: this gateway takes ",
                     options_.max_inflight_bytes, " bytes at the same time, this one has ",
                     announced.payload.total_bytes));
  }
  auto upload = std::shared_ptr<Upload>(
      new Upload(std::move(announced), std::move(hold), std::move(spec), clock_));
  MutexLock lock(uploads_mu_);
  std::erase_if(uploads_, [](const std::weak_ptr<Upload>& other) { return other.expired(); });
  uploads_.push_back(upload);
  return upload;
}

void GatewayService::FinishUpload(std::shared_ptr<Upload> upload, Done<SubmitOutcome> done) {
  done = [this, done = std::move(done)](absl::StatusOr<SubmitOutcome> outcome) {
    if (outcome.ok()) {
      metrics_.SubmitOutcomeCounter(*outcome).Increment();
    } else {
      metrics_.SubmitErrorCounter(outcome.status()).Increment();
    }
    done(std::move(outcome));
  };
  const absl::Status queued = bulk_pool_.Run([this, upload = std::move(upload), done]() mutable {
    absl::StatusOr<SubmitOutcome> outcome = CheckAndSubmit(*upload);
    upload.reset();  // so that its bytes are given back before the worker knows, and sends more
    done(std::move(outcome));
  });
  if (!queued.ok()) done(queued);
}

absl::StatusOr<SubmitOutcome> GatewayService::CheckAndSubmit(Upload& upload) {
  const SubmitAnnouncement& announced = upload.announced_;
  GANNET_ASSIGN_OR_RETURN(Payload payload, upload.TakePayload());
  metrics_.payload_bytes_in.Increment(static_cast<double>(announced.payload.total_bytes));
  {
    // Decoded only to be looked at; gone before the database is asked.
    GANNET_ASSIGN_OR_RETURN(const TensorBundle gradient,
                            DecodeBundle(*payload.bytes, payload.codec));
    if (upload.spec_ != nullptr) {
      GANNET_RETURN_IF_ERROR(gradient.CheckSpec(*upload.spec_));
    } else {
      metrics_.submits_unchecked.Increment();
    }
    GANNET_RETURN_IF_ERROR(gradient.CheckFinite());
  }
  return exchange_.Submit({.worker = announced.worker,
                           .run = announced.run,
                           .unit = announced.unit,
                           .attempt = announced.attempt,
                           .stats = announced.stats,
                           .payload = std::move(payload)});
}

void GatewayService::Heartbeat(HeartbeatCall call, Wanted wanted, Done<HeartbeatResult> done) {
  OnControlPool<absl::StatusOr<HeartbeatResult>>(
      std::move(wanted), std::move(done), [this, call = std::move(call)] {
        absl::StatusOr<HeartbeatResult> result =
            exchange_.Heartbeat(call.worker, call.run, call.held);
        if (result.ok()) identities_.Remember(call.worker, call.run);
        return result;
      });
}

void GatewayService::Release(ReleaseCall call, DoneStatus done) {
  OnControlPool<absl::Status>(kAlways, std::move(done), [this, call = std::move(call)] {
    return exchange_.Release(call.worker, call.run, call.unit, call.attempt);
  });
}

void GatewayService::Fail(FailCall call, DoneStatus done) {
  OnControlPool<absl::Status>(kAlways, std::move(done), [this, call = std::move(call)] {
    return exchange_.Fail(call.worker, call.run, call.unit, call.attempt, call.reason);
  });
}

void GatewayService::Leave(LeaveCall call, DoneStatus done) {
  OnControlPool<absl::Status>(kAlways, std::move(done), [this, call = std::move(call)] {
    return exchange_.Leave(call.worker, call.run);
  });
}

absl::Status GatewayService::CheckIdentity(const WorkerIdentity& worker, RunId run) {
  if (identities_.Knows(worker, run)) {
    metrics_.identity_checks_remembered.Increment();
    return absl::OkStatus();
  }
  metrics_.identity_checks_asked.Increment();
  GANNET_RETURN_IF_ERROR(exchange_.Release(worker, run, kNoUnit, Attempt(1)));
  identities_.Remember(worker, run);
  return absl::OkStatus();
}

std::shared_ptr<const BundleSpec> GatewayService::LearnGradientSpec(const WorkerIdentity& worker,
                                                                    RunId run) {
  if (auto spec = runs_.FindGradientSpec(run); spec != nullptr) return spec;
  // After a restart of the gateway a worker may submit before anybody has joined. A join without
  // data describes the run of the day and changes nothing. Should the gradient be of another run,
  // it is only decoded and checked for finite values here; the coordinator looks at names and
  // shapes again in any case.
  JoinRequest describe;
  describe.worker = worker;
  if (const auto described = exchange_.Join(describe); described.ok()) runs_.Learn(*described);
  auto spec = runs_.FindGradientSpec(run);
  if (spec == nullptr) {
    log_.Warning("the layout of a run is not known, its gradients pass without a check of names",
                 {{"run", run.value()}});
  }
  return spec;
}

void GatewayService::ExpireIdleUploads() {
  std::vector<std::shared_ptr<Upload>> uploads;
  {
    MutexLock lock(uploads_mu_);
    for (const std::weak_ptr<Upload>& weak : uploads_) {
      if (auto upload = weak.lock()) uploads.push_back(std::move(upload));
    }
  }
  for (const std::shared_ptr<Upload>& upload : uploads) {
    if (!upload->ExpireIfIdle(options_.upload_stall_limit)) continue;
    metrics_.uploads_stalled.Increment();
    log_.Warning("an upload stood still for too long and was given up",
                 {{"run", upload->announced_.run.value()},
                  {"unit", upload->announced_.unit.value()},
                  {"worker", upload->announced_.worker.id.value()}});
  }
}

void GatewayService::ForgetEverything() {
  runs_.Clear();
  identities_.Clear();
  weights_.Clear();
}

void GatewayService::DrainClaims() { claims_.Drain(); }

void GatewayService::Stop() {
  upload_watch_.Stop();
  claims_.Stop();
  control_pool_.Stop();
  bulk_pool_.Stop();
}

}  // namespace gannet
