#include "services/gateway/weights_cache.h"

#include <algorithm>
#include <iterator>
#include <optional>

namespace gannet::gateway {
namespace {

constexpr int kMaxVersions = 4;  // of a run

// Whether the status is about who asked rather than about what was asked for.
bool IsAboutTheCaller(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnauthenticated ||
         status.code() == absl::StatusCode::kFailedPrecondition;
}

int64_t BytesOf(const exchange::Payload& payload) {
  return static_cast<int64_t>(payload.bytes->size());
}

}  // namespace

void WeightsCache::Get(const Key& key, Load load, const Done& done) {
  std::optional<exchange::Payload> found;
  {
    base::MutexLock lock(mu_);
    const auto entry = std::find_if(entries_.begin(), entries_.end(),
                                    [&](const Entry& e) { return e.key == key; });
    if (entry != entries_.end()) {
      entries_.splice(entries_.begin(), entries_, entry);
      found = entry->payload;
    } else {
      std::vector<Waiter>& waiters = reads_[key];
      waiters.push_back({std::move(load), done});
      if (waiters.size() > 1) {
        metrics_.weights_cache_shared.Increment();
        return;
      }
    }
  }
  if (found.has_value()) {
    metrics_.weights_cache_hits.Increment();
    done(*std::move(found));
    return;
  }
  metrics_.weights_cache_misses.Increment();
  if (const absl::Status queued = pool_.Run([this, key] { Read(key); }); !queued.ok()) {
    std::vector<Waiter> waiters;
    {
      base::MutexLock lock(mu_);
      waiters = std::move(reads_[key]);
      reads_.erase(key);
    }
    for (Waiter& waiter : waiters) waiter.done(queued);
  }
}

void WeightsCache::Read(const Key& key) {
  while (true) {
    Load load;
    int clears_before = 0;
    {
      base::MutexLock lock(mu_);
      load = reads_[key].front().load;
      clears_before = clears_;
    }
    absl::StatusOr<exchange::Payload> payload = load();
    const bool callers_fault = !payload.ok() && IsAboutTheCaller(payload.status());
    std::vector<Waiter> answered;
    bool more = false;
    {
      base::MutexLock lock(mu_);
      std::vector<Waiter>& waiters = reads_[key];
      if (callers_fault && waiters.size() > 1) {
        answered.push_back(std::move(waiters.front()));
        waiters.erase(waiters.begin());
        more = true;
      } else {
        answered = std::move(waiters);
        reads_.erase(key);
        if (payload.ok() && clears_ == clears_before) Insert(key, *payload);
      }
    }
    for (Waiter& waiter : answered) waiter.done(payload);
    if (!more) return;
  }
}

void WeightsCache::Insert(const Key& key, const exchange::Payload& payload) {
  // Without a checksum nobody can tell later whether these are still the ones of that number.
  if (key.sha256.empty() || BytesOf(payload) > max_bytes_) return;
  entries_.push_front({key, payload});
  bytes_ += BytesOf(payload);
  int versions = 0;
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const auto current = entry++;
    if (current->key.run == key.run && ++versions > kMaxVersions) Drop(current);
  }
  while (bytes_ > max_bytes_) Drop(std::prev(entries_.end()));
}

void WeightsCache::Drop(std::list<Entry>::iterator entry) {
  bytes_ -= BytesOf(entry->payload);
  entries_.erase(entry);
}

void WeightsCache::Clear() {
  base::MutexLock lock(mu_);
  entries_.clear();
  bytes_ = 0;
  ++clears_;
}

}  // namespace gannet::gateway
