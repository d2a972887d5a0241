#pragma once

#include <map>
#include <utility>

#include "libs/base/mutex.h"
#include "libs/base/typed_id.h"

namespace gannet {

// Places for something that a worker may do a few times at a time, and all workers together more
// often. Only for workers whose identity has been checked: a stranger must not fill the places of
// somebody else.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: must outlive every Slot taken from it.
class WorkerSlots {
 public:
  using Key = std::pair<RunId, WorkerId>;

  // A place, until destroyed or moved from.
  class Slot {
   public:
    Slot() = default;
    Slot(Slot&& other) noexcept
        : slots_(std::exchange(other.slots_, nullptr)), key_(std::move(other.key_)) {}
    Slot& operator=(Slot&& other) noexcept {
      std::swap(slots_, other.slots_);
      std::swap(key_, other.key_);
      return *this;
    }
    ~Slot() {
      if (slots_ != nullptr) slots_->Return(key_);
    }

   private:
    friend class WorkerSlots;
    Slot(WorkerSlots& slots, Key key) : slots_(&slots), key_(std::move(key)) {}

    WorkerSlots* slots_ = nullptr;
    Key key_;
  };

  enum class Answer { kTaken, kWorkerHasAll, kFull };

  WorkerSlots(int per_worker, int total) : per_worker_(per_worker), total_(total) {}

  // Takes a place into `slot`, or says what is full.
  Answer TryTake(const Key& key, Slot& slot) {
    {
      MutexLock lock(mu_);
      const auto found = taken_.find(key);
      if (found != taken_.end() && found->second >= per_worker_) return Answer::kWorkerHasAll;
      if (taken_total_ >= total_) return Answer::kFull;
      ++taken_[key];
      ++taken_total_;
    }
    slot = Slot(*this, key);
    return Answer::kTaken;
  }

 private:
  void Return(const Key& key) {
    MutexLock lock(mu_);
    const auto found = taken_.find(key);
    if (--found->second == 0) taken_.erase(found);
    --taken_total_;
  }

  const int per_worker_;
  const int total_;
  Mutex mu_;
  std::map<Key, int> taken_ ABSL_GUARDED_BY(mu_);
  int taken_total_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace gannet
