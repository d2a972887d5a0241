#pragma once

#include "libs/domain/unit_state.h"
#include "libs/telemetry/metrics.h"

namespace gannet::worker {

// The worker's metrics, as handles.
struct WorkerMetrics {
  explicit WorkerMetrics(telemetry::Metrics& metrics);

  void CountOutcome(domain::SubmitOutcome outcome);

  telemetry::Counter& images;
  telemetry::Counter& sent_bytes;
  telemetry::Counter& received_bytes;
  telemetry::Counter& failed_units;
  telemetry::Counter& sending_seconds;
  telemetry::Counter& receiving_seconds;
  telemetry::Histogram& compute_seconds;
  telemetry::Histogram& data_seconds;
  telemetry::Histogram& fetch_seconds;
  telemetry::Histogram& submit_seconds;
  telemetry::Histogram& claim_seconds;
  telemetry::Gauge& weights_version;
  telemetry::Gauge& reference_blas;

 private:
  telemetry::Counter& accepted_;
  telemetry::Counter& late_;
  telemetry::Counter& already_accepted_;
  telemetry::Counter& superseded_;
  telemetry::Counter& closed_;
  telemetry::Counter& duplicate_;
};

}  // namespace gannet::worker
