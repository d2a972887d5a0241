#pragma once

#include <string>

#include "absl/status/status.h"
#include "libs/domain/unit_state.h"
#include "libs/telemetry/metrics.h"

namespace gannet::gateway {

// Handles to the gateway's own metrics, beside those of its calls (see CallMetrics with the prefix
// gannet_gateway_rpc).
struct GatewayMetrics {
  explicit GatewayMetrics(telemetry::Metrics& metrics);

  // The counter of an outcome of Submit.
  telemetry::Counter& SubmitOutcomeCounter(domain::SubmitOutcome outcome) const;
  telemetry::Counter& SubmitErrorCounter(const absl::Status& status) const;

  telemetry::Gauge& database_up;           // 1 or 0
  telemetry::Gauge& parked_claims;         // waiting, without a thread or connection
  telemetry::Gauge& control_tasks_queued;  // waiting for a thread
  telemetry::Gauge& bulk_tasks_queued;
  telemetry::Gauge& upload_bytes_in_progress;  // announced by submissions not finished yet
  telemetry::Counter& payload_bytes_in;
  telemetry::Counter& payload_bytes_out;
  telemetry::Counter& weights_cache_hits;     // answered from memory
  telemetry::Counter& weights_cache_shared;   // waited for a read that somebody else had started
  telemetry::Counter& weights_cache_misses;   // read from the database
  telemetry::Counter& identity_cache_hits;    // answered from memory
  telemetry::Counter& identity_checks_asked;  // asked the database
  telemetry::Counter& submits_accepted;
  telemetry::Counter& submits_late;
  telemetry::Counter& submits_already_accepted;
  telemetry::Counter& submits_superseded;
  telemetry::Counter& submits_closed;
  telemetry::Counter& submits_duplicate;
  telemetry::Counter&
      submits_refused;  // by the gateway or the database: repeating it would not help
  telemetry::Counter& submits_failed;   // not received: database away, gateway busy, connection cut
  telemetry::Counter& joins_refused;    // for a class code that was wrong or missing
  telemetry::Counter& uploads_stalled;  // cut because no chunk came
};

}  // namespace gannet::gateway
