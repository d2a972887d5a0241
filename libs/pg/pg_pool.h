#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/pg/bounded_pool.h"
#include "libs/pg/connection_params.h"
#include "libs/pg/operation_metrics.h"
#include "libs/pg/sql_values.h"
#include "libs/telemetry/metrics.h"

namespace gannet::pg {

enum class SqlIsolation { kReadCommitted, kRepeatableRead };

class PgSession;

// A transaction in progress, as the body of PgPool::RunInTransaction sees it.
//
// Thread safety: none.
class SqlTransaction {
 public:
  // Runs one statement. After a failure the transaction is beyond repair: return the status.
  absl::StatusOr<SqlRows> Execute(const SqlStatement& statement, const SqlParams& params);

  // Runs several statements without parameters, for migrations.
  absl::Status ExecuteScript(const std::string& script);

 private:
  friend class PgPool;
  explicit SqlTransaction(PgSession& session) : session_(session) {}

  PgSession& session_;
  bool rerunnable_ = false;  // failed by a serialization failure or a deadlock
};

// Ordinary statements: a bounded pool of libpqxx connections. Statements are prepared once per
// connection. For anything large see PgBulkPool.
//
// Performance: Execute is one round trip.
// Thread safety: all methods may be called from any thread.
// Errors: those of StatusFromSqlState; UNAVAILABLE - the database cannot be reached, nothing was
// changed; UNKNOWN - the connection was lost in the middle of a change (see InDoubt).
class PgPool {
 public:
  PgPool(const PgConnectionParams& params, const BoundedPoolOptions& options, base::Clock& clock,
         telemetry::Metrics& metrics);
  ~PgPool();
  PgPool(const PgPool&) = delete;
  PgPool& operator=(const PgPool&) = delete;

  // Runs one statement in a transaction of its own, again after a serialization failure or
  // deadlock.
  absl::StatusOr<SqlRows> Execute(const SqlStatement& statement, const SqlParams& params);

  // Runs `body` in a transaction: commits when it returns OK, rolls back otherwise. After a
  // serialization failure or deadlock the whole is rerun, up to kMaxReruns times, so the body must
  // have no effects outside. A commit whose answer is lost is UNKNOWN and never rerun.
  absl::Status RunInTransaction(const char* name, SqlIsolation isolation,
                                const std::function<absl::Status(SqlTransaction&)>& body);

  static constexpr int kMaxReruns = 5;

 private:
  absl::StatusOr<SqlRows> ExecuteOnce(const SqlStatement& statement, const SqlParams& params,
                                      bool* rerunnable);
  absl::Status RunOnce(const char* name, SqlIsolation isolation,
                       const std::function<absl::Status(SqlTransaction&)>& body, bool* rerunnable);

  base::Clock& clock_;
  OperationMetrics operation_metrics_;
  std::unique_ptr<BoundedPool<PgSession>> pool_;
};

}  // namespace gannet::pg
