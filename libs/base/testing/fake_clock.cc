#include "libs/base/testing/fake_clock.h"

namespace gannet::base {

absl::Time FakeClock::Now() {
  MutexLock lock(mu_);
  return now_;
}

absl::Duration FakeClock::Steady() {
  MutexLock lock(mu_);
  return steady_;
}

void FakeClock::Advance(absl::Duration by) {
  MutexLock lock(mu_);
  now_ += by;
  steady_ += by;
}

}  // namespace gannet::base
