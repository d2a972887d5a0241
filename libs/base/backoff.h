#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace gannet::base {

// How long to wait between repeats.
struct BackoffPolicy {
  absl::Duration initial = absl::Milliseconds(100);
  absl::Duration max = absl::Seconds(10);
  double multiplier = 2.0;
};

// Exponential back-off with full-range jitter of +-20 %, drawn from a seed so that tests repeat.
//
// Thread safety: none; one per loop.
class Backoff {
 public:
  explicit Backoff(BackoffPolicy policy, uint64_t seed = 1) : policy_(policy), state_(seed | 1) {}

  // The wait before the next repeat.
  absl::Duration Next();

  // Starts over, after a success.
  void Reset() { current_ = absl::ZeroDuration(); }

 private:
  BackoffPolicy policy_;
  absl::Duration current_ = absl::ZeroDuration();
  uint64_t state_;
};

// Whether repeating the same call later can help: UNAVAILABLE, ABORTED, RESOURCE_EXHAUSTED or
// DEADLINE_EXCEEDED.
bool IsRetryable(const absl::Status& status);

}  // namespace gannet::base
