#pragma once

#include <string>

#include "absl/status/status.h"
#include "libs/domain/unit_state.h"
#include "libs/telemetry/metrics.h"

namespace gannet::gateway {

// Handles to the gateway's own metrics, beside those of its calls (see CallMetrics with the prefix
// gannet_gateway_rpc).
struct GatewayMetrics {
  explicit GatewayMetrics(Metrics& metrics);

  // The counter of an outcome of Submit.
  Counter& SubmitOutcomeCounter(SubmitOutcome outcome) const;
  Counter& SubmitErrorCounter(const absl::Status& status) const;

  Gauge& database_up;           // 1 or 0
  Gauge& parked_claims;         // waiting, without a thread or connection
  Gauge& control_tasks_queued;  // waiting for a thread
  Gauge& bulk_tasks_queued;
  Gauge& upload_bytes_in_progress;  // announced by submissions not finished yet
  Counter& payload_bytes_in;
  Counter& payload_bytes_out;
  Counter& weights_cache_hits;          // answered from memory
  Counter& weights_cache_shared;        // waited for a read that somebody else had started
  Counter& weights_cache_misses;        // read from the database
  Counter& identity_checks_remembered;  // answered from memory
  Counter& identity_checks_asked;       // asked the database
  Counter& submits_accepted;
  Counter& submits_late;
  Counter& submits_already_accepted;
  Counter& submits_superseded;
  Counter& submits_closed;
  Counter& submits_duplicate;
  Counter& submits_refused;  // by the gateway or the database: repeating it would not help
  Counter& submits_failed;   // not received: database away, gateway busy, connection cut
  Counter& joins_refused;    // for a class code that was wrong or missing
  Counter& uploads_stalled;  // given up because no chunk came
};

}  // namespace gannet::gateway
