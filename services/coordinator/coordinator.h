#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/exchange/store.h"
#include "libs/telemetry/log.h"
#include "libs/telemetry/metrics.h"
#include "libs/telemetry/retrying_caller.h"
#include "services/coordinator/coordinator_metrics.h"
#include "services/coordinator/leader_term.h"
#include "services/coordinator/run_admin.h"
#include "services/coordinator/run_output.h"

namespace gannet::coordinator {

struct CoordinatorOptions {
  domain::RunConfig run;                   // what the run is, or will be when it does not exist yet
  base::LeaderId leader;                   // 32 hexadecimal digits, drawn anew at every start
  std::optional<RunOutputOptions> output;  // unset: no files are written
  absl::Duration standby_interval = absl::Seconds(1);  // between attempts to become leader
  LeaderTermOptions term;
  // By which a run that an older version began may know the same images (DatasetFingerprint);
  // empty: there is none.
  std::string former_data_digest;
  // Workers are on other machines: whoever creates a run whose bytes do not fit slow networks is
  // warned.
  bool over_network = false;
};

// Why Run returned.
struct CoordinatorReport {
  enum class End { kRunFinished, kRunStopped, kAskedToStop };
  End end = End::kAskedToStop;
  base::RunId run;
  base::WeightsVersion weights_version;  // when this coordinator looked last
  int64_t rounds_published = 0;          // by this one
};

// Leads a run from its first round to its last: the only one who publishes.
//
//   1. The run of that name is found, or created with its first weights.
//   2. The coordinator stands for leader. Another one may lead: then it stands by, and takes over
//      when that one's leadership has expired.
//   3. The weights and Adam's moments published last are loaded.
//   4. Per round: gradients are fetched, checked and folded in slot order as they arrive;
//      meanwhile old blobs are reclaimed and the next round's units are planned. Once every slot is
//      in: optimizer step, publication of weights, moments, history and the next units in one
//      transaction.
//   5. Expired leases are reaped; a unit that failed permanently pauses the run.
//   6. After the last round, results are written and Run returns.
//
// The database is the only truth. A publication whose answer was lost is looked up before it is
// repeated; whoever is deposed publishes nothing, stands again and loads anew. A database that goes
// away is waited for.
//
// Thread safety: RequestStop and view from any thread; Run once, from one.
// Ownership and lifetime: everything passed by reference outlives it.
class Coordinator {
 public:
  // `on_database_change`, which may be empty, is told true once the run is known, and false and
  // true when the database is lost and found after that. Returns: INVALID_ARGUMENT - the run's
  // config is out of range, or the folder for results cannot be made.
  static absl::StatusOr<std::unique_ptr<Coordinator>> Create(
      CoordinatorOptions options, exchange::Store& store, base::Clock& clock,
      telemetry::Logger& log, telemetry::Metrics& metrics,
      std::function<void(bool up)> on_database_change = {});

  // Leads or stands by until the run ends or a stop is asked for; then gives the leadership up.
  // Returns: INVALID_ARGUMENT - a run of that name exists with another config (the message says
  // which values); DATA_LOSS - what is stored is damaged; what the store returns that waiting
  // cannot cure.
  absl::StatusOr<CoordinatorReport> Run();

  // Ends Run soon: after a publication in progress, and after what is being drawn.
  void RequestStop() { stop_.Request(); }

  CoordinatorView view();

 private:
  Coordinator(CoordinatorOptions options, exchange::Store& store, base::Clock& clock,
              telemetry::Logger& log, telemetry::Metrics& metrics,
              std::function<void(bool up)> on_database_change);

  void SetDatabaseUp(bool up);
  absl::StatusOr<base::RunId> FindOrCreateRun();

  // Stands by and leads, again and again, until the run ends. Returns its last state.
  absl::StatusOr<domain::RunState> LeadUntilEnd(base::RunId run);

  // Waits until this coordinator leads. Unset: the run has ended under another leader.
  absl::StatusOr<std::optional<exchange::Leadership>> Elect(base::RunId run);
  void Resign(base::RunId run, const exchange::Leadership& leadership);

  const CoordinatorOptions options_;
  exchange::Store& store_;
  base::Clock& clock_;
  telemetry::Logger& log_;
  CoordinatorMetrics metrics_;
  const std::function<void(bool up)> on_database_change_;
  base::StopSignal stop_;
  telemetry::RetryingCaller retry_;
  std::unique_ptr<RunOutput> output_;  // null: no files are written
  RateMeter rate_;
  LeaderTermTotals totals_;
  base::Mutex mu_;
  std::optional<base::RunId> run_ ABSL_GUARDED_BY(mu_);
};

}  // namespace gannet::coordinator
