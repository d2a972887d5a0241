#include "services/worker/worker.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/failpoint.h"
#include "libs/base/hex.h"
#include "libs/base/periodic_runner.h"
#include "libs/base/printable.h"
#include "libs/base/status_macros.h"
#include "libs/domain/round_plan.h"
#include "libs/exchange/validation.h"
#include "libs/image/pixel_range.h"
#include "services/worker/memory_limit.h"
#include "services/worker/read_ahead.h"
#include "services/worker/uploader.h"

namespace gannet::worker {
namespace {

// Progress lines of the log.
constexpr absl::Duration kProgressInterval = absl::Seconds(10);

// The run's database was rolled back to before this worker's Join, or lost the run.
bool IsForgotten(const absl::Status& status) {
  return absl::IsUnauthenticated(status) || absl::IsNotFound(status);
}

// Lines about a wait for work.
constexpr absl::Duration kWaitingInterval = absl::Minutes(1);

// A lease that is nearly over when it comes is no reason to beat without a pause.
constexpr absl::Duration kMinHeartbeat = absl::Milliseconds(100);

// How much of `whole` was `part`, in whole percent.
int64_t Percent(absl::Duration part, absl::Duration whole) {
  return std::llround(100 * absl::FDivDuration(part, whole));
}

// Of a run that an older version began, under the digest that the run knows these images by.
domain::DataFingerprint ToDomain(const data::DatasetFingerprint& fingerprint,
                                 const domain::DataFingerprint& of_run) {
  return {fingerprint.kind, fingerprint.image_count,
          data::DigestKnownAs(fingerprint, of_run.digest), fingerprint.description};
}

}  // namespace

// One stay in a run, from the accepted Join to the end.
class Worker::Session {
 public:
  Session(Worker& worker, telemetry::RetryingCaller& caller, exchange::JoinResult join,
          std::unique_ptr<data::Dataset> dataset, std::unique_ptr<gan::GradientComputer> computer)
      : worker_(worker),
        caller_(caller),
        join_(std::move(join)),
        dataset_(std::move(dataset)),
        planner_(join_.config),
        read_ahead_(*dataset_),
        computer_(std::move(computer)),
        started_(worker.clock_.Steady()),
        failure_pause_(worker.options_.failure_pause),
        uploader_(worker.exchange_, worker.options_.identity,
                  static_cast<tensor::Codec>(join_.config.gradient_codec), caller,
                  worker.held_units_, Spool(worker.options_.spool_path), worker.clock_, worker.log_,
                  worker.metrics_),
        heartbeat_interval_(join_.heartbeat_interval),
        heartbeat_(join_.heartbeat_interval, [this] { Heartbeat(); }) {}

  // Adds to `report`, also when it ends with an error.
  absl::Status Work(WorkerReport& report);

  const std::string& run_name() const { return join_.config.name; }

 private:
  // The next unit; nothing when the run has ended or a stop was asked for.
  absl::StatusOr<std::optional<exchange::WorkUnit>> Claim();

  // Computes one unit and hands it over. Errors end the worker.
  absl::Status Process(const exchange::WorkUnit& unit);

  // Makes the computer hold the unit's weights. False: they are gone, and so is the unit.
  absl::StatusOr<bool> EnsureWeights(const exchange::WorkUnit& unit);

  // Begins to read what the next unit begins with, where there is no doubt which that is.
  void ReadNextUnitAhead(const exchange::WorkUnit& unit);

  // May be called from several threads at once.
  absl::Status ReadImage(const exchange::WorkUnit& unit, int position, absl::Span<float> out) const;
  absl::Status Fail(const exchange::WorkUnit& unit, const HeldUnit& held, const absl::Status& why);
  absl::Status Release(const exchange::WorkUnit& unit, const HeldUnit& held);
  void Heartbeat();
  void LogProgress(const exchange::WorkUnit& unit, const gan::UnitGradient& gradient);
  // A line now and then while claims are answered without a unit.
  void LogIdle(domain::RunState state);

