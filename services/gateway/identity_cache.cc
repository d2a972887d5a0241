#include "services/gateway/identity_cache.h"

#include <algorithm>

#include "libs/base/sha256.h"

namespace gannet::gateway {

bool IdentityCache::Contains(const exchange::WorkerIdentity& worker, base::RunId run) {
  const std::string secret_sha256 = base::Sha256(worker.secret);
  const absl::Duration now = clock_.Steady();
  base::MutexLock lock(mu_);
  const auto found = entries_.find(Key(run, worker.id));
  if (found == entries_.end()) return false;
  const Entry& entry = found->second;
  return entry.secret_sha256 == secret_sha256 && entry.incarnation == worker.incarnation &&
         now - entry.remembered_at < lifetime_;
}

void IdentityCache::Insert(const exchange::WorkerIdentity& worker, base::RunId run) {
  Entry entry{.secret_sha256 = base::Sha256(worker.secret),
              .incarnation = worker.incarnation,
              .remembered_at = clock_.Steady()};
  base::MutexLock lock(mu_);
  entries_[Key(run, worker.id)] = std::move(entry);
  if (entries_.size() > max_workers_) Trim();
}

void IdentityCache::Erase(const base::WorkerId& worker, base::RunId run) {
  base::MutexLock lock(mu_);
  entries_.erase(Key(run, worker));
}

void IdentityCache::Clear() {
  base::MutexLock lock(mu_);
  entries_.clear();
}

void IdentityCache::Trim() {
  // Those that have expired first; all of them go at once, so that this stays rare.
  const absl::Duration now = clock_.Steady();
  std::erase_if(entries_,
                [&](const auto& item) { return now - item.second.remembered_at >= lifetime_; });
  while (entries_.size() > max_workers_) {
    entries_.erase(
        std::min_element(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
          return a.second.remembered_at < b.second.remembered_at;
        }));
  }
}

}  // namespace gannet::gateway
