#pragma once

#include "libs/telemetry/metrics.h"

namespace gannet::coordinator {

// The coordinator's metrics, as handles.
struct CoordinatorMetrics {
  explicit CoordinatorMetrics(Metrics& metrics);

  Counter& rounds;
  Counter& images;
  Counter& rejected_gradients;
  Counter& reaped_leases;
  Counter& samples_skipped;
  Counter& early_rounds;
  Counter& stale_gradients;
  Gauge& leader;
  Gauge& database_up;
  Gauge& run_paused;
  Gauge& units_ready;
  Gauge& units_leased;
  Gauge& units_done;
  Gauge& units_failed;
  Gauge& workers;
  Gauge& weights_version;
  Gauge& run_rounds;
  Gauge& images_per_second;
  Gauge& discriminator_loss;
  Gauge& generator_loss;
  Gauge& real_accuracy;
  Gauge& fake_accuracy;
  Gauge& wasted_images;
  Gauge& unit_seconds;
  Gauge& unit_compute_seconds;
  Gauge& round_waiting;
  Gauge& image_distance;
  Gauge& best_image_distance;
  Histogram& round_seconds;
  Histogram& fetch_seconds;
  Histogram& aggregate_seconds;
  Histogram& step_seconds;
  Histogram& encode_seconds;
  Histogram& publish_seconds;
  Histogram& sample_seconds;
};

}  // namespace gannet::coordinator