  Worker& worker_;
  telemetry::RetryingCaller& caller_;
  const exchange::JoinResult join_;
  const std::unique_ptr<data::Dataset> dataset_;
  domain::RoundPlanner planner_;
  ReadAhead read_ahead_;
  const std::unique_ptr<gan::GradientComputer> computer_;
  // Of the computer's weights; the number alone does not tell them (see WorkUnit).
  std::optional<std::pair<base::WeightsVersion, std::string>> weights_;
  std::atomic<domain::RunState> run_state_{domain::RunState::kRunning};
  const absl::Duration started_;
  absl::Duration last_progress_line_ = -kProgressInterval;
  int64_t images_at_last_line_ = 0;
  // Time in calls that receive weights, and what of transfers came before the last line.
  absl::Duration receiving_;
  absl::Duration receiving_at_last_line_;
  absl::Duration sending_at_last_line_;
  std::optional<absl::Duration> waiting_since_;
  absl::Duration last_idle_line_;
  base::Backoff failure_pause_;
  Uploader uploader_;
  absl::Duration heartbeat_interval_;
  base::PeriodicRunner heartbeat_;  // last: it uses everything above
};

absl::Status Worker::Session::Work(WorkerReport& report) {
  const absl::Duration start = worker_.clock_.Steady();
  absl::Status status = uploader_.ResubmitSpooled(join_.run);
  while (status.ok()) {
    absl::StatusOr<std::optional<exchange::WorkUnit>> unit = Claim();
    if (!unit.ok()) {
      status = unit.status();
    } else if (!unit->has_value()) {
      break;
    } else {
      status = Process(**unit);
    }
  }
  status.Update(uploader_.Finish());
  heartbeat_.Stop();
  worker_.held_units_.Clear();
  if (status.code() == absl::StatusCode::kCancelled) status = absl::OkStatus();
  // One try: when nobody answers, the lease expires by itself.
  worker_.exchange_.Leave(worker_.options_.identity, join_.run).IgnoreError();

  const Uploader::Totals totals = uploader_.totals();
  report.accepted_units += totals.units;
  report.accepted_images += totals.images;
  report.wasted_units += totals.wasted;
  report.duration += worker_.clock_.Steady() - start;
  switch (run_state_.load()) {
    case domain::RunState::kFinished:
      report.end = WorkerReport::End::kRunFinished;
      break;
    case domain::RunState::kStopped:
      report.end = WorkerReport::End::kRunStopped;
      break;
    case domain::RunState::kRunning:
    case domain::RunState::kPaused:
      report.end = WorkerReport::End::kAskedToStop;
      break;
  }
  return status;
}

absl::StatusOr<std::optional<exchange::WorkUnit>> Worker::Session::Claim() {
  exchange::ClaimRequest request;
  request.worker = worker_.options_.identity;
  request.run = join_.run;
  request.wait = worker_.options_.claim_wait;
  while (!worker_.stop_.requested()) {
    request.request_id = base::RandomHex(16);
    const absl::Duration start = worker_.clock_.Steady();
    GANNET_ASSIGN_OR_RETURN(exchange::ClaimResult result, caller_.CallFor("claim", [&] {
      return worker_.exchange_.Claim(request);
    }));
    run_state_ = result.state;
    if (result.unit.has_value()) {
      waiting_since_.reset();
      worker_.metrics_.claim_seconds.Observe(
          absl::ToDoubleSeconds(worker_.clock_.Steady() - start));
      base::Failpoint("claimed", "after");
      return std::move(result.unit);
    }
    if (domain::HasEnded(result.state)) return std::nullopt;
    LogIdle(result.state);
  }
  return std::nullopt;
}

void Worker::Session::LogIdle(domain::RunState state) {
  const absl::Duration now = worker_.clock_.Steady();
  const bool paused = state == domain::RunState::kPaused;
  if (!waiting_since_.has_value()) {
    waiting_since_ = now;
    // A unit may be free any moment; a pause is worth a line at once.
    last_idle_line_ = paused ? -kWaitingInterval : now;
  }
  if (now - last_idle_line_ < kWaitingInterval) return;
  last_idle_line_ = now;
  worker_.log_.Info(paused ? "waiting, the run is paused" : "waiting, no unit is free",
                    {{"waited", absl::Trunc(now - *waiting_since_, absl::Seconds(1))}});
}

absl::Status Worker::Session::Process(const exchange::WorkUnit& unit) {
  const std::shared_ptr<HeldUnit> held = worker_.held_units_.Add(unit.unit, unit.attempt);
  // A stop that came between claim and Add has not seen this unit.
  if (worker_.stop_.requested()) held->dropped = true;
  // Leases may have become shorter since Join.
  const absl::Duration interval = std::min(
      join_.heartbeat_interval, std::max(kMinHeartbeat, domain::HeartbeatInterval(unit.lease)));
  if (interval < heartbeat_interval_) heartbeat_.Wake();
  heartbeat_interval_ = interval;
  heartbeat_.SetInterval(interval);

  GANNET_ASSIGN_OR_RETURN(const bool have_weights, EnsureWeights(unit));
  if (!have_weights) return Release(unit, *held);

  gan::UnitTask task;
  task.round = unit.round.value();
  task.slot = unit.slot.value();
  task.seed = unit.seed;
  task.micro_batch = unit.micro_batch;
  task.objective = join_.config.objective;
  task.data_threads = worker_.options_.data_threads;
  task.image_count = static_cast<int>(unit.image_indices.size());
  // What the next unit begins with is read as soon as this one's first micro-batch is there.
  const int first_micro_batch = domain::MicroBatchSizes(task.image_count, task.micro_batch).front();
  std::atomic<int> images_read = 0;
  task.read_image = [&](int position, absl::Span<float> out) {
    absl::Status read = ReadImage(unit, position, out);
    if (images_read.fetch_add(1) + 1 == first_micro_batch) ReadNextUnitAhead(unit);
    return read;
  };
  task.on_progress = [&](int done) { held->micro_batches_done = done; };
  task.cancelled = &held->dropped;
  absl::StatusOr<gan::UnitGradient> gradient = computer_->Compute(task);
  if (gradient.status().code() == absl::StatusCode::kCancelled) return Release(unit, *held);
  if (!gradient.ok()) return Fail(unit, *held, gradient.status());

  failure_pause_.Reset();
  worker_.metrics_.compute_seconds.Observe(gradient->compute_seconds);
  worker_.metrics_.data_seconds.Observe(gradient->data_seconds);
  LogProgress(unit, *gradient);
  return uploader_.Enqueue({unit, *std::move(gradient), held});
}

absl::StatusOr<bool> Worker::Session::EnsureWeights(const exchange::WorkUnit& unit) {
  const std::pair wanted(unit.weights_version, unit.weights_sha256);
  if (weights_ == wanted) return true;
  const absl::Duration start = worker_.clock_.Steady();
  const absl::StatusOr<exchange::Payload> payload = caller_.CallFor(
      "fetch weights",
      [&] {
        const absl::Duration called = worker_.clock_.Steady();
        absl::StatusOr<exchange::Payload> received = worker_.exchange_.FetchWeights(
            {worker_.options_.identity, join_.run, unit.weights_version, unit.weights_sha256});
        const absl::Duration took = worker_.clock_.Steady() - called;
        receiving_ += took;
        worker_.metrics_.receiving_seconds.Increment(absl::ToDoubleSeconds(took));
        return received;
      },
      [](const absl::Status& s) { return s.code() == absl::StatusCode::kDataLoss; });
  if (payload.status().code() == absl::StatusCode::kNotFound) return false;
  GANNET_RETURN_IF_ERROR(payload.status());
  // An older gateway serves whichever have that number.
  if (!unit.weights_sha256.empty() && payload->sha256 != unit.weights_sha256) return false;
  GANNET_ASSIGN_OR_RETURN(const tensor::TensorBundle weights,
                          DecodeBundle(*payload->bytes, payload->codec));
  weights_.reset();
  GANNET_RETURN_IF_ERROR(computer_->SetWeights(weights));
  weights_ = wanted;
  worker_.metrics_.fetch_seconds.Observe(absl::ToDoubleSeconds(worker_.clock_.Steady() - start));
  worker_.metrics_.received_bytes.Increment(static_cast<double>(payload->bytes->size()));
  worker_.metrics_.weights_version.Set(static_cast<double>(unit.weights_version.value()));
  return true;
}

void Worker::Session::ReadNextUnitAhead(const exchange::WorkUnit& unit) {
  const domain::RunConfig& config = join_.config;
  // With more than one unit a round nobody knows who will get which.
  if (config.units_per_round != 1 || unit.round.value() == config.round_count) return;
  std::vector<int64_t> next =
      std::move(planner_.Plan(base::Round(unit.round.value() + 1)).front().image_indices);
  next.resize(static_cast<size_t>(
      domain::MicroBatchSizes(static_cast<int>(next.size()), unit.micro_batch).front()));
  const auto side = static_cast<size_t>(config.model.image_size);
  read_ahead_.Begin(std::move(next), 3 * side * side);
}

absl::Status Worker::Session::ReadImage(const exchange::WorkUnit& unit, int position,
                                        absl::Span<float> out) const {
  std::vector<uint8_t> rgb(out.size());
  GANNET_RETURN_IF_ERROR(
      read_ahead_.Read(unit.image_indices[static_cast<size_t>(position)], absl::MakeSpan(rgb)));
  image::RgbToFloat(rgb, out);
  return absl::OkStatus();
}

absl::Status Worker::Session::Fail(const exchange::WorkUnit& unit, const HeldUnit& held,
                                   const absl::Status& why) {
  worker_.log_.Error("unit cannot be computed here, reported to the run",
                     {{"round", unit.round.value()}, {"slot", unit.slot.value()}, {"reason", why}});
  worker_.metrics_.failed_units.Increment();
  const std::string reason = base::Printable(why.message(), exchange::kMaxReasonChars);
  absl::Status status = caller_.Call("fail", [&] {
    return worker_.exchange_.Fail(worker_.options_.identity, join_.run, unit.unit, unit.attempt,
                                  reason);
  });
  worker_.held_units_.Remove(held);
  // Lets other workers have the unit first: what cannot be computed here (a damaged file)
  // may be computed elsewhere, and five failures pause the run.
  worker_.stop_.AwaitFor(failure_pause_.Next());
  return status;
}

absl::Status Worker::Session::Release(const exchange::WorkUnit& unit, const HeldUnit& held) {
  // One try: the lease of a unit that cannot be released expires by itself.
  const absl::Status status =
      worker_.exchange_.Release(worker_.options_.identity, join_.run, unit.unit, unit.attempt);
  worker_.held_units_.Remove(held);
  return status.code() == absl::StatusCode::kFailedPrecondition ? status : absl::OkStatus();
}

void Worker::Session::Heartbeat() {
  const absl::StatusOr<exchange::HeartbeatResult> result = worker_.exchange_.Heartbeat(
      worker_.options_.identity, join_.run, worker_.held_units_.Progress());
  if (result.ok()) {
    worker_.held_units_.Drop(result->dropped);
    return;
  }
  // A passing failure is repeated at the next beat. A refusal means that this process no longer
  // counts: the next call of the working thread ends it with the same answer; here only the
  // computation is cut short.
  if (!base::IsRetryable(result.status())) worker_.held_units_.DropAll();
}

void Worker::Session::LogProgress(const exchange::WorkUnit& unit,
                                  const gan::UnitGradient& gradient) {
  const absl::Duration now = worker_.clock_.Steady();
  const absl::Duration since = now - last_progress_line_;
  if (since < kProgressInterval) return;
  // The first line tells of the time since the beginning.
  const absl::Duration told = std::min(since, now - started_);
  const Uploader::Totals totals = uploader_.totals();
  worker_.log_.Info(
      "working", {{"round", unit.round.value()},
                  {"units", totals.units},
                  {"images", totals.images},
                  {"compute_images_per_second", static_cast<double>(unit.image_indices.size()) /
                                                    std::max(1e-9, gradient.compute_seconds)},
                  {"images_per_second", static_cast<double>(totals.images - images_at_last_line_) /
                                            absl::ToDoubleSeconds(told)},
                  {"peak_memory_mib", PeakMemory() >> 20},
                  {"receiving_percent", Percent(receiving_ - receiving_at_last_line_, told)},
                  {"sending_percent", Percent(totals.sending - sending_at_last_line_, told)},
                  {"discriminator_loss", gradient.discriminator_loss},
                  {"generator_loss", gradient.generator_loss}});
  last_progress_line_ = now;
  images_at_last_line_ = totals.images;
  receiving_at_last_line_ = receiving_;
  sending_at_last_line_ = totals.sending;
}

Worker::Worker(WorkerOptions options, exchange::Exchange& exchange,
               OpenDatasetFunction open_dataset, MakeComputerFunction make_computer,
               base::StopSignal& stop, base::Clock& clock, telemetry::Logger& log,
               telemetry::Metrics& metrics)
    : options_(std::move(options)),
      exchange_(exchange),
      open_dataset_(std::move(open_dataset)),
      make_computer_(std::move(make_computer)),
      clock_(clock),
      log_(log),
      metrics_(metrics),
      stop_(stop) {}

void Worker::RequestStop() {
  stop_.Request();
  held_units_.DropAll();
}

absl::StatusOr<WorkerReport> Worker::Run() {
  telemetry::RetryingCaller caller(options_.peer, clock_, stop_, log_, options_.backoff);
  base::Backoff pause(options_.backoff);
  WorkerReport report;
  std::string run_name = options_.run_name;
  while (true) {
    absl::StatusOr<std::unique_ptr<Session>> session = Join(caller, run_name);
    if (absl::IsCancelled(session.status())) return report;
    if (absl::IsNotFound(session.status()) && run_name != options_.run_name) {
      run_name = options_.run_name;  // that one is lost
      continue;
    }
    GANNET_RETURN_IF_ERROR(session.status());
    const absl::Status status = (*session)->Work(report);
    if (status.ok()) return report;
    if (!IsForgotten(status)) return status;
    run_name = (*session)->run_name();
    log_.Warning("the run no longer knows this worker, joining again", {{"reason", status}});
    if (stop_.AwaitFor(pause.Next())) return report;
  }
}

absl::StatusOr<std::unique_ptr<Worker::Session>> Worker::Join(telemetry::RetryingCaller& caller,
                                                              const std::string& run_name) {
  // Before the data set can be opened its image size must be known: the first Join only asks.
  exchange::JoinRequest request;
  request.worker = options_.identity;
  request.run_name = run_name;
  request.display_name = options_.display_name;
  request.hardware = options_.hardware;
  const auto call_join = [&] { return exchange_.Join(request); };
  // Students come early: no run yet is a reason to wait.
  const auto no_run_yet = [&](const absl::Status& s) {
    return absl::IsNotFound(s) && run_name == options_.run_name;
  };
  GANNET_ASSIGN_OR_RETURN(const exchange::JoinResult described,
                          caller.CallFor("join", call_join, no_run_yet));
  const domain::ModelConfig& model = described.config.model;
  GANNET_ASSIGN_OR_RETURN(std::unique_ptr<data::Dataset> dataset, open_dataset_(model.image_size));
  GANNET_ASSIGN_OR_RETURN(std::unique_ptr<gan::GradientComputer> computer, make_computer_(model));
  request.data = ToDomain(dataset->fingerprint(), described.config.data);
  GANNET_ASSIGN_OR_RETURN(const exchange::JoinResult join,
                          caller.CallFor("join", call_join, no_run_yet));
  joined_ = true;
  log_.Info("joined", {{"run", join.config.name},
                       {"worker", options_.identity.id.value()},
                       {"name", options_.display_name},
                       {"data", dataset->fingerprint().description},
                       {"images", dataset->size()}});
  return std::make_unique<Session>(*this, caller, join, std::move(dataset), std::move(computer));
}

}  // namespace gannet::worker
