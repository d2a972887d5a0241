#pragma once

#include <map>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/periodic_runner.h"
#include "libs/pg/pg_pool.h"
#include "libs/telemetry/log.h"

namespace gannet::store {

// Ends what no setting of the database can: a worker in direct mode may lift every timeout of its
// own session, and then leave a transaction open behind a call, in which it holds its unit, or the
// turn of accepts, against everybody. Looks once a second (more often with a small limit) from a
// thread of its own, over a connection of its own, since those of the pool may all wait for such a
// lock.
//
//   - A session of a role of workers that is seen in the same transaction for longer than `limit`
//     while it holds rows of runs, units or workers, and waits for nobody, is ended. Our own
//     programs hold them for milliseconds; a gradient that is being sent holds none of them.
//   - Of sessions of one such role those beyond its CONNECTION LIMIT are ended, or beyond half of
//     max_connections where it has none.
//
// Ownership and lifetime: pool, clock and logger must outlive it.
class SessionGuard {
 public:
  SessionGuard(pg::PgPool& pool, base::Clock& clock, telemetry::Logger& logger,
               absl::Duration limit);

 private:
  using Transaction = std::pair<int64_t, std::string>;  // process, virtual transaction

  void Check();
  absl::Status EndSessions();

  pg::PgPool& pool_;
  base::Clock& clock_;
  telemetry::Logger& logger_;
  const absl::Duration limit_;
  std::map<Transaction, absl::Duration> seen_;  // since when, on the steady clock
  std::string last_failure_;
  base::PeriodicRunner runner_;  // last: it calls into the others
};

}  // namespace gannet::store
