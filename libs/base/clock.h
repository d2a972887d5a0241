#pragma once

#include "absl/time/time.h"

namespace gannet::base {

// Where time comes from. Passed by reference to whatever needs it, so that tests move it by hand.
// Leases are not judged by it: their clock is the database's.
//
// Thread safety: all methods may be called from any thread.
class Clock {
 public:
  virtual ~Clock() = default;

  // Wall-clock time, for logs and records. May jump.
  virtual absl::Time Now() = 0;

  // Time since some fixed instant of this process. Never goes back; for intervals and deadlines.
  virtual absl::Duration Steady() = 0;
};

// The machine's clock.
class RealClock final : public Clock {
 public:
  absl::Time Now() override;
  absl::Duration Steady() override;
};

}  // namespace gannet::base
