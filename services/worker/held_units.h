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
  UnitId unit;
  Attempt attempt;
  std::atomic<int> micro_batches_done{0};
  std::atomic<bool> dropped{false};
};

// The leases this worker holds now.
//
// Thread safety: all methods may be called from any thread.
class HeldUnits {
 public:
  std::shared_ptr<HeldUnit> Add(UnitId unit, Attempt attempt);
  // Only this lease: the unit may be held again, under another claim, or the same one anew.
  void Remove(const HeldUnit& held);
  void Clear();

  std::vector<UnitProgress> Progress();

  // Marks the units as dropped.
  void Drop(const std::vector<UnitId>& units);
  void DropAll();

 private:
  Mutex mu_;
  std::map<UnitId, std::shared_ptr<HeldUnit>> units_ ABSL_GUARDED_BY(mu_);
};

}  // namespace gannet::worker
