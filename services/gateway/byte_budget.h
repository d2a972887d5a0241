#pragma once

#include <cstdint>
#include <utility>

#include "libs/base/mutex.h"
#include "libs/telemetry/metrics.h"

namespace gannet::gateway {

// A number of bytes that all uploads in progress may hold together.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: must outlive every Hold taken from it.
class ByteBudget {
 public:
  // Holds bytes until destroyed or moved from.
  class Hold {
   public:
    Hold() = default;
    Hold(Hold&& other) noexcept
        : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    Hold& operator=(Hold&& other) noexcept {
      std::swap(budget_, other.budget_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Hold() {
      if (budget_ != nullptr) budget_->Return(bytes_);
    }

    // Whether it holds anything.
    explicit operator bool() const { return budget_ != nullptr; }

    // Holds so many bytes in all from now on; or, when there is no room for more, what it held
    // before, and false. Only for one that holds.
    bool GrowTo(int64_t bytes) {
      if (bytes <= bytes_) return true;
      if (!budget_->TryTake(bytes - bytes_)) return false;
      bytes_ = bytes;
      return true;
    }

   private:
    friend class ByteBudget;
    Hold(ByteBudget& budget, int64_t bytes) : budget_(&budget), bytes_(bytes) {}

    ByteBudget* budget_ = nullptr;
    int64_t bytes_ = 0;
  };

  // `held` is kept at the number of bytes held.
  ByteBudget(int64_t limit_bytes, telemetry::Gauge& held)
      : limit_bytes_(limit_bytes), held_gauge_(held) {}

  // Holds `bytes`, or nothing when they exceed what is left. Never waits.
  Hold TryHold(int64_t bytes) { return TryTake(bytes) ? Hold(*this, bytes) : Hold(); }

  // Whether so many bytes are left now. Reserves nothing.
  bool HasRoomFor(int64_t bytes) {
    base::MutexLock lock(mu_);
    return bytes <= limit_bytes_ - held_bytes_;
  }

 private:
  bool TryTake(int64_t bytes) {
    base::MutexLock lock(mu_);
    if (bytes > limit_bytes_ - held_bytes_) return false;
    held_bytes_ += bytes;
    held_gauge_.Set(static_cast<double>(held_bytes_));
    return true;
  }

  void Return(int64_t bytes) {
    base::MutexLock lock(mu_);
    held_bytes_ -= bytes;
    held_gauge_.Set(static_cast<double>(held_bytes_));
  }

  const int64_t limit_bytes_;
  telemetry::Gauge& held_gauge_;
  base::Mutex mu_;
  int64_t held_bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace gannet::gateway
