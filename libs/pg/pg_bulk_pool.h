#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/clock.h"
#include "libs/pg/bounded_pool.h"
#include "libs/pg/connection_params.h"
#include "libs/pg/operation_metrics.h"
#include "libs/pg/pg_pool.h"
#include "libs/pg/sql_values.h"
#include "libs/telemetry/metrics.h"

struct pg_conn;
struct pg_result;

namespace gannet::pg {

// Rows of COPY … FROM STDIN (FORMAT binary) on their way. Columns in order: as many Int and Bytes
// calls per Row as the row has columns.
//
// Thread safety: none.
class CopyWriter {
 public:
  void Row(int16_t column_count);
  void Int32(int32_t value);
  void Int64(int64_t value);
  void Bytes(absl::string_view value);

 private:
  friend class BulkTransaction;
  explicit CopyWriter(pg_conn* connection);
  template <typename Int>
  void Append(Int value);
  void SendWhenFull(size_t threshold_bytes);
  bool Finish();

  pg_conn* const connection_;
  std::string buffer_;
  bool failed_ = false;
};

// A libpq connection of the pool.
//
// Thread safety: none.
class BulkSession {
 public:
  static absl::StatusOr<std::unique_ptr<BulkSession>> Connect(const PgConnectionParams& params);
  ~BulkSession();
  BulkSession(const BulkSession&) = delete;
  BulkSession& operator=(const BulkSession&) = delete;

  bool Usable();

 private:
  friend class BulkTransaction;
  friend class PgBulkPool;
  explicit BulkSession(pg_conn* connection) : connection_(connection) {}

  pg_conn* const connection_;
  std::set<const char*> prepared_;
};

// Statements with large values, in one transaction or each in its own. The bytes of parameters are
// sent from where they lie; those of results are handed to a callback as they arrive. Nothing is
// ever converted to digits.
//
// Thread safety: none.
class BulkTransaction {
 public:
  // Runs one statement; results in text form, for small ones.
  absl::StatusOr<SqlRows> Execute(const SqlStatement& statement, const SqlParams& params);

  // Runs a statement once per element without waiting for answers in between. Results are dropped.
  // `count` has a bound: the answers (some 60 bytes each) wait in the socket meanwhile.
  absl::Status ExecuteMany(const SqlStatement& statement, int count,
                           const std::function<SqlParams(int)>& params_of);
  static constexpr int kMaxPipelined = 2048;

  // Runs COPY … FROM STDIN (FORMAT binary) with what `write` writes.
  absl::Status CopyIn(const char* copy_statement, const std::function<void(CopyWriter&)>& write);

  // Runs a statement and hands the first column of every row, in binary form, to `on_row`. The
  // bytes live until it returns.
  absl::Status ReadBytes(const SqlStatement& statement, const SqlParams& params,
                         const std::function<void(absl::string_view)>& on_row);

 private:
  friend class PgBulkPool;
  explicit BulkTransaction(BulkSession& session) : session_(session) {}

  absl::Status Command(const char* sql);
  absl::Status Prepare(const SqlStatement& statement);
  absl::Status ToStatus(pg_result* result);
  absl::Status ConnectionStatus();
  bool Lost() const;
  // Reads answers until the connection is ready for the next statement. The first failure.
  absl::Status DrainResults();

  BulkSession& session_;
  bool rerunnable_ = false;
};

// A bounded pool of raw libpq connections for payloads: libpqxx reads bytea as digits, which costs
// five times as much. Connections are kept for long because both sides keep their grown buffers.
//
// Thread safety: all methods may be called from any thread.
// Errors: as PgPool.
class PgBulkPool {
 public:
  PgBulkPool(const PgConnectionParams& params, const BoundedPoolOptions& options,
             base::Clock& clock, telemetry::Metrics& metrics);
  ~PgBulkPool();
  PgBulkPool(const PgBulkPool&) = delete;
  PgBulkPool& operator=(const PgBulkPool&) = delete;

  // As PgPool::RunInTransaction.
  absl::Status RunInTransaction(const char* name, SqlIsolation isolation,
                                const std::function<absl::Status(BulkTransaction&)>& body);

  // As PgPool::RunInTransaction, for one statement in its own transaction (one round trip).
  absl::StatusOr<SqlRows> Execute(const SqlStatement& statement, const SqlParams& params);

 private:
  absl::Status RunOnce(const std::function<absl::Status(BulkTransaction&)>& body, bool* rerunnable);

  base::Clock& clock_;
  OperationMetrics operation_metrics_;
  std::unique_ptr<BoundedPool<BulkSession>> pool_;
};

}  // namespace gannet::pg
