#pragma once

#include "libs/domain/unit_state.h"
#include "libs/telemetry/metrics.h"

namespace gannet::worker {

// The worker's metrics, as handles.
struct WorkerMetrics {
  explicit WorkerMetrics(Metrics& metrics);

  void CountOutcome(SubmitOutcome outcome);

  Counter& images;
  Counter& sent_bytes;
  Counter& received_bytes;
  Counter& failed_units;
  Counter& sending_seconds;
  Counter& receiving_seconds;
  Histogram& compute_seconds;
  Histogram& data_seconds;
  Histogram& fetch_seconds;
  Histogram& submit_seconds;
  Histogram& claim_seconds;
  Gauge& weights_version;
  Gauge& reference_blas;

 private:
  Counter& accepted_;
  Counter& late_;
  Counter& already_accepted_;
  Counter& superseded_;
  Counter& closed_;
  Counter& duplicate_;
};

}  // namespace gannet::worker
