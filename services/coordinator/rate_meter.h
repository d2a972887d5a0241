#pragma once

#include <cstdint>
#include <deque>

#include "absl/time/time.h"
#include "libs/base/mutex.h"

namespace gannet::coordinator {

// Images and rounds a second over the last minute or so.
//
// Thread safety: all methods may be called from any thread.
class RateMeter {
 public:
  // Starts counting at `now` (steady time), from nothing.
  void Start(absl::Duration now);

  // Counts a round that ended at `now`.
  void AddRound(absl::Duration now, int64_t images);

  // Zero before the first round. Falls while no round ends.
  double ImagesPerSecond(absl::Duration now);
  double RoundsPerSecond(absl::Duration now);

 private:
  struct Point {
    absl::Duration at;
    int64_t images = 0;  // since the start
    int64_t rounds = 0;
  };

  double PerSecond(absl::Duration now, int64_t Point::*count);

  base::Mutex mu_;
  std::deque<Point> points_ ABSL_GUARDED_BY(mu_);  // oldest first; empty before Start
};

}  // namespace gannet::coordinator
