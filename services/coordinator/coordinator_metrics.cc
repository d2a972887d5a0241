#include "services/coordinator/coordinator_metrics.h"

namespace gannet::coordinator {
namespace {

telemetry::Gauge& Units(telemetry::Metrics& metrics, const char* state) {
  return metrics.AddGauge("gannet_coordinator_units", "Work units of the open round, by state.",
                          {{"state", state}});
}

}  // namespace

CoordinatorMetrics::CoordinatorMetrics(telemetry::Metrics& metrics)
    : rounds(metrics.AddCounter("gannet_coordinator_rounds_total",
                                "Rounds published by this process.")),
      images(metrics.AddCounter("gannet_coordinator_images_total",
                                "Images in the rounds published by this process.")),
      rejected_gradients(metrics.AddCounter("gannet_coordinator_rejected_gradients_total",
                                            "Gradients that were unusable; their units were "
                                            "requeued.")),
      reaped_leases(metrics.AddCounter("gannet_coordinator_reaped_leases_total",
                                       "Leases that expired; their units were requeued.")),
      samples_skipped(metrics.AddCounter("gannet_coordinator_samples_skipped_total",
                                         "Sample grids left out because the one before was still "
                                         "being drawn.")),
      early_rounds(metrics.AddCounter("gannet_coordinator_early_rounds_total",
                                      "Rounds that ended without all of their units.")),
      stale_gradients(metrics.AddCounter("gannet_coordinator_stale_gradients_total",
                                         "Gradients of earlier rounds that were taken with less "
                                         "weight.")),
      leader(metrics.AddGauge("gannet_coordinator_leader",
                              "1 while this process leads the run, 0 while it is a standby.")),
      database_up(metrics.AddGauge("gannet_coordinator_database_up",
                                   "1 while the database answers, 0 while it is awaited.")),
      run_paused(metrics.AddGauge("gannet_coordinator_run_paused", "1 while the run is paused.")),
      units_ready(Units(metrics, "ready")),
      units_leased(Units(metrics, "leased")),
      units_done(Units(metrics, "done")),
      units_failed(Units(metrics, "failed")),
      workers(metrics.AddGauge("gannet_coordinator_workers",
                               "Workers heard from within the last 30 s.")),
      weights_version(metrics.AddGauge("gannet_coordinator_weights_version",
                                       "Weights version published last: rounds done.")),
      run_rounds(metrics.AddGauge("gannet_coordinator_run_rounds",
                                  "Rounds after which the run is finished.")),
      images_per_second(metrics.AddGauge("gannet_coordinator_images_per_second",
                                         "Images a second over the last minute.")),
      discriminator_loss(metrics.AddGauge("gannet_coordinator_discriminator_loss",
                                          "Mean loss of the discriminator in the last round.")),
      generator_loss(metrics.AddGauge("gannet_coordinator_generator_loss",
                                      "Mean loss of the generator in the last round.")),
      real_accuracy(metrics.AddGauge("gannet_coordinator_real_accuracy",
                                     "Share of real images called real in the last round.")),
      fake_accuracy(metrics.AddGauge("gannet_coordinator_fake_accuracy",
                                     "Share of generated images called fake in the last round.")),
      wasted_images(metrics.AddGauge("gannet_coordinator_wasted_images",
                                     "Images of wasted gradients: superseded, "
                                     "closed, or duplicates. Of the whole run.")),
      unit_seconds(metrics.AddGauge("gannet_coordinator_unit_seconds",
                                    "Time of a unit of the last round, from claim to accept: the "
                                    "median.")),
      unit_compute_seconds(metrics.AddGauge("gannet_coordinator_unit_compute_seconds",
                                            "How long a unit of the last round was computed: "
                                            "the median. The rest went into sending, receiving and "
                                            "waiting for images.")),
      round_waiting(metrics.AddGauge("gannet_coordinator_round_waiting_seconds",
                                     "How long the open round has been stalled; 0 while it is "
                                     "not stalled.")),
      image_distance(metrics.AddGauge(
          "gannet_coordinator_image_distance",
          "Of generated images to real ones when last measured (ImageSetDistance); 0: not yet.")),
      best_image_distance(metrics.AddGauge("gannet_coordinator_best_image_distance",
                                           "The least one of the run; 0: none yet.")),
      round_seconds(metrics.AddHistogram("gannet_coordinator_round_seconds",
                                         "From one publication to the next.",
                                         telemetry::DurationBounds())),
      fetch_seconds(metrics.AddHistogram("gannet_coordinator_fetch_seconds",
                                         "Fetching, decoding and checking one gradient.",
                                         telemetry::DurationBounds())),
      aggregate_seconds(metrics.AddHistogram("gannet_coordinator_aggregate_seconds",
                                             "Folding the gradients of one round.",
                                             telemetry::DurationBounds())),
      step_seconds(metrics.AddHistogram("gannet_coordinator_step_seconds",
                                        "The optimizer step of one round.",
                                        telemetry::DurationBounds())),
      encode_seconds(metrics.AddHistogram("gannet_coordinator_encode_seconds",
                                          "Encoding and hashing what one round publishes.",
                                          telemetry::DurationBounds())),
      publish_seconds(metrics.AddHistogram("gannet_coordinator_publish_seconds",
                                           "The transaction that publishes one round.",
                                           telemetry::DurationBounds())),
      sample_seconds(metrics.AddHistogram("gannet_coordinator_sample_seconds",
                                          "Drawing one sample grid.",
                                          telemetry::DurationBounds())) {}

}  // namespace gannet::coordinator
