#pragma once

#include <array>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/domain/refusal_reason.h"
#include "libs/telemetry/metrics.h"

namespace gannet::gateway {

// Counts refusals (gannet_gateway_refused_total) and says which reasons are those of the last
// minute (gannet_gateway_refusing).
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: metrics and clock must outlive it.
class Refusals {
 public:
  // So long after the last refusal a gateway still counts as refusing.
  static constexpr absl::Duration kNow = absl::Minutes(1);

  Refusals(telemetry::Metrics& metrics, base::Clock& clock);

  void Count(domain::RefusalReason reason);
  // Counts, and returns the status: `return refusals.Refuse(reason, absl::…Error(…));`
  absl::Status Refuse(domain::RefusalReason reason, absl::Status status) {
    Count(reason);
    return status;
  }

  // Sets the gauges to what is true now. Call it from time to time: nothing else takes them back.
  void Update();

  // The reasons of the last minute.
  std::vector<domain::RefusalReason> Current();

 private:
  struct Series {
    telemetry::Counter* refused = nullptr;
    telemetry::Gauge* refusing = nullptr;
    absl::Duration last = -absl::InfiniteDuration();  // steady
  };

  bool IsCurrent(const Series& series) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return clock_.Steady() - series.last < kNow;
  }

  base::Clock& clock_;
  base::Mutex mu_;
  std::array<Series, static_cast<size_t>(domain::RefusalReason::kLast) + 1> series_
      ABSL_GUARDED_BY(mu_);
};

}  // namespace gannet::gateway
