#pragma once

#include <map>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/base/typed_id.h"
#include "libs/exchange/exchange.h"

namespace gannet::gateway {

// Caches for a short while that the database authenticated a worker, so that a fetch of cached
// weights and the header of a submission need not ask again. Only ever used ahead of a call that
// asks itself, or that reads: a worker that was removed, or taken over by way of another gateway,
// may read weights for that while, nothing more.
//
// A newer incarnation that is remembered takes the place of the older one. Holds the SHA-256 of
// secrets, not secrets.
//
// Thread safety: all methods may be called from any thread.
class IdentityCache {
 public:
  // Keeps at most `max_workers`, forgetting the oldest.
  IdentityCache(base::Clock& clock, absl::Duration lifetime, size_t max_workers)
      : clock_(clock), lifetime_(lifetime), max_workers_(max_workers) {}

  // Whether exactly this identity was remembered less than the lifetime ago.
  bool Contains(const exchange::WorkerIdentity& worker, base::RunId run);

  // The database has just accepted this identity.
  void Insert(const exchange::WorkerIdentity& worker, base::RunId run);

  // The database refuses this worker now.
  void Erase(const base::WorkerId& worker, base::RunId run);

  // Forgets everything.
  void Clear();

 private:
  using Key = std::pair<base::RunId, base::WorkerId>;
  struct Entry {
    std::string secret_sha256;
    base::Incarnation incarnation;
    absl::Duration remembered_at;
  };

  void Trim() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  base::Clock& clock_;
  const absl::Duration lifetime_;
  const size_t max_workers_;
  base::Mutex mu_;
  std::map<Key, Entry> entries_ ABSL_GUARDED_BY(mu_);
};

}  // namespace gannet::gateway
