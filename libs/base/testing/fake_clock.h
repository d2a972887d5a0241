#pragma once

#include "libs/base/clock.h"
#include "libs/base/mutex.h"

namespace gannet::base {

// A clock that stands still until a test advances it.
//
// Thread safety: all methods may be called from any thread.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(absl::Time start = absl::FromUnixSeconds(1'000'000'000)) : now_(start) {}

  absl::Time Now() override;
  absl::Duration Steady() override;

  void Advance(absl::Duration by);

 private:
  Mutex mu_;
  absl::Time now_ ABSL_GUARDED_BY(mu_);
  absl::Duration steady_ ABSL_GUARDED_BY(mu_) = absl::ZeroDuration();
};

}  // namespace gannet::base
