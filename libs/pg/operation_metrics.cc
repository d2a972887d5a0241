#include "libs/pg/operation_metrics.h"

namespace gannet::pg {

void OperationMetrics::Observe(const char* name, absl::Duration elapsed) {
  telemetry::Histogram* histogram = nullptr;
  {
    base::MutexLock lock(mu_);
    telemetry::Histogram*& known = histograms_[name];
    if (known == nullptr) {
      known = &metrics_.AddHistogram(
          "gannet_database_operation_seconds",
          "Time of one transaction on PostgreSQL, without the wait for a connection.",
          telemetry::DurationBounds(), {{"operation", name}});
    }
    histogram = known;
  }
  histogram->Observe(absl::ToDoubleSeconds(elapsed));
}

}  // namespace gannet::pg
