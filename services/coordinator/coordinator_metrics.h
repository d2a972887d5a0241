#pragma once

#include "libs/telemetry/metrics.h"

namespace gannet::coordinator {

// The coordinator's metrics, as handles.
struct CoordinatorMetrics {
  explicit CoordinatorMetrics(telemetry::Metrics& metrics);

  telemetry::Counter& rounds;
  telemetry::Counter& images;
  telemetry::Counter& rejected_gradients;
  telemetry::Counter& reaped_leases;
  telemetry::Counter& samples_skipped;
  telemetry::Counter& early_rounds;
  telemetry::Counter& stale_gradients;
  telemetry::Gauge& leader;
  telemetry::Gauge& database_up;
  telemetry::Gauge& run_paused;
  telemetry::Gauge& units_ready;
  telemetry::Gauge& units_leased;
  telemetry::Gauge& units_done;
  telemetry::Gauge& units_failed;
  telemetry::Gauge& workers;
  telemetry::Gauge& weights_version;
  telemetry::Gauge& run_rounds;
  telemetry::Gauge& images_per_second;
  telemetry::Gauge& discriminator_loss;
  telemetry::Gauge& generator_loss;
  telemetry::Gauge& real_accuracy;
  telemetry::Gauge& fake_accuracy;
  telemetry::Gauge& wasted_images;
  telemetry::Gauge& unit_seconds;
  telemetry::Gauge& unit_compute_seconds;
  telemetry::Gauge& round_waiting;
  telemetry::Gauge& image_distance;
  telemetry::Gauge& best_image_distance;
  telemetry::Histogram& round_seconds;
  telemetry::Histogram& fetch_seconds;
  telemetry::Histogram& aggregate_seconds;
  telemetry::Histogram& step_seconds;
  telemetry::Histogram& encode_seconds;
  telemetry::Histogram& publish_seconds;
  telemetry::Histogram& sample_seconds;
};

}  // namespace gannet::coordinator
