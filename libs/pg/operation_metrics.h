#pragma once

#include <map>

#include "absl/time/time.h"
#include "libs/base/mutex.h"
#include "libs/telemetry/metrics.h"

namespace gannet::pg {

// Time of every named operation on the database.
//
// Thread safety: all methods may be called from any thread.
class OperationMetrics {
 public:
  explicit OperationMetrics(telemetry::Metrics& metrics) : metrics_(metrics) {}

  // `name` is a literal: it is remembered by address.
  void Observe(const char* name, absl::Duration elapsed);

 private:
  telemetry::Metrics& metrics_;
  base::Mutex mu_;
  std::map<const char*, telemetry::Histogram*> histograms_ ABSL_GUARDED_BY(mu_);
};

}  // namespace gannet::pg
