#include "libs/store/run_signals.h"

#include <algorithm>

namespace gannet::store {

RunSignals::Entry& RunSignals::EntryOf(base::RunId run) {
  std::unique_ptr<Entry>& entry = entries_[run];
  if (entry == nullptr) entry = std::make_unique<Entry>();
  return *entry;
}

void RunSignals::Notify(base::RunId run) {
  base::MutexLock lock(mu_);
  EntryOf(run).signal.Notify();
}

void RunSignals::NotifyAll() {
  base::MutexLock lock(mu_);
  for (const auto& [run, entry] : entries_) entry->signal.Notify();
}

bool RunSignals::Knows(base::RunId run) {
  base::MutexLock lock(mu_);
  return entries_.count(run) != 0;
}

void RunSignals::Await(base::RunId run, absl::Duration timeout) {
  Entry* entry = nullptr;
  uint64_t seen = 0;
  {
    base::MutexLock lock(mu_);
    entry = &EntryOf(run);
    seen = entry->seen;
  }
  const uint64_t generation = entry->signal.AwaitPast(seen, timeout);
  base::MutexLock lock(mu_);
  entry->seen = std::max(entry->seen, generation);
}

}  // namespace gannet::store
