#include "services/gateway/gateway_metrics.h"

#include "libs/base/backoff.h"
#include "libs/base/check.h"

namespace gannet::gateway {
namespace {

telemetry::Counter& PayloadBytes(telemetry::Metrics& metrics, const char* direction) {
  return metrics.AddCounter("gannet_gateway_payload_bytes_total",
                            "Bytes of gradients received (in) and weights sent (out).",
                            {{"direction", direction}});
}

telemetry::Counter& WeightsCache(telemetry::Metrics& metrics, const char* result) {
  return metrics.AddCounter("gannet_gateway_weights_cache_requests_total",
                            "Requests for weights: from memory (hit), by a read somebody else had "
                            "started (shared), from the database (miss).",
                            {{"result", result}});
}

telemetry::Counter& IdentityChecks(telemetry::Metrics& metrics, const char* source) {
  return metrics.AddCounter("gannet_gateway_identity_checks_total",
                            "Identity checks ahead of a transfer, answered from memory or by the "
                            "database.",
                            {{"source", source}});
}

telemetry::Counter& Submits(telemetry::Metrics& metrics, const char* outcome) {
  return metrics.AddCounter("gannet_gateway_submits_total",
                            "Submissions by outcome; refused and failed ones did not get that far.",
                            {{"outcome", outcome}});
}

telemetry::Gauge& TasksQueued(telemetry::Metrics& metrics, const char* pool) {
  return metrics.AddGauge("gannet_gateway_tasks_queued", "Tasks that wait for a thread.",
                          {{"pool", pool}});
}

}  // namespace

GatewayMetrics::GatewayMetrics(telemetry::Metrics& metrics)
    : database_up(
          metrics.AddGauge("gannet_gateway_database_up", "1 while the database answers, else 0.")),
      parked_claims(
          metrics.AddGauge("gannet_gateway_parked_claims", "Claims that wait for a unit.")),
      control_tasks_queued(TasksQueued(metrics, "control")),
      bulk_tasks_queued(TasksQueued(metrics, "bulk")),
      upload_bytes_in_progress(metrics.AddGauge("gannet_gateway_upload_in_progress_bytes",
                                                "Bytes announced by submissions in progress.")),
      payload_bytes_in(PayloadBytes(metrics, "in")),
      payload_bytes_out(PayloadBytes(metrics, "out")),
      weights_cache_hits(WeightsCache(metrics, "hit")),
      weights_cache_shared(WeightsCache(metrics, "shared")),
      weights_cache_misses(WeightsCache(metrics, "miss")),
      identity_cache_hits(IdentityChecks(metrics, "memory")),
      identity_checks_asked(IdentityChecks(metrics, "database")),
      submits_accepted(Submits(metrics, "accepted")),
      submits_late(Submits(metrics, "late")),
      submits_already_accepted(Submits(metrics, "already_accepted")),
      submits_superseded(Submits(metrics, "superseded")),
      submits_closed(Submits(metrics, "closed")),
      submits_duplicate(Submits(metrics, "duplicate")),
      submits_refused(Submits(metrics, "refused")),
      submits_failed(Submits(metrics, "failed")),
      joins_refused(metrics.AddCounter("gannet_gateway_joins_refused_total",
                                       "Joins with a wrong class code, or without one.")),
      uploads_stalled(metrics.AddCounter("gannet_gateway_uploads_stalled_total",
                                         "Submissions cut because no chunk came in time.")) {}

telemetry::Counter& GatewayMetrics::SubmitOutcomeCounter(domain::SubmitOutcome outcome) const {
  switch (outcome) {
    case domain::SubmitOutcome::kAccepted:
      return submits_accepted;
    case domain::SubmitOutcome::kLate:
      return submits_late;
    case domain::SubmitOutcome::kAlreadyAccepted:
      return submits_already_accepted;
    case domain::SubmitOutcome::kSuperseded:
      return submits_superseded;
    case domain::SubmitOutcome::kClosed:
      return submits_closed;
    case domain::SubmitOutcome::kDuplicate:
      return submits_duplicate;
  }
  GANNET_CHECK(false);
  return submits_refused;
}

telemetry::Counter& GatewayMetrics::SubmitErrorCounter(const absl::Status& status) const {
  return base::IsRetryable(status) || absl::IsCancelled(status) ? submits_failed : submits_refused;
}

}  // namespace gannet::gateway
