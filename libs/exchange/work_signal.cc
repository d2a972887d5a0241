#include "libs/exchange/work_signal.h"

#include "libs/base/clock.h"

namespace gannet::exchange {

void WorkSignal::Notify() {
  base::MutexLock lock(mu_);
  ++generation_;
  cv_.NotifyAll();
}

uint64_t WorkSignal::generation() {
  base::MutexLock lock(mu_);
  return generation_;
}

uint64_t WorkSignal::AwaitPast(uint64_t generation, absl::Duration timeout) {
  base::RealClock clock;
  const absl::Duration end = clock.Steady() + timeout;
  base::MutexLock lock(mu_);
  while (generation_ == generation) {
    const absl::Duration remaining = end - clock.Steady();
    if (remaining <= absl::ZeroDuration()) break;
    cv_.WaitFor(mu_, remaining);
  }
  return generation_;
}

}  // namespace gannet::exchange
