#pragma once

#include <array>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/telemetry/metrics.h"

namespace gannet {

// Why a gateway has refused something, or cut it short, to protect itself and the others.
enum class RefusalReason {
  kUploadSize,        // a gradient that is announced with a size that the run's cannot have
  kUploadEmptyChunk,  // a chunk without a byte
  kUploadsOfWorker,   // more uploads at a time than a worker may have
  kUploads,           // more uploads at a time than the gateway takes
  kUploadBytes,       // no room for the bytes that have come
  kUploadSlow,        // cut: too slow, or standing still
  kFetchesOfWorker,   // more transfers of weights at a time than a worker may have
  kFetches,           // more of them than the gateway sends
  kFetchSlow,         // cut: its reader is too slow, or does not read
  kClaimsOfWorker,    // more waiting claims than a worker may have
  kClaims,            // more waiting claims than the gateway keeps
  kJoinsOfAddress,    // new workers come too fast from one address
  kJoins,             // new workers come too fast altogether
  kWorkersOfRun,      // the run has as many workers as this gateway lets in
  kCallsOfAddress,    // more calls from one address wait for the database than may
  kCalls,             // more calls wait for it than the gateway keeps
  kLast = kCalls
};

// The value of the label "reason".
absl::string_view RefusalLabel(RefusalReason reason);

// Counts refusals (gannet_gateway_refused_total) and says which reasons are those of the last
// minute (gannet_gateway_refusing).
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: metrics and clock must outlive it.
class Refusals {
 public:
  // So long after the last refusal a gateway still counts as refusing.
  static constexpr absl::Duration kNow = absl::Minutes(1);

  Refusals(Metrics& metrics, Clock& clock);

  void Count(RefusalReason reason);
  // Counts, and returns the status: `return refusals.Refuse(reason, absl::…Error(…));`
  absl::Status Refuse(RefusalReason reason, absl::Status status) {
    Count(reason);
    return status;
  }

  // Sets the gauges to what is true now. Call it from time to time: nothing else takes them back.
  void Update();

  // The reasons of the last minute.
  std::vector<RefusalReason> Current();

 private:
  struct Series {
    Counter* refused = nullptr;
    Gauge* refusing = nullptr;
    absl::Duration last = -absl::InfiniteDuration();  // steady
  };

  bool IsCurrent(const Series& series) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return clock_.Steady() - series.last < kNow;
  }

  Clock& clock_;
  Mutex mu_;
  std::array<Series, static_cast<size_t>(RefusalReason::kLast) + 1> series_ ABSL_GUARDED_BY(mu_);
};

}  // namespace gannet
