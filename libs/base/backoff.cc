#include "libs/base/backoff.h"

#include <algorithm>

namespace gannet::base {

absl::Duration Backoff::Next() {
  current_ = current_ == absl::ZeroDuration() ? policy_.initial : current_ * policy_.multiplier;
  current_ = std::min(current_, policy_.max);
  // xorshift64 (Marsaglia 2003): jitter needs no better.
  state_ ^= state_ << 13;
  state_ ^= state_ >> 7;
  state_ ^= state_ << 17;
  const double jitter = 0.8 + 0.4 * static_cast<double>(state_ >> 11) * 0x1.0p-53;
  return current_ * jitter;
}

bool IsRetryable(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kDeadlineExceeded:
      return true;
    default:
      return false;
  }
}

}  // namespace gannet::base
