#include "services/coordinator/coordinator.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/domain/transfer_estimate.h"
#include "libs/gan/gan.h"
#include "libs/tensor/codec.h"

namespace gannet::coordinator {
namespace {

// A standby repeats what it waits for this often.
constexpr absl::Duration kStandbyLineInterval = absl::Minutes(1);

absl::StatusOr<exchange::NewRun> MakeNewRun(const domain::RunConfig& config) {
  exchange::NewRun run;
  run.config = config;
  const tensor::TensorBundle weights = gan::InitialWeights(config.model, config.seed);
  GANNET_ASSIGN_OR_RETURN(run.weights,
                          exchange::Payload::FromBundle(weights, tensor::Codec::kFp32));
  GANNET_ASSIGN_OR_RETURN(
      run.adam_state,
      exchange::Payload::FromBundle(gan::InitialAdamState(config.model, config.adam, weights),
                                    tensor::Codec::kFp32));
  run.units = domain::RoundPlanner(config).Plan(base::Round(1));
  return run;
}

// Whether a run goes on with these settings. What may change during the run is changed by `gannet
// set` alone, so that it is recorded: there the run's own settings hold, whatever the file says.
absl::Status CheckSameRun(const exchange::RunStatus& stored, domain::RunConfig asked,
                          const std::string& former_data_digest, telemetry::Logger& log) {
  asked.plan_origin = stored.next_config.plan_origin;
  // A run keeps the digest that it was begun with, for its workers are compared with that.
  if (!former_data_digest.empty() && stored.next_config.data.digest == former_data_digest) {
    asked.data.digest = former_data_digest;
    log.Warning(
        "the run was begun when fingerprints were of names and sizes only: nobody notices "
        "a worker whose images have another content",
        {{"run", asked.name}});
  }
  if (const absl::Status same = domain::CheckOnlyChangeable(stored.next_config, asked);
      !same.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a run of this name exists with other settings: choose another run.name, or "
                     "set them back (stored -> asked for): ",
                     domain::DescribeDifference(stored.next_config, asked)));
  }
  if (asked == stored.next_config) return absl::OkStatus();
  const std::string difference = domain::DescribeDifference(stored.next_config, asked);
  // As it was created with: whoever has changed settings during the run may leave the file as it
  // was.
  domain::RunConfig created = stored.created_config;
  created.plan_origin = asked.plan_origin;
  if (asked == created) {
    log.Info("settings that were changed by gannet set hold, not those of the file",
             {{"stored_and_asked_for", difference}});
  } else if (domain::HasEnded(stored.state)) {
    log.Warning("the run of this name has ended: other settings need another run.name",
                {{"stored_and_asked_for", difference}});
  } else {
    log.Warning("the run continues with its own settings, change them with gannet set",
                {{"stored_and_asked_for", difference}});
  }
  return absl::OkStatus();
}

// Warns before the first round, not after an hour, that the network will be the bottleneck.
void WarnOfSlowNetworks(const domain::RunConfig& run, telemetry::Logger& log) {
  const std::string warning = domain::WarnOfTransfer(
      run.model, run.images_per_unit, static_cast<tensor::Codec>(run.gradient_codec));
  if (!warning.empty()) log.Warning(warning);
}

