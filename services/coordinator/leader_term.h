#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/domain/round_plan.h"
#include "libs/exchange/store.h"
#include "libs/telemetry/log.h"
#include "libs/telemetry/retrying_caller.h"
#include "services/coordinator/coordinator_metrics.h"
#include "services/coordinator/lease_renewer.h"
#include "services/coordinator/rate_meter.h"
#include "services/coordinator/round_collector.h"
#include "services/coordinator/run_output.h"

namespace gannet::coordinator {

struct LeaderTermOptions {
  absl::Duration leadership_ttl = absl::Seconds(15);
  int64_t keep_every = 100;  // every Nth version is kept permanently; 0: only the last
  absl::Duration change_wait_max = absl::Seconds(1);     // the longest pause between looks
  absl::Duration reap_interval = absl::Seconds(1);       // between searches for expired leases
  absl::Duration status_interval = absl::Seconds(1);     // between looks at the state of the run
  absl::Duration progress_interval = absl::Seconds(10);  // between lines of progress
  base::BackoffPolicy backoff;
};

// What several terms of one coordinator did together.
struct LeaderTermTotals {
  base::WeightsVersion weights_version;  // published last, as far as it looked
  int64_t rounds_published = 0;
};

// One term of a leader: from the election until the run ends or the leadership is lost. Everything
// it knows is loaded from the store at its beginning and forgotten at its end.
//
// Thread safety: none, but a stop may be requested from any thread.
// Ownership and lifetime: everything passed by reference outlives it. `output` may be null.
class LeaderTerm {
 public:
  LeaderTerm(const LeaderTermOptions& options, exchange::Store& store, base::RunId run,
             const exchange::Leadership& leadership, telemetry::RetryingCaller& retry,
             base::StopSignal& stop, base::Clock& clock, telemetry::Logger& log,
             CoordinatorMetrics& metrics, RateMeter& rate, RunOutput* output,
             LeaderTermTotals& totals);
  ~LeaderTerm();

  // Leads until the run has ended, and returns its last state.
  // Returns: FAILED_PRECONDITION, ABORTED - deposed, or somebody else has published: stand again;
  // CANCELLED - a stop was asked for; INVALID_ARGUMENT, DATA_LOSS - what is stored is damaged;
  // other permanent errors.
  absl::StatusOr<domain::RunState> Lead();

 private:
  // What publishing a round takes, beside the units.
  struct NewWeights {
    exchange::Payload weights;
    exchange::Payload adam_state;
  };

  absl::Status Load();
  absl::Status LoadHistory();
  absl::Status EndRun();

  // Collects and publishes the next round. Returns OK also when the run has ended meanwhile.
  absl::Status RunRound();
  absl::Status PrepareNextRound(bool wait);
  absl::Status TakeStale(base::Round round);
  // Whether the round may end with what it has, by RoundPolicy.
  bool MayEndEarly(const exchange::RoundProgress& progress) const;
  // Says now and then why a round stands still.
  void LogStalledRound(const exchange::RoundProgress& progress);
  // Logs once that a unit has failed permanently: the store has paused the run, and requeues the
  // unit again when somebody resumes it.
  void LogFailedUnit(const exchange::RoundProgress& progress);
  absl::Status PublishFolded(FoldedRound folded);
  // Adds the units of the next round, and what depends on the settings, and publishes; again when
  // somebody has just changed the settings.
  absl::Status PublishWithNextUnits(exchange::PublishRequest& request);
  absl::StatusOr<NewWeights> EncodeState() const;
  // Publishes, and looks up what became of it when the answer was lost.
  absl::Status Publish(const exchange::PublishRequest& request);
  absl::Status PauseDiverged(const absl::Status& reason);

  // Everything that is due by the clock: expired leases, state of the run, a line of progress.
  absl::Status RunPeriodicTasks();
  absl::Status RefreshStatus();
  // After settings were changed: what was planned for the next round is planned again.
  void ApplySettings();
  void LogProgress(absl::Duration now);
  // Whether somebody computes.
  bool IsMakingProgress() const;
  absl::Duration ChangeWait() const;

  base::WeightsVersion version() const { return published_.version; }
  base::Round next_round() const { return base::Round(version().value() + 1); }

  const LeaderTermOptions options_;
  exchange::Store& store_;
  const base::RunId run_;
  const exchange::Leadership leadership_;
  telemetry::RetryingCaller& retry_;
  base::StopSignal& stop_;
  base::Clock& clock_;
  telemetry::Logger& log_;
  CoordinatorMetrics& metrics_;
  RateMeter& rate_;
  RunOutput* const output_;
  LeaderTermTotals& totals_;
  LeaseRenewer lease_renewer_;

  exchange::RunStatus status_;           // as it was looked at last
  exchange::Store::Snapshot published_;  // last, as far as this term knows
  tensor::TensorBundle weights_;
  tensor::TensorBundle adam_state_;
  // Of the open round. status_.config runs ahead of it once the round is published.
  domain::RunConfig config_;
  std::optional<domain::RoundPlanner> planner_;  // of the next round
  std::optional<RoundCollector> collector_;
  bool next_prepared_ = false;
  std::vector<domain::PlannedUnit> next_units_;
  absl::Duration last_stall_line_;
  bool failure_logged_ = false;
  std::optional<exchange::RoundSummary> last_round_;
  absl::Duration round_start_;
  absl::Duration last_round_time_;
  absl::Duration reap_due_;
  absl::Duration status_due_;
  absl::Duration progress_due_;
};

}  // namespace gannet::coordinator
