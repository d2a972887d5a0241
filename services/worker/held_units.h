#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <vector>

#include "libs/base/mutex.h"
#include "libs/base/typed_id.h"
#include "libs/exchange/exchange.h"

namespace gannet::worker {

// A lease as the worker's threads share it: the computation writes progress, the heartbeat reads it
// and may ask for the unit to be dropped.
struct HeldUnit {
  base::UnitId unit;
  base::Attempt attempt;
  std::atomic<int> micro_batches_done{0};
  std::atomic<bool> dropped{false};
};

// The leases this worker holds now.
//
// Thread safety: all methods may be called from any thread.
class HeldUnits {
 public:
  std::shared_ptr<HeldUnit> Add(base::UnitId unit, base::Attempt attempt);
  // Only this lease: the unit may be held again, under another claim, or the same one anew.
  void Remove(const HeldUnit& held);
  void Clear();

  std::vector<exchange::UnitProgress> Progress();

  // Marks the units as dropped.
  void Drop(const std::vector<base::UnitId>& units);
  void DropAll();

 private:
  base::Mutex mu_;
  std::map<base::UnitId, std::shared_ptr<HeldUnit>> units_ ABSL_GUARDED_BY(mu_);
};

}  // namespace gannet::worker
