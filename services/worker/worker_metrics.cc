#include "services/worker/worker_metrics.h"

namespace gannet::worker {
namespace {

telemetry::Counter& OutcomeCounter(telemetry::Metrics& metrics, const char* outcome) {
  return metrics.AddCounter("gannet_worker_gradients_total", "Gradients submitted, by outcome.",
                            {{"outcome", outcome}});
}

telemetry::Counter& TransferCounter(telemetry::Metrics& metrics, const char* direction) {
  return metrics.AddCounter("gannet_worker_transfer_seconds_total",
                            "Time in calls that send gradients or receive weights; sending runs "
                            "in parallel with the computation.",
                            {{"direction", direction}});
}

}  // namespace

WorkerMetrics::WorkerMetrics(telemetry::Metrics& metrics)
    : images(metrics.AddCounter("gannet_worker_images_total",
                                "Images in gradients the run has accepted.")),
      sent_bytes(metrics.AddCounter("gannet_worker_sent_bytes_total",
                                    "Encoded bytes of gradients the run has accepted.")),
      received_bytes(metrics.AddCounter("gannet_worker_received_bytes_total",
                                        "Encoded bytes of weights fetched.")),
      failed_units(metrics.AddCounter("gannet_worker_failed_units_total",
                                      "Units reported as not computable here.")),
      sending_seconds(TransferCounter(metrics, "sending")),
      receiving_seconds(TransferCounter(metrics, "receiving")),
      compute_seconds(metrics.AddHistogram(
          "gannet_worker_compute_seconds",
          "Time to compute a unit, without waiting for its images.", telemetry::DurationBounds())),
      data_seconds(metrics.AddHistogram("gannet_worker_data_seconds",
                                        "Time a unit waited for its images.",
                                        telemetry::DurationBounds())),
      fetch_seconds(metrics.AddHistogram("gannet_worker_fetch_seconds",
                                         "Time to fetch and decode weights.",
                                         telemetry::DurationBounds())),
      submit_seconds(metrics.AddHistogram("gannet_worker_submit_seconds",
                                          "Time to encode and submit a gradient, waits included.",
                                          telemetry::DurationBounds())),
      claim_seconds(metrics.AddHistogram("gannet_worker_claim_seconds", "Time waited for a unit.",
                                         telemetry::DurationBounds())),
      weights_version(
          metrics.AddGauge("gannet_worker_weights_version", "Version of the weights held.")),
      reference_blas(metrics.AddGauge("gannet_worker_reference_blas",
                                      "1 when LibTorch runs on the slow reference BLAS.")),
      accepted_(OutcomeCounter(metrics, "accepted")),
      late_(OutcomeCounter(metrics, "late")),
      already_accepted_(OutcomeCounter(metrics, "already_accepted")),
      superseded_(OutcomeCounter(metrics, "superseded")),
      closed_(OutcomeCounter(metrics, "closed")),
      duplicate_(OutcomeCounter(metrics, "duplicate")) {}

void WorkerMetrics::CountOutcome(domain::SubmitOutcome outcome) {
  switch (outcome) {
    case domain::SubmitOutcome::kAccepted:
      return accepted_.Increment();
    case domain::SubmitOutcome::kLate:
      return late_.Increment();
    case domain::SubmitOutcome::kAlreadyAccepted:
      return already_accepted_.Increment();
    case domain::SubmitOutcome::kSuperseded:
      return superseded_.Increment();
    case domain::SubmitOutcome::kClosed:
      return closed_.Increment();
    case domain::SubmitOutcome::kDuplicate:
      return duplicate_.Increment();
  }
}

}  // namespace gannet::worker
