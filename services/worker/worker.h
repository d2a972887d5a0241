#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/data/dataset.h"
#include "libs/exchange/exchange.h"
#include "libs/gan/gan.h"
#include "libs/telemetry/log.h"
#include "libs/telemetry/metrics.h"
#include "libs/telemetry/retrying_caller.h"
#include "services/worker/held_units.h"
#include "services/worker/worker_metrics.h"

namespace gannet::worker {

struct WorkerOptions {
  exchange::WorkerIdentity identity;
  std::string run_name;      // empty: the one run that has not ended
  std::string display_name;  // for people
  std::string hardware;      // for people
  std::string peer;          // for people: whom the exchange talks to
  int data_threads = 1;      // that read images
  std::string spool_path;    // where a finished gradient waits for its answer; empty: nowhere
  // Short, because a stop waits for its end.
  absl::Duration claim_wait = absl::Seconds(2);
  base::BackoffPolicy backoff;
  // After a unit that could not be computed here.
  base::BackoffPolicy failure_pause = {.initial = absl::Seconds(1), .max = absl::Seconds(30)};
};

// Why Run returned, and what was done.
struct WorkerReport {
  enum class End { kRunFinished, kRunStopped, kAskedToStop };
  End end = End::kAskedToStop;
  int64_t accepted_units = 0;
  int64_t accepted_images = 0;
  int64_t wasted_units = 0;  // computed, and discarded
  absl::Duration duration;
};

// Lends this machine to a run: joins, then claims units, fetches the weights they name (only when
// the version changed), computes their gradients and submits them, until the run ends or a stop is
// asked for.
//
//   this thread:      claim -> fetch weights -> compute -> hand over to the uploader -> claim …
//   uploader:         encode -> submit (repeated until answered)
//   heartbeat:        every heartbeat interval: progress of what is held; drops what the run wants
//   dropped
//
// A gateway or database that goes away is waited for. One that was rolled back, and does not know
// this worker any more, is joined again. On a stop the unit being computed is released at once; a
// gradient that is being submitted may finish.
//
// Thread safety: RequestStop from any thread; the rest from one.
// Ownership and lifetime: everything passed by reference outlives the worker.
class Worker {
 public:
  using OpenDatasetFunction =
      std::function<absl::StatusOr<std::unique_ptr<data::Dataset>>(int image_size)>;
  using MakeComputerFunction = std::function<absl::StatusOr<std::unique_ptr<gan::GradientComputer>>(
      const domain::ModelConfig&)>;

  Worker(WorkerOptions options, exchange::Exchange& exchange, OpenDatasetFunction open_dataset,
         MakeComputerFunction make_computer, base::StopSignal& stop, base::Clock& clock,
         telemetry::Logger& log, telemetry::Metrics& metrics);

  // Works until the run ends or a stop is asked for.
  // Returns: FAILED_PRECONDITION - the data set differs from the run's, the protocol is too old, or
  // another process with the same identity has taken over; UNAUTHENTICATED - the secret of the
  // state file is not the registered one; INVALID_ARGUMENT, NOT_FOUND, DATA_LOSS - the data set
  // cannot be opened, or the run asks for what this version cannot compute.
  absl::StatusOr<WorkerReport> Run();

  // Ends Run soon: within a micro-batch, plus one call. May be called before Run and more than
  // once.
  void RequestStop();

  // Whether a run has ever taken this worker. Call once Run has ended.
  bool joined() const { return joined_; }

 private:
  class Session;

  // Joins the run of that name, as JoinRequest has it; waits for one if it is the one asked for.
  // Returns: as Run; CANCELLED - a stop was asked for; NOT_FOUND - the run of another name is lost.
  absl::StatusOr<std::unique_ptr<Session>> Join(telemetry::RetryingCaller& caller,
                                                const std::string& run_name);

  const WorkerOptions options_;
  exchange::Exchange& exchange_;
  const OpenDatasetFunction open_dataset_;
  const MakeComputerFunction make_computer_;
  base::Clock& clock_;
  telemetry::Logger& log_;
  WorkerMetrics metrics_;
  base::StopSignal& stop_;
  HeldUnits held_units_;
  bool joined_ = false;
};

}  // namespace gannet::worker
