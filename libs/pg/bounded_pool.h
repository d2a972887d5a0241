#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "libs/base/backoff.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/telemetry/metrics.h"

namespace gannet::pg {

struct BoundedPoolOptions {
  std::string name;  // label of the pool's metrics, one of a few
  int size = 8;      // connections open at once, at most
  absl::Duration acquire_timeout = absl::Seconds(10);
  base::BackoffPolicy reconnect = {absl::Milliseconds(50), absl::Seconds(2), 2.0};
};

// At most `size` connections, made when they are needed and kept while they are good. A connection
// that is not Usable() when it comes back, or when it is to be handed out (a server that was
// restarted has closed it meanwhile), is closed instead. After a failed attempt to connect,
// everybody is told the same failure until a back-off has passed: a database that is down is not
// hammered.
//
// `Connection` needs `bool Usable()`, which must be cheap and must not talk to the server.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: clock and metrics must outlive the pool, and the pool every lease.
template <typename Connection>
class BoundedPool {
 public:
  using Factory = std::function<absl::StatusOr<std::unique_ptr<Connection>>()>;

  // A connection borrowed; goes back when destroyed.
  class Lease {
   public:
    Lease(BoundedPool* pool, std::unique_ptr<Connection> connection)
        : pool_(pool), connection_(std::move(connection)) {}
    Lease(Lease&&) noexcept = default;
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (connection_ != nullptr) pool_->Return(std::move(connection_));
    }

    Connection& operator*() const { return *connection_; }
    Connection* operator->() const { return connection_.get(); }

   private:
    BoundedPool* pool_;
    std::unique_ptr<Connection> connection_;
  };

  BoundedPool(const BoundedPoolOptions& options, Factory factory, base::Clock& clock,
              telemetry::Metrics& metrics)
      : options_(options),
        factory_(std::move(factory)),
        clock_(clock),
        open_gauge_(metrics.AddGauge("gannet_database_connections",
                                     "Open connections to PostgreSQL.", {{"pool", options.name}})),
        wait_seconds_(metrics.AddHistogram("gannet_database_pool_wait_seconds",
                                           "Time a call waited for a connection of the pool.",
                                           telemetry::DurationBounds(), {{"pool", options.name}})),
        backoff_(options.reconnect) {}
  BoundedPool(const BoundedPool&) = delete;
  BoundedPool& operator=(const BoundedPool&) = delete;

  // Returns: UNAVAILABLE - the database cannot be reached; RESOURCE_EXHAUSTED - every connection
  // was in use for too long; whatever else the factory returns.
  absl::StatusOr<Lease> Acquire() {
    const absl::Duration started = clock_.Steady();
    absl::StatusOr<std::unique_ptr<Connection>> connection = Take();
    wait_seconds_.Observe(absl::ToDoubleSeconds(clock_.Steady() - started));
    if (!connection.ok()) return connection.status();
    return Lease(this, *std::move(connection));
  }

 private:
  absl::StatusOr<std::unique_ptr<Connection>> Take() {
    std::vector<std::unique_ptr<Connection>> stale;  // closed outside the lock
    {
      base::MutexLock lock(mu_);
      const absl::Duration deadline = clock_.Steady() + options_.acquire_timeout;
      while (true) {
        while (!idle_.empty()) {
          std::unique_ptr<Connection> connection = std::move(idle_.back());
          idle_.pop_back();
          if (connection->Usable()) return connection;
          stale.push_back(std::move(connection));
          SetOpen(open_ - 1);
        }
        if (open_ < options_.size) break;
        const absl::Duration remaining = deadline - clock_.Steady();
        if (remaining <= absl::ZeroDuration() || !cv_.WaitFor(mu_, remaining)) {
          if (!idle_.empty() || open_ < options_.size) continue;
          return absl::ResourceExhaustedError(absl::StrCat(
              "every connection of the pool was in use, raise database.pool_size: waited ",
              absl::FormatDuration(options_.acquire_timeout), " for one of ", options_.size));
        }
      }
      if (!last_failure_.ok() && clock_.Steady() < next_attempt_) return last_failure_;
      SetOpen(open_ + 1);
    }

    absl::StatusOr<std::unique_ptr<Connection>> made = factory_();
    base::MutexLock lock(mu_);
    last_failure_ = made.status();
    if (made.ok()) {
      backoff_.Reset();
    } else {
      SetOpen(open_ - 1);
      next_attempt_ = clock_.Steady() + backoff_.Next();
      cv_.NotifyOne();
    }
    return made;
  }

  void Return(std::unique_ptr<Connection> connection) {
    const bool usable = connection->Usable();
    {
      base::MutexLock lock(mu_);
      if (usable) {
        idle_.push_back(std::move(connection));
      } else {
        SetOpen(open_ - 1);
      }
      cv_.NotifyOne();
    }
    // A bad connection is closed here, outside the lock.
  }

  void SetOpen(int open) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    open_ = open;
    open_gauge_.Set(open);
  }

  const BoundedPoolOptions options_;
  const Factory factory_;
  base::Clock& clock_;
  telemetry::Gauge& open_gauge_;
  telemetry::Histogram& wait_seconds_;

  base::Mutex mu_;
  base::CondVar cv_;
  std::vector<std::unique_ptr<Connection>> idle_ ABSL_GUARDED_BY(mu_);  // last used last
  int open_ ABSL_GUARDED_BY(mu_) = 0;                                   // idle, lent and being made
  base::Backoff backoff_ ABSL_GUARDED_BY(mu_);
  absl::Status last_failure_ ABSL_GUARDED_BY(mu_);
  absl::Duration next_attempt_ ABSL_GUARDED_BY(mu_);
};

}  // namespace gannet::pg
