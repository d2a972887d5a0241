#include "services/coordinator/leader_term.h"

#include <algorithm>
#include <future>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/aggregate/aggregator.h"
#include "libs/base/printable.h"
#include "libs/base/status_macros.h"
#include "libs/domain/model_layout.h"
#include "libs/domain/unit_state.h"
#include "libs/exchange/validation.h"
#include "libs/gan/gan.h"
#include "services/coordinator/round_wait.h"
#include "services/coordinator/unit_time.h"

namespace gannet::coordinator {
namespace {

// Between looks while a round is open: a quarter of the last round's duration, within limits, so
// that gradients are fetched while others are still being computed.
constexpr absl::Duration kMinChangeWait = absl::Milliseconds(20);
constexpr int kPollsPerRound = 4;

// A round that is open for longer than this, and than four median units, is said to wait, so often.
constexpr absl::Duration kWaitIsLong = absl::Seconds(30);
constexpr absl::Duration kWaitLineInterval = absl::Minutes(1);

// The rule by which the gradients of a round become one; the only one that there is.
constexpr absl::string_view kAggregator = "weighted_mean";

double Seconds(absl::Duration duration) { return absl::ToDoubleSeconds(duration); }

absl::StatusOr<tensor::TensorBundle> DecodeStored(const char* what,
                                                  const exchange::Payload& payload,
                                                  const tensor::BundleSpec& spec) {
  if (!payload.IsIntact()) {
    return absl::DataLossError(
        absl::StrCat("stored ", what, " do not match their checksum: restore a backup"));
  }
  GANNET_ASSIGN_OR_RETURN(tensor::TensorBundle bundle, DecodeBundle(*payload.bytes, payload.codec));
  GANNET_RETURN_IF_ERROR(bundle.CheckSpec(spec));
  return bundle;
}

absl::StatusOr<exchange::Payload> EncodeFinite(const tensor::TensorBundle& bundle) {
  GANNET_RETURN_IF_ERROR(bundle.CheckFinite());
  return exchange::Payload::FromBundle(bundle, tensor::Codec::kFp32);
}

// What is left of the run at this rate, for people.
std::string DescribeEta(int64_t rounds_left, double rounds_per_second) {
  if (rounds_per_second <= 0) return "unknown";
  const auto seconds = static_cast<double>(rounds_left) / rounds_per_second;
  return absl::FormatDuration(absl::Trunc(absl::Seconds(seconds), absl::Seconds(1)));
}

}  // namespace

LeaderTerm::LeaderTerm(const LeaderTermOptions& options, exchange::Store& store, base::RunId run,
                       const exchange::Leadership& leadership, telemetry::RetryingCaller& retry,
                       base::StopSignal& stop, base::Clock& clock, telemetry::Logger& log,
                       CoordinatorMetrics& metrics, RateMeter& rate, RunOutput* output,
                       LeaderTermTotals& totals)
    : options_(options),
      store_(store),
      run_(run),
      leadership_(leadership),
      retry_(retry),
      stop_(stop),
      clock_(clock),
      log_(log),
      metrics_(metrics),
      rate_(rate),
      output_(output),
      totals_(totals),
      lease_renewer_(store, run, leadership, options.leadership_ttl, clock, log) {
  metrics_.leader.Set(1);
}

LeaderTerm::~LeaderTerm() { metrics_.leader.Set(0); }

absl::StatusOr<domain::RunState> LeaderTerm::Lead() {
  GANNET_RETURN_IF_ERROR(Load());
  while (!domain::HasEnded(status_.state)) GANNET_RETURN_IF_ERROR(RunRound());
  GANNET_RETURN_IF_ERROR(EndRun());
  return status_.state;
}

absl::Status LeaderTerm::Load() {
  GANNET_RETURN_IF_ERROR(RefreshStatus());
  const domain::ModelConfig& model = status_.config.model;
  GANNET_ASSIGN_OR_RETURN(
      published_, retry_.CallFor("load the weights", [&] { return store_.LoadSnapshot(run_); }));
  if (published_.version != status_.weights_version) {
    return absl::AbortedError("the database has changed while it was read");
  }
  GANNET_ASSIGN_OR_RETURN(weights_,
                          DecodeStored("weights", published_.weights, domain::WeightsSpec(model)));
  GANNET_ASSIGN_OR_RETURN(adam_state_,
                          DecodeStored("moments of Adam", published_.adam_state,
                                       domain::AdamStateSpec(model, status_.config.adam)));
  totals_.weights_version = version();
  last_round_ = status_.last_round;
  config_ = status_.config;
  planner_.emplace(status_.next_config);
  collector_.emplace(store_, run_, status_.config, aggregate::CreateAggregator(kAggregator),
                     leadership_, retry_, clock_, log_, metrics_);

  const absl::Duration now = clock_.Steady();
  round_start_ = now;
  rate_.Start(now);
  reap_due_ = now + options_.reap_interval;
  progress_due_ = now + options_.progress_interval;
  metrics_.weights_version.Set(static_cast<double>(version().value()));
  metrics_.run_rounds.Set(static_cast<double>(status_.next_config.round_count));
  log_.Info("leading the run", {{"run", status_.config.name},
                                {"term", leadership_.term},
                                {"rounds_done", version().value()},
                                {"rounds", status_.config.round_count},
                                {"state", domain::RunStateName(status_.state)}});
  return LoadHistory();
}

absl::Status LeaderTerm::LoadHistory() {
  if (output_ == nullptr) return absl::OkStatus();
  // By value: the last measurement may end after this term has.
  const auto save_best = [&store = store_, run = run_, leadership = leadership_](
                             const exchange::BestWeights& best, const exchange::Payload& weights) {
    return store.SaveBest(run, leadership, best, weights);
  };
  const auto list_workers = [&store = store_, run = run_](const base::WorkerId& after, int limit) {
    return store.ListWorkers(run, after, limit);
  };
  output_->Begin(config_, published_, status_.best, save_best, list_workers);
  base::Round after(0);
  while (true) {
    GANNET_ASSIGN_OR_RETURN(const std::vector<exchange::RoundSummary> page,
                            retry_.CallFor("read the history", [&] {
                              return store_.ListRounds(run_, after, exchange::kMaxPage);
                            }));
    for (const exchange::RoundSummary& round : page) {
      if (round.round.value() > version().value()) return absl::OkStatus();
      output_->AddPastRound(round);
    }
    if (page.size() < static_cast<size_t>(exchange::kMaxPage)) return absl::OkStatus();
    after = page.back().round;
  }
}

absl::Status LeaderTerm::EndRun() {
  log_.Info("the run has ended", {{"run", status_.config.name},
                                  {"state", domain::RunStateName(status_.state)},
                                  {"rounds_done", version().value()}});
  if (output_ != nullptr) {
    absl::Status written = output_->End(published_);
    if (!written.ok()) {
      log_.Error("not all results could be written; start again to repeat it",
                 {{"reason", written}});
      return written;
    }
  }
  // A full ring of gradients is gigabytes. Asked for once: a reader such as a backup may hold it up
  // for hours, which is no reason to end badly.
  const absl::Status reclaimed = store_.ReclaimBlobs(run_, leadership_);
  if (!reclaimed.ok()) {
    log_.Warning("the bytes of the run's gradients stay in the database, start again to free them",
                 {{"run", status_.config.name}, {"reason", reclaimed}});
  }
  return absl::OkStatus();
}

absl::Status LeaderTerm::RunRound() {
  const base::Round round = next_round();
  const auto begin = [&] {
    collector_->Begin(round, config_.units_per_round, config_.policy.stale_weight);
  };
  begin();
  next_prepared_ = false;
  next_units_.clear();
  failure_logged_ = false;
  last_stall_line_ = clock_.Steady();
  while (true) {
    if (stop_.requested()) return absl::CancelledError("asked to stop");
    if (lease_renewer_.lost()) return absl::FailedPreconditionError("the leadership is lost");
    GANNET_ASSIGN_OR_RETURN(
        const exchange::RoundProgress progress,
        retry_.CallFor("read the round", [&] { return store_.GetRoundProgress(run_, round); }));
    metrics_.units_ready.Set(progress.ready);
    metrics_.units_leased.Set(progress.leased);
    metrics_.units_done.Set(static_cast<double>(progress.gradients.size()));
    metrics_.units_failed.Set(progress.failed);
    if (!collector_->StillHas(progress)) {
      log_.Warning(
          "gradients that were collected are gone (their worker was removed, or the database was "
          "rolled back): collecting the round again",
          {{"round", round.value()}});
      begin();
    }
    GANNET_RETURN_IF_ERROR(collector_->Take(progress));
    if (!collector_->complete() && MayEndEarly(progress)) {
      GANNET_ASSIGN_OR_RETURN(const bool enough,
                              collector_->TakeLast(progress, config_.policy.quorum));
      if (enough) {
        log_.Info("round ends without all of its units", {{"round", round.value()},
                                                          {"gradients", progress.gradients.size()},
                                                          {"of", config_.units_per_round}});
        metrics_.early_rounds.Increment();
      }
    }
    if (collector_->complete()) {
      metrics_.unit_compute_seconds.Set(Seconds(MedianComputeTime(progress.gradients)));
      if (config_.policy.stale_weight > 0) GANNET_RETURN_IF_ERROR(TakeStale(round));
      GANNET_ASSIGN_OR_RETURN(const bool rejected, collector_->RejectOutlier());
      if (!rejected) break;
      begin();
      continue;
    }
    LogFailedUnit(progress);
    LogStalledRound(progress);
    GANNET_RETURN_IF_ERROR(PrepareNextRound(/*wait=*/false));
    GANNET_RETURN_IF_ERROR(RunPeriodicTasks());
    if (domain::HasEnded(status_.state)) return absl::OkStatus();
    store_.AwaitChange(run_, ChangeWait());
  }
  GANNET_ASSIGN_OR_RETURN(FoldedRound folded, collector_->Finish());
  GANNET_RETURN_IF_ERROR(PublishFolded(std::move(folded)));
  return RunPeriodicTasks();
}

absl::Status LeaderTerm::TakeStale(base::Round round) {
  // Once more: what came while the others were fetched would be refused by the publication.
  GANNET_ASSIGN_OR_RETURN(
      const exchange::RoundProgress progress,
      retry_.CallFor("read the round", [&] { return store_.GetRoundProgress(run_, round); }));
  return collector_->TakeStale(progress);
}

bool LeaderTerm::MayEndEarly(const exchange::RoundProgress& progress) const {
  const domain::RoundPolicy& policy = config_.policy;
  return policy.quorum > 0 && static_cast<int>(progress.gradients.size()) >= policy.quorum &&
         clock_.Steady() - round_start_ >= policy.round_deadline;
}

void LeaderTerm::LogStalledRound(const exchange::RoundProgress& progress) {
  const absl::Duration now = clock_.Steady();
  const absl::Duration stall_limit = std::max(kWaitIsLong, 4 * status_.median_unit_time);
  const bool waits =
      status_.state == domain::RunState::kRunning && now - round_start_ >= stall_limit;
  metrics_.round_waiting.Set(waits ? Seconds(now - round_start_) : 0);
  if (!waits || now - last_stall_line_ < kWaitLineInterval) return;
  last_stall_line_ = now;
  log_.Warning("round waits", {{"round", next_round().value()},
                               {"reason", DescribeWait(status_, config_, progress)},
                               {"open_for", absl::Trunc(now - round_start_, absl::Seconds(1))}});
}

absl::Status LeaderTerm::PrepareNextRound(bool wait) {
  if (next_prepared_ || next_round().value() >= status_.next_config.round_count) {
    return absl::OkStatus();
  }
  const base::Round round(next_round().value() + 1);
  const auto prepare = [&] { return store_.ReclaimOldBlobs(run_, leadership_, round); };
  const absl::Status status = wait ? retry_.Call("reclaim old blobs", prepare) : prepare();
  if (!wait && telemetry::RetryingCaller::IsTransient(status)) return absl::OkStatus();
  if (absl::IsInvalidArgument(status)) {
    // The round is too far ahead: the database was rolled back, and this tells it.
    GANNET_RETURN_IF_ERROR(RefreshStatus());
  }
  GANNET_RETURN_IF_ERROR(status);
  next_units_ = planner_->Plan(round);
  next_prepared_ = true;
  return absl::OkStatus();
}

void LeaderTerm::LogFailedUnit(const exchange::RoundProgress& progress) {
  const bool failed = progress.failed > 0;
  if (failed && !failure_logged_) {
    status_due_ = clock_.Steady();
    log_.Error("a unit has failed permanently, the run is paused: fix the cause and resume it",
               {{"round", next_round().value()},
                {"failed_units", progress.failed},
                {"reason", progress.failure_reason}});
  }
  failure_logged_ = failed;
}

absl::Status LeaderTerm::PublishFolded(FoldedRound folded) {
  const domain::RunConfig& config = config_;
  const base::Round round = next_round();
  absl::Duration start = clock_.Steady();
  GANNET_RETURN_IF_ERROR(gan::ApplyRound(config.model, config.adam, folded.gradient,
                                         folded.micro_batch_count, weights_, adam_state_));
  metrics_.step_seconds.Observe(Seconds(clock_.Steady() - start));

  start = clock_.Steady();
  absl::StatusOr<NewWeights> state = EncodeState();
  if (!state.ok()) return PauseDiverged(state.status());
  metrics_.encode_seconds.Observe(Seconds(clock_.Steady() - start));

  exchange::PublishRequest request;
  request.run = run_;
  request.leadership = leadership_;
  request.expected_version = version();
  request.expected_sha256 = published_.weights.sha256;
  request.weights = std::move(state->weights);
  request.adam_state = std::move(state->adam_state);
  request.summary = folded.summary;
  request.summary.epoch = domain::RoundPlanner(config).EpochOf(round);
  request.summary.seconds = Seconds(clock_.Steady() - round_start_);
  request.consumed = std::move(folded.consumed);
  request.consumed_sha256 = std::move(folded.consumed_sha256);
  start = clock_.Steady();
  GANNET_RETURN_IF_ERROR(PublishWithNextUnits(request));

  const absl::Duration now = clock_.Steady();
  metrics_.publish_seconds.Observe(Seconds(now - start));
  last_round_time_ = now - round_start_;
  round_start_ = now;
  published_ = {base::WeightsVersion(round.value()), std::move(request.weights),
                std::move(request.adam_state)};
  last_round_ = request.summary;
  if (request.finished) status_.state = domain::RunState::kFinished;
  config_ = status_.next_config;
  totals_.weights_version = version();
  totals_.rounds_published += 1;
  rate_.AddRound(now, request.summary.image_count);
  metrics_.rounds.Increment();
  metrics_.images.Increment(request.summary.image_count);
  metrics_.stale_gradients.Increment(folded.stale_count);
  metrics_.round_seconds.Observe(Seconds(last_round_time_));
  metrics_.weights_version.Set(static_cast<double>(version().value()));
  metrics_.images_per_second.Set(rate_.ImagesPerSecond(now));
  metrics_.discriminator_loss.Set(request.summary.discriminator_loss);
  metrics_.generator_loss.Set(request.summary.generator_loss);
  metrics_.real_accuracy.Set(request.summary.real_accuracy);
  metrics_.fake_accuracy.Set(request.summary.fake_accuracy);
  if (output_ != nullptr) output_->AddRound(request.summary, config_, published_);
  return absl::OkStatus();
}

absl::Status LeaderTerm::PublishWithNextUnits(exchange::PublishRequest& request) {
  const int64_t round = request.summary.round.value();
  while (true) {
    GANNET_RETURN_IF_ERROR(PrepareNextRound(/*wait=*/true));
    request.settings_version = status_.settings_version;
    request.finished = round >= status_.next_config.round_count;
    request.next_units = request.finished ? std::vector<domain::PlannedUnit>() : next_units_;
    // By the settings of the round in which they will be folded.
    request.max_stale_rounds = !request.finished && status_.next_config.policy.stale_weight > 0
                                   ? domain::kMaxStaleRounds
                                   : 0;
    request.keep =
        request.finished || (options_.keep_every > 0 && round % options_.keep_every == 0);
    absl::Status published = Publish(request);
    if (!absl::IsAborted(published)) return published;
    // Settings that were changed at the last moment: the step stands, the next units do not.
    GANNET_RETURN_IF_ERROR(RefreshStatus());
    const bool only_settings = status_.weights_version == request.expected_version &&
                               status_.settings_version != request.settings_version;
    if (!only_settings) return published;
  }
}

absl::StatusOr<LeaderTerm::NewWeights> LeaderTerm::EncodeState() const {
  // Workers wait for this, so both cores are free.
  std::future<absl::StatusOr<exchange::Payload>> adam_state =
      std::async(std::launch::async, [&] { return EncodeFinite(adam_state_); });
  absl::StatusOr<exchange::Payload> weights = EncodeFinite(weights_);
  absl::StatusOr<exchange::Payload> moments = adam_state.get();
  GANNET_RETURN_IF_ERROR(weights.status());
  GANNET_RETURN_IF_ERROR(moments.status());
  return NewWeights{*std::move(weights), *std::move(moments)};
}

absl::Status LeaderTerm::Publish(const exchange::PublishRequest& request) {
  base::Backoff backoff(options_.backoff);
  while (true) {
    absl::Status status = store_.Publish(request);
    const bool in_doubt =
        telemetry::RetryingCaller::IsTransient(status) && !absl::IsAborted(status);
    if (!in_doubt) return status;
    log_.Warning("publication is in doubt, looking up what became of it",
                 {{"round", request.summary.round.value()}, {"reason", status}});
    GANNET_ASSIGN_OR_RETURN(
        const exchange::RunStatus stored,
        retry_.CallFor("check a publication", [&] { return store_.GetRunStatus(run_); }));
    if (stored.weights_version != request.expected_version) {
      // It is ours if nobody else has led since, which is what an unchanged term says.
      GANNET_ASSIGN_OR_RETURN(
          const exchange::Leadership leadership, retry_.CallFor("stay leader", [&] {
            return store_.AcquireLeadership(run_, leadership_.leader, options_.leadership_ttl);
          }));
      const bool ours = leadership == leadership_ &&
                        stored.weights_version.value() == request.summary.round.value();
      if (ours) {
        log_.Info("the publication had been committed", {{"round", request.summary.round.value()}});
        return absl::OkStatus();
      }
      return absl::AbortedError(
          "the database is at another version than before: reloading its state");
    }
    if (stop_.AwaitFor(backoff.Next())) return absl::CancelledError("asked to stop");
  }
}

absl::Status LeaderTerm::PauseDiverged(const absl::Status& reason) {
  const std::string largest = collector_->DescribeLargest();
  const std::string advice =
      collector_->LargestStandsOut()
          ? "remove that worker (gannet workers remove) and resume, its unit is recomputed; if "
            "it diverges again, start a new run with a smaller learning rate"
          : "start a new run with a smaller learning rate";
  const std::string text =
      base::Printable(absl::StrCat("round ", next_round().value(), ": the training has diverged; ",
                                   largest, "; ", advice, ": ", reason.message()),
                      exchange::kMaxReasonChars);
  log_.Error("the training has diverged, nothing is published and the run is paused",
             {{"round", next_round().value()},
              {"reason", reason},
              {"largest_gradient", largest},
              {"advice", advice}});
  GANNET_RETURN_IF_ERROR(retry_.Call(
      "pause the run", [&] { return store_.SetRunState(run_, domain::RunState::kPaused, text); }));
  do {
    if (stop_.requested()) return absl::CancelledError("asked to stop");
    if (lease_renewer_.lost()) return absl::FailedPreconditionError("the leadership is lost");
    store_.AwaitChange(run_, options_.change_wait_max);
    GANNET_RETURN_IF_ERROR(RefreshStatus());
  } while (status_.state == domain::RunState::kPaused);
  // Whoever resumes or stops the run gets it as it was published last.
  return absl::AbortedError("resumed after a divergence: loading the weights published last");
}

absl::Status LeaderTerm::RunPeriodicTasks() {
  const absl::Duration now = clock_.Steady();
  if (now >= reap_due_) {
    reap_due_ = now + options_.reap_interval;
    GANNET_ASSIGN_OR_RETURN(const int reaped, retry_.CallFor("reap expired leases", [&] {
      return store_.ReapExpiredLeases(run_, leadership_);
    }));
    metrics_.reaped_leases.Increment(reaped);
    if (reaped > 0) {
      log_.Info("leases expired, their units are requeued or closed",
                {{"round", next_round().value()}, {"units", reaped}});
    }
  }
  if (now >= status_due_) GANNET_RETURN_IF_ERROR(RefreshStatus());
  if (now >= progress_due_) {
    progress_due_ = now + options_.progress_interval;
    LogProgress(now);
  }
  return absl::OkStatus();
}

void LeaderTerm::ApplySettings() {
  const std::string change = domain::DescribeDifference(config_, status_.next_config);
  log_.Info("settings were changed", {{"from_round", status_.settings_round.value()},
                                      {"change", change.empty() ? "reverted" : change}});
  metrics_.run_rounds.Set(static_cast<double>(status_.next_config.round_count));
  planner_.emplace(status_.next_config);
  next_prepared_ = false;
}

absl::Status LeaderTerm::RefreshStatus() {
  const domain::RunState before = status_.state;
  const domain::RunConfig next_before = status_.next_config;
  GANNET_ASSIGN_OR_RETURN(
      status_, retry_.CallFor("read the run", [&] { return store_.GetRunStatus(run_); }));
  if (status_.weights_version < version()) {
    // A backup was restored, or a standby that lacked the last rounds took over. Its leader's row
    // is still ours, so nothing else would tell.
    return absl::AbortedError(
        absl::StrCat("the database was rolled back from version ", version().value(), " to ",
                     status_.weights_version.value(),
                     ": reloading its state; repeat what was set, paused or resumed since"));
  }
  const absl::Duration now = clock_.Steady();
  status_due_ = now + options_.status_interval;
  metrics_.workers.Set(status_.worker_count);
  metrics_.run_paused.Set(status_.state == domain::RunState::kPaused ? 1 : 0);
  metrics_.images_per_second.Set(rate_.ImagesPerSecond(now));
  metrics_.wasted_images.Set(static_cast<double>(status_.wasted_image_count));
  metrics_.unit_seconds.Set(Seconds(status_.median_unit_time));
  if (planner_.has_value() && status_.next_config != next_before) ApplySettings();
  if (status_.state == before) return absl::OkStatus();
  if (status_.state == domain::RunState::kPaused) {
    log_.Info("the run is paused", {{"reason", status_.state_reason}});
  } else if (before == domain::RunState::kPaused && status_.state == domain::RunState::kRunning) {
    log_.Info("the run is resumed");
  }
  return absl::OkStatus();
}

void LeaderTerm::LogProgress(absl::Duration now) {
  const int64_t rounds_left = status_.next_config.round_count - version().value();
  const exchange::RoundSummary round = last_round_.value_or(exchange::RoundSummary());
  log_.Info("progress",
            {{"round", version().value()},
             {"of", status_.next_config.round_count},
             {"epoch", round.epoch},
             {"images_per_second", rate_.ImagesPerSecond(now)},
             {"discriminator_loss", round.discriminator_loss},
             {"generator_loss", round.generator_loss},
             {"workers", status_.worker_count},
             {"state", domain::RunStateName(status_.state)},
             {"eta", IsMakingProgress() ? DescribeEta(rounds_left, rate_.RoundsPerSecond(now))
                                        : "unknown"}});
}

bool LeaderTerm::IsMakingProgress() const {
  return status_.state == domain::RunState::kRunning && status_.worker_count > 0;
}

absl::Duration LeaderTerm::ChangeWait() const {
  if (last_round_time_ == absl::ZeroDuration()) return options_.change_wait_max;
  return std::clamp(last_round_time_ / kPollsPerRound,
                    std::min(kMinChangeWait, options_.change_wait_max), options_.change_wait_max);
}

}  // namespace gannet::coordinator
