#pragma once

#include <functional>
#include <list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/mutex.h"
#include "libs/base/typed_id.h"
#include "libs/exchange/exchange.h"
#include "services/gateway/gateway_metrics.h"
#include "services/gateway/task_pool.h"

namespace gannet::gateway {

// Published weights in memory, the least recently used ones making room, and one read of the
// database for all who ask for the same version at the same time: when a round is published, a
// class of thirty asks for 25 MB at once.
//
// Of a run it keeps a few versions only: workers ask for the current one, and hardly ever for the
// one before.
//
// What has one key never changes: a version's number may come again (a database that has gone
// back), but then with another checksum. Weights may be served a little longer than the database
// keeps them.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: the pool must have stopped before it is destroyed.
class WeightsCache {
 public:
  struct Key {
    base::RunId run;
    base::WeightsVersion version;
    std::string sha256;  // empty: whichever have that number

    friend auto operator<=>(const Key&, const Key&) = default;
  };
  using Load = std::function<absl::StatusOr<exchange::Payload>()>;
  using Done = std::function<void(absl::StatusOr<exchange::Payload>)>;

  // Keeps at most `max_bytes` of payloads; zero keeps none and still shares reads.
  WeightsCache(TaskPool& pool, int64_t max_bytes, GatewayMetrics& metrics)
      : pool_(pool), max_bytes_(max_bytes), metrics_(metrics) {}

  // Calls `done` once: at once from memory, or after `load` (the caller's own, or that of whoever
  // asked first) from a thread of the pool. An error that is about the one who loads (its identity)
  // goes to that one only; the next in line loads then. The answer is RESOURCE_EXHAUSTED when the
  // pool's queue is full.
  void Get(const Key& key, Load load, const Done& done);

  // Forgets everything; reads in progress are answered but not kept.
  void Clear();

 private:
  struct Waiter {
    Load load;
    Done done;
  };
  struct Entry {
    Key key;
    exchange::Payload payload;
  };

  void Read(const Key& key);
  void Insert(const Key& key, const exchange::Payload& payload) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Drop(std::list<Entry>::iterator entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  TaskPool& pool_;
  const int64_t max_bytes_;
  GatewayMetrics& metrics_;
  base::Mutex mu_;
  std::map<Key, std::vector<Waiter>> reads_ ABSL_GUARDED_BY(mu_);  // in progress
  std::list<Entry> entries_ ABSL_GUARDED_BY(mu_);                  // most recently used first
  int64_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  int clears_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace gannet::gateway
