#pragma once

#include <map>
#include <string>
#include <utility>

#include "libs/base/mutex.h"
#include "libs/base/typed_id.h"

namespace gannet::gateway {

// Places for something that an owner may do a few times at a time, and all owners together more
// often.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: must outlive every Slot taken from it.
template <typename Owner>
class Slots {
 public:
  using Key = Owner;

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
    friend class Slots;
    Slot(Slots& slots, Key key) : slots_(&slots), key_(std::move(key)) {}

    Slots* slots_ = nullptr;
    Key key_;
  };

  enum class Answer { kTaken, kOwnerHasAll, kFull };

  Slots(int per_owner, int total) : per_owner_(per_owner), total_(total) {}

  // Takes a place into `slot`, or says what is full.
  Answer TryTake(const Key& key, Slot& slot) {
    {
      base::MutexLock lock(mu_);
      const auto found = taken_.find(key);
      if (found != taken_.end() && found->second >= per_owner_) return Answer::kOwnerHasAll;
      if (taken_total_ >= total_) return Answer::kFull;
      ++taken_[key];
      ++taken_total_;
    }
    slot = Slot(*this, key);
    return Answer::kTaken;
  }

 private:
  void Return(const Key& key) {
    base::MutexLock lock(mu_);
    const auto found = taken_.find(key);
    if (--found->second == 0) taken_.erase(found);
    --taken_total_;
  }

  const int per_owner_;
  const int total_;
  base::Mutex mu_;
  std::map<Key, int> taken_ ABSL_GUARDED_BY(mu_);
  int taken_total_ ABSL_GUARDED_BY(mu_) = 0;
};

// Only for workers whose identity has been checked: a stranger must not fill the places of somebody
// else.
using WorkerSlots = Slots<std::pair<base::RunId, base::WorkerId>>;

// By JoinAddressOf: for whoever comes, before anything is known of them.
using AddressSlots = Slots<std::string>;

}  // namespace gannet::gateway