// Whether another election can help after a term ended with this.
bool ShouldReelect(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsAborted(status);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Coordinator>> Coordinator::Create(
    CoordinatorOptions options, exchange::Store& store, base::Clock& clock, telemetry::Logger& log,
    telemetry::Metrics& metrics, std::function<void(bool up)> on_database_change) {
  GANNET_RETURN_IF_ERROR(domain::ValidateRunConfig(options.run));
  auto coordinator = std::unique_ptr<Coordinator>(new Coordinator(
      std::move(options), store, clock, log, metrics, std::move(on_database_change)));
  if (coordinator->options_.output.has_value()) {
    GANNET_ASSIGN_OR_RETURN(
        coordinator->output_,
        RunOutput::Create(*coordinator->options_.output, coordinator->options_.run, clock, log,
                          coordinator->metrics_));
  }
  return coordinator;
}

Coordinator::Coordinator(CoordinatorOptions options, exchange::Store& store, base::Clock& clock,
                         telemetry::Logger& log, telemetry::Metrics& metrics,
                         std::function<void(bool up)> on_database_change)
    : options_(std::move(options)),
      store_(store),
      clock_(clock),
      log_(log),
      metrics_(metrics),
      on_database_change_(std::move(on_database_change)),
      retry_("the database", clock, stop_, log, options_.term.backoff,
             [this](bool up) { SetDatabaseUp(up); }) {}

void Coordinator::SetDatabaseUp(bool up) {
  metrics_.database_up.Set(up ? 1 : 0);
  if (on_database_change_) on_database_change_(up);
}

absl::StatusOr<CoordinatorReport> Coordinator::Run() {
  CoordinatorReport report;
  absl::StatusOr<domain::RunState> state = domain::RunState::kRunning;
  absl::StatusOr<base::RunId> run;
  base::Backoff backoff(options_.term.backoff);
  while (true) {
    run = FindOrCreateRun();
    if (!run.ok()) break;
    report.run = *run;
    {
      base::MutexLock lock(mu_);
      run_ = *run;
    }
    SetDatabaseUp(true);
    state = LeadUntilEnd(*run);
    if (!absl::IsNotFound(state.status())) break;
    log_.Warning("the database no longer has the run, it was rolled back: looking it up again",
                 {{"reason", state.status()}});
    if (stop_.AwaitFor(backoff.Next())) {
      state = absl::CancelledError("asked to stop");
      break;
    }
  }
  const absl::Status status = run.ok() ? state.status() : run.status();
  if (!status.ok() && !absl::IsCancelled(status)) return status;
  report.weights_version = totals_.weights_version;
  report.rounds_published = totals_.rounds_published;
  if (status.ok()) {
    report.end = *state == domain::RunState::kFinished ? CoordinatorReport::End::kRunFinished
                                                       : CoordinatorReport::End::kRunStopped;
  }
  return report;
}

absl::StatusOr<base::RunId> Coordinator::FindOrCreateRun() {
  base::Backoff backoff(options_.term.backoff);
  while (true) {
    const absl::StatusOr<exchange::RunStatus> found =
        retry_.CallFor("find the run", [&] { return store_.FindRun(options_.run.name); });
    if (found.ok()) {
      GANNET_RETURN_IF_ERROR(CheckSameRun(*found, options_.run, options_.former_data_digest, log_));
      return found->run;
    }
    if (!absl::IsNotFound(found.status())) return found.status();
    GANNET_ASSIGN_OR_RETURN(const exchange::NewRun fresh, MakeNewRun(options_.run));
    const absl::StatusOr<base::RunId> created = store_.CreateRun(fresh);
    if (created.ok()) {
      log_.Info("run created", {{"run", options_.run.name},
                                {"rounds", options_.run.round_count},
                                {"images", options_.run.data.image_count}});
      if (options_.over_network) WarnOfSlowNetworks(options_.run, log_);
      return *created;
    }
    // Another coordinator may have created it, or the answer was lost: look again.
    const bool look_again = absl::IsAlreadyExists(created.status()) ||
                            telemetry::RetryingCaller::IsTransient(created.status());
    if (!look_again) return created.status();
    log_.Warning("the run could not be created yet, retrying", {{"reason", created.status()}});
    if (stop_.AwaitFor(backoff.Next())) return absl::CancelledError("asked to stop");
  }
}

absl::StatusOr<domain::RunState> Coordinator::LeadUntilEnd(base::RunId run) {
  base::Backoff backoff(options_.term.backoff);
  while (true) {
    GANNET_ASSIGN_OR_RETURN(const std::optional<exchange::Leadership> leadership, Elect(run));
    if (!leadership.has_value()) {
      GANNET_ASSIGN_OR_RETURN(const exchange::RunStatus status, retry_.CallFor("read the run", [&] {
        return store_.GetRunStatus(run);
      }));
      totals_.weights_version = status.weights_version;
      return status.state;
    }
    const int64_t rounds_before = totals_.rounds_published;
    absl::StatusOr<domain::RunState> ended;
    {
      LeaderTerm term(options_.term, store_, run, *leadership, retry_, stop_, clock_, log_,
                      metrics_, rate_, output_.get(), totals_);
      ended = term.Lead();
    }
    if (!ShouldReelect(ended.status())) {
      Resign(run, *leadership);
      return ended;
    }
    log_.Warning("re-running the leader election", {{"reason", ended.status()}});
    if (totals_.rounds_published > rounds_before) backoff.Reset();
    if (stop_.AwaitFor(backoff.Next())) {
      Resign(run, *leadership);
      return absl::CancelledError("asked to stop");
    }
  }
}

absl::StatusOr<std::optional<exchange::Leadership>> Coordinator::Elect(base::RunId run) {
  const absl::Duration start = clock_.Steady();
  absl::Duration next_line = absl::ZeroDuration();
  while (true) {
    const absl::StatusOr<exchange::Leadership> leadership = retry_.CallFor("become leader", [&] {
      return store_.AcquireLeadership(run, options_.leader, options_.term.leadership_ttl);
    });
    if (leadership.ok()) return std::optional<exchange::Leadership>(*leadership);
    if (!absl::IsFailedPrecondition(leadership.status())) return leadership.status();
    GANNET_ASSIGN_OR_RETURN(const exchange::RunStatus status, retry_.CallFor("read the run", [&] {
      return store_.GetRunStatus(run);
    }));
    if (domain::HasEnded(status.state)) return std::optional<exchange::Leadership>();
    const absl::Duration so_far = clock_.Steady() - start;
    if (so_far >= next_line) {
      log_.Info("standing by: another coordinator leads the run",
                {{"run", status.config.name},
                 {"waited", so_far},
                 {"rounds_done", status.weights_version.value()},
                 {"reason", leadership.status()}});
      next_line = so_far + kStandbyLineInterval;
    }
    if (stop_.AwaitFor(options_.standby_interval)) return absl::CancelledError("asked to stop");
  }
}

void Coordinator::Resign(base::RunId run, const exchange::Leadership& leadership) {
  // One attempt: the leadership expires by itself.
  const absl::Status status = store_.ResignLeadership(run, leadership);
  if (status.ok()) {
    log_.Info("leadership resigned", {{"term", leadership.term}});
  } else {
    log_.Warning("leadership could not be resigned, a successor waits until it expires",
                 {{"reason", status}});
  }
}

CoordinatorView Coordinator::view() {
  CoordinatorView view;
  {
    base::MutexLock lock(mu_);
    view.run = run_;
  }
  view.images_per_second = rate_.ImagesPerSecond(clock_.Steady());
  if (output_ != nullptr) view.latest_sample_path = output_->latest_sample_path();
  return view;
}

}  // namespace gannet::coordinator
