#include "libs/pg/pg_pool.h"

#include "libs/base/failpoint.h"
#include "libs/pg/pqxx_session.h"

namespace gannet::pg {
namespace {

BoundedPool<PgSession>::Factory SessionFactory(const PgConnectionParams& params) {
  return [params]() -> absl::StatusOr<std::unique_ptr<PgSession>> {
    try {
      return std::make_unique<PgSession>(params.conninfo);
    } catch (...) {
      return ConnectFailure(params.description, CurrentPqxxFailure().status.message());
    }
  };
}

}  // namespace

absl::StatusOr<SqlRows> SqlTransaction::Execute(const SqlStatement& statement,
                                                const SqlParams& params) {
  try {
    base::Failpoint(statement.name, "before");
    SqlRows rows = session_.Execute(statement, params);
    base::Failpoint(statement.name, "after");
    return rows;
  } catch (...) {
    PqxxFailure failure = CurrentPqxxFailure();
    if (failure.connection_lost) session_.MarkLost();
    rerunnable_ = failure.rerunnable;
    return failure.status;
  }
}

absl::Status SqlTransaction::ExecuteScript(const std::string& script) {
  try {
    session_.ExecuteScript(script);
    return absl::OkStatus();
  } catch (...) {
    PqxxFailure failure = CurrentPqxxFailure();
    if (failure.connection_lost) session_.MarkLost();
    rerunnable_ = failure.rerunnable;
    return failure.status;
  }
}

PgPool::PgPool(const PgConnectionParams& params, const BoundedPoolOptions& options,
               base::Clock& clock, telemetry::Metrics& metrics)
    : clock_(clock),
      operation_metrics_(metrics),
      pool_(std::make_unique<BoundedPool<PgSession>>(options, SessionFactory(params), clock,
                                                     metrics)) {}

PgPool::~PgPool() = default;

absl::StatusOr<SqlRows> PgPool::Execute(const SqlStatement& statement, const SqlParams& params) {
  for (int rerun = 0;; ++rerun) {
    bool rerunnable = false;
    absl::StatusOr<SqlRows> rows = ExecuteOnce(statement, params, &rerunnable);
    if (!rerunnable || rerun == kMaxReruns) return rows;
  }
}

absl::StatusOr<SqlRows> PgPool::ExecuteOnce(const SqlStatement& statement, const SqlParams& params,
                                            bool* rerunnable) {
  absl::StatusOr<BoundedPool<PgSession>::Lease> lease = pool_->Acquire();
  if (!lease.ok()) return lease.status();
  PgSession& session = **lease;
  const absl::Duration started = clock_.Steady();
  absl::StatusOr<SqlRows> rows = SqlRows();
  try {
    session.BeginAutocommit();
    base::Failpoint(statement.name, "before");
    rows = session.Execute(statement, params);
    base::Failpoint(statement.name, "after");
    session.End();
    operation_metrics_.Observe(statement.name, clock_.Steady() - started);
  } catch (...) {
    PqxxFailure failure = CurrentPqxxFailure();
    if (failure.connection_lost) session.MarkLost();
    *rerunnable = failure.rerunnable;
    rows = failure.connection_lost && !statement.reads_only
               ? InDoubt(statement.name, failure.status.message())
               : failure.status;
    session.End();
  }
  return rows;
}

absl::Status PgPool::RunInTransaction(const char* name, SqlIsolation isolation,
                                      const std::function<absl::Status(SqlTransaction&)>& body) {
  for (int rerun = 0;; ++rerun) {
    bool rerunnable = false;
    absl::Status status = RunOnce(name, isolation, body, &rerunnable);
    if (!rerunnable || rerun == kMaxReruns) return status;
  }
}

absl::Status PgPool::RunOnce(const char* name, SqlIsolation isolation,
                             const std::function<absl::Status(SqlTransaction&)>& body,
                             bool* rerunnable) {
  absl::StatusOr<BoundedPool<PgSession>::Lease> lease = pool_->Acquire();
  if (!lease.ok()) return lease.status();
  PgSession& session = **lease;
  const absl::Duration started = clock_.Steady();
  absl::Status status;
  try {
    session.Begin(isolation);
    SqlTransaction transaction(session);
    status = body(transaction);
    *rerunnable = !status.ok() && transaction.rerunnable_;
    if (status.ok()) {
      session.Commit();
      operation_metrics_.Observe(name, clock_.Steady() - started);
    }
    session.End();
  } catch (...) {
    PqxxFailure failure = CurrentPqxxFailure();
    if (failure.connection_lost) session.MarkLost();
    *rerunnable = failure.rerunnable;
    // A commit that met a dead connection may have arrived: libpqxx says so by in_doubt_error only
    // when it got as far as sending it.
    status = failure.status;
    session.End();
  }
  return status;
}

}  // namespace gannet::pg

#if defined(__SANITIZE_ADDRESS__) && PQXX_VERSION_MAJOR < 7
// libpqxx 6.4: pqxx::connection_base::exec_prepared and its callees throw broken_connection without
// freeing the PGresult that PQexecPrepared made of the lost connection. Some of these frames have
// no symbol, so the library is named.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:libpqxx-6.4.so\n"; }
#endif
