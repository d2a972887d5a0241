#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/exchange/exchange.h"
#include "libs/gan/gan.h"
#include "libs/telemetry/log.h"
#include "libs/telemetry/retrying_caller.h"
#include "services/worker/held_units.h"
#include "services/worker/spool.h"
#include "services/worker/worker_metrics.h"

namespace gannet::worker {

// A finished gradient on its way.
struct PendingSubmission {
  exchange::WorkUnit unit;
  gan::UnitGradient gradient;
  std::shared_ptr<HeldUnit> held;
};

// Encodes and submits gradients from a thread of its own, so that the next unit is computed
// meanwhile. Holds one gradient at most: with the one being computed that makes the two leases a
// worker may have.
//
// Thread safety: Enqueue and Finish from one thread; totals() from any.
class Uploader {
 public:
  struct Totals {
    int64_t units = 0;       // kept by the run
    int64_t images = 0;      // in them
    int64_t wasted = 0;      // superseded, closed or refused
    absl::Duration sending;  // in calls that submit, the one in progress so far included
  };

  Uploader(exchange::Exchange& exchange, const exchange::WorkerIdentity& identity,
           tensor::Codec codec, telemetry::RetryingCaller& caller, HeldUnits& held_units,
           Spool spool, base::Clock& clock, telemetry::Logger& log, WorkerMetrics& metrics);
  ~Uploader();

  // Submits what an earlier process of this worker computed for `run` and got no answer for.
  // Call before the first Enqueue.
  // Returns: as Enqueue.
  absl::Status ResubmitSpooled(base::RunId run);

  // Hands a gradient over; waits while the previous one is not done.
  // Returns: the permanent error that ended the uploads (the worker must end with it).
  absl::Status Enqueue(PendingSubmission upload);

  // Waits for the gradient in progress and ends. Idempotent.
  // Returns: as Enqueue.
  absl::Status Finish();

  Totals totals();

 private:
  void Loop();
  absl::Status Send(PendingSubmission& upload);
  absl::StatusOr<domain::SubmitOutcome> Submit(const exchange::SubmitRequest& request);
  // One attempt of it.
  absl::StatusOr<domain::SubmitOutcome> SubmitOnce(const exchange::SubmitRequest& request);
  // Whether there is nothing more to submit after this answer. Gives a unit back that nobody took.
  bool IsSettled(const exchange::SubmitRequest& request, const absl::Status& answer);
  // Counts what became of a gradient; whether the run has kept it.
  bool Count(domain::SubmitOutcome outcome, const exchange::SubmitRequest& request);
  // Counts one that nobody will ever have.
  void CountWasted();
  absl::Status GiveUp(const PendingSubmission& upload, const std::string& reason);

  exchange::Exchange& exchange_;
  const exchange::WorkerIdentity identity_;
  const tensor::Codec codec_;
  telemetry::RetryingCaller& caller_;
  HeldUnits& held_units_;
  const Spool spool_;
  base::Clock& clock_;
  telemetry::Logger& log_;
  WorkerMetrics& metrics_;

  base::Mutex mu_;
  base::CondVar cv_;
  std::optional<PendingSubmission> pending_ ABSL_GUARDED_BY(mu_);
  bool busy_ ABSL_GUARDED_BY(mu_) = false;
  bool finishing_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status fatal_ ABSL_GUARDED_BY(mu_);
  Totals totals_ ABSL_GUARDED_BY(mu_);
  std::optional<absl::Duration> sending_since_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace gannet::worker
