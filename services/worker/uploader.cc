#include "services/worker/uploader.h"

#include <utility>

#include "libs/base/failpoint.h"
#include "libs/base/printable.h"
#include "libs/exchange/validation.h"

namespace gannet::worker {
namespace {

const char* WhyDiscarded(domain::SubmitOutcome outcome) {
  switch (outcome) {
    case domain::SubmitOutcome::kDuplicate:
      return "gradient discarded: another worker's result for the same slot was accepted first";
    case domain::SubmitOutcome::kClosed:
      return "gradient discarded: its round was published, or the run ended, without it";
    default:
      return "gradient discarded: a later attempt holds the unit now";
  }
}

}  // namespace

Uploader::Uploader(exchange::Exchange& exchange, const exchange::WorkerIdentity& identity,
                   tensor::Codec codec, telemetry::RetryingCaller& caller, HeldUnits& held_units,
                   Spool spool, base::Clock& clock, telemetry::Logger& log, WorkerMetrics& metrics)
    : exchange_(exchange),
      identity_(identity),
      codec_(codec),
      caller_(caller),
      held_units_(held_units),
      spool_(std::move(spool)),
      clock_(clock),
      log_(log),
      metrics_(metrics),
      thread_([this] { Loop(); }) {}

Uploader::~Uploader() { Finish().IgnoreError(); }

absl::Status Uploader::Enqueue(PendingSubmission upload) {
  base::MutexLock lock(mu_);
  while ((busy_ || pending_.has_value()) && fatal_.ok()) cv_.Wait(mu_);
  if (!fatal_.ok()) {
    ++totals_.wasted;  // this one
    return fatal_;
  }
  pending_ = std::move(upload);
  cv_.NotifyAll();
  return absl::OkStatus();
}

absl::Status Uploader::Finish() {
  {
    base::MutexLock lock(mu_);
    finishing_ = true;
    cv_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
  base::MutexLock lock(mu_);
  return fatal_;
}

Uploader::Totals Uploader::totals() {
  base::MutexLock lock(mu_);
  Totals totals = totals_;
  if (sending_since_.has_value()) totals.sending += clock_.Steady() - *sending_since_;
  return totals;
}

void Uploader::Loop() {
  while (true) {
    std::optional<PendingSubmission> upload;
    {
      base::MutexLock lock(mu_);
      while (!pending_.has_value() && !finishing_) cv_.Wait(mu_);
      if (!pending_.has_value() || !fatal_.ok()) return;
      upload.swap(pending_);
      busy_ = true;
    }
    absl::Status status = Send(*upload);
    held_units_.Remove(*upload->held);
    base::MutexLock lock(mu_);
    busy_ = false;
    fatal_.Update(status);
    cv_.NotifyAll();
  }
}

absl::Status Uploader::Send(PendingSubmission& upload) {
  const exchange::WorkUnit& unit = upload.unit;
  const absl::Duration start = clock_.Steady();
  absl::StatusOr<std::string> bytes = EncodeBundle(upload.gradient.gradient, codec_);
  if (!bytes.ok()) return GiveUp(upload, std::string(bytes.status().message()));

  exchange::SubmitRequest request;
  request.worker = identity_;
  request.run = unit.run;
  request.unit = unit.unit;
  request.attempt = unit.attempt;
  request.stats.image_count = static_cast<int>(unit.image_indices.size());
  request.stats.micro_batch_count = upload.gradient.micro_batch_count;
  request.stats.discriminator_loss = upload.gradient.discriminator_loss;
  request.stats.generator_loss = upload.gradient.generator_loss;
  request.stats.real_accuracy = upload.gradient.real_accuracy;
  request.stats.fake_accuracy = upload.gradient.fake_accuracy;
  request.stats.compute_seconds = upload.gradient.compute_seconds;
  request.payload = exchange::Payload::FromBytes(codec_, *std::move(bytes));

  base::Failpoint("spool_write", "before");
  if (const absl::Status written = spool_.Write(request); !written.ok()) {
    log_.Warning("gradient cannot be spooled to disk, a restart would lose it",
                 {{"reason", written}});
  }
  base::Failpoint("spool_write", "after");
  const absl::StatusOr<domain::SubmitOutcome> outcome = Submit(request);
  base::Failpoint("spool_remove", "before");
  if (IsSettled(request, outcome.status())) spool_.Remove();
  base::Failpoint("spool_remove", "after");
  metrics_.submit_seconds.Observe(absl::ToDoubleSeconds(clock_.Steady() - start));
  switch (outcome.status().code()) {
    case absl::StatusCode::kOk:
      break;
    case absl::StatusCode::kCancelled:
      return absl::OkStatus();
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kFailedPrecondition:
      return outcome.status();
    case absl::StatusCode::kNotFound:
      // The unit, or the run, which the next claim tells.
    case absl::StatusCode::kAlreadyExists:
      // This claim was forgotten, claimed by us anew and submitted with other bytes.
      log_.Info("gradient discarded: the run's database has lost its claim",
                {{"round", unit.round.value()},
                 {"slot", unit.slot.value()},
                 {"reason", outcome.status()}});
      CountWasted();
      return absl::OkStatus();
    default:
      return GiveUp(upload, std::string(outcome.status().message()));
  }

  if (!Count(*outcome, request)) {
    log_.Info(WhyDiscarded(*outcome), {{"round", unit.round.value()}, {"slot", unit.slot.value()}});
  }
  return absl::OkStatus();
}

bool Uploader::IsSettled(const exchange::SubmitRequest& request, const absl::Status& answer) {
  switch (answer.code()) {
    case absl::StatusCode::kCancelled:
      // Asked to stop while nobody answered: one try to give the unit back at once. If that fails,
      // too, the next start hands the gradient in.
      return exchange_.Release(identity_, request.run, request.unit, request.attempt).ok();
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kFailedPrecondition:
      // A newer start of this worker has taken over, and the file may be its own by now.
      return false;
    default:
      return true;
  }
}

absl::StatusOr<domain::SubmitOutcome> Uploader::Submit(const exchange::SubmitRequest& request) {
  return caller_.CallFor(
      "submit", [&] { return SubmitOnce(request); },
      // The bytes are still here: a damaged transfer is worth another one.
      [](const absl::Status& s) { return s.code() == absl::StatusCode::kDataLoss; });
}

absl::StatusOr<domain::SubmitOutcome> Uploader::SubmitOnce(const exchange::SubmitRequest& request) {
  const absl::Duration start = clock_.Steady();
  {
    base::MutexLock lock(mu_);
    sending_since_ = start;
  }
  absl::StatusOr<domain::SubmitOutcome> outcome = exchange_.Submit(request);
  const absl::Duration took = clock_.Steady() - start;
  metrics_.sending_seconds.Increment(absl::ToDoubleSeconds(took));
  base::MutexLock lock(mu_);
  sending_since_.reset();
  totals_.sending += took;
  return outcome;
}

bool Uploader::Count(domain::SubmitOutcome outcome, const exchange::SubmitRequest& request) {
  metrics_.CountOutcome(outcome);
  const bool is_accepted = outcome == domain::SubmitOutcome::kAccepted ||
                           outcome == domain::SubmitOutcome::kLate ||
                           outcome == domain::SubmitOutcome::kAlreadyAccepted;
  base::MutexLock lock(mu_);
  if (is_accepted) {
    ++totals_.units;
    totals_.images += request.stats.image_count;
    metrics_.images.Increment(request.stats.image_count);
    metrics_.sent_bytes.Increment(static_cast<double>(request.payload.bytes->size()));
  } else {
    ++totals_.wasted;
  }
  return is_accepted;
}

void Uploader::CountWasted() {
  base::MutexLock lock(mu_);
  ++totals_.wasted;
}

absl::Status Uploader::ResubmitSpooled(base::RunId run) {
  absl::StatusOr<std::optional<exchange::SubmitRequest>> spooled = spool_.Load();
  if (!spooled.ok()) {
    log_.Warning("a spooled gradient of an earlier start is unreadable and skipped",
                 {{"reason", spooled.status()}});
    spool_.Remove();
    return absl::OkStatus();
  }
  // Of another run: that one may be joined again, and one more gradient takes its place otherwise.
  if (!spooled->has_value() || (*spooled)->run != run) return absl::OkStatus();
  exchange::SubmitRequest request = **std::move(spooled);
  request.worker = identity_;
  const absl::StatusOr<domain::SubmitOutcome> outcome = Submit(request);
  if (absl::IsCancelled(outcome.status())) return absl::OkStatus();
  if (absl::IsUnauthenticated(outcome.status())) return outcome.status();
  // A newer start has taken over, and the file may be its own by now: the next claim ends this one.
  if (absl::IsFailedPrecondition(outcome.status())) return absl::OkStatus();
  spool_.Remove();
  if (!outcome.ok()) {
    log_.Info("a spooled gradient of an earlier start is no longer needed",
              {{"unit", request.unit.value()}, {"reason", outcome.status()}});
    return absl::OkStatus();
  }
  const bool counts = Count(*outcome, request);
  log_.Info(counts ? "a spooled gradient of an earlier start was submitted"
                   : "a spooled gradient of an earlier start was discarded",
            {{"unit", request.unit.value()}, {"attempt", request.attempt.value()}});
  return absl::OkStatus();
}

// The gradient cannot be submitted: reports the unit, so that the run learns why.
absl::Status Uploader::GiveUp(const PendingSubmission& upload, const std::string& reason) {
  const exchange::WorkUnit& unit = upload.unit;
  log_.Error("gradient was refused",
             {{"round", unit.round.value()}, {"slot", unit.slot.value()}, {"reason", reason}});
  CountWasted();
  const absl::Status status = caller_.Call("fail", [&] {
    return exchange_.Fail(identity_, unit.run, unit.unit, unit.attempt,
                          base::Printable(reason, exchange::kMaxReasonChars));
  });
  return status.code() == absl::StatusCode::kCancelled ? absl::OkStatus() : status;
}

}  // namespace gannet::worker
