#include "libs/pg/pg_bulk_pool.h"

#include <endian.h>
#include <libpq-fe.h>
#include <poll.h>

#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/failpoint.h"
#include "libs/base/status_macros.h"
#include "libs/pg/sql_status.h"

namespace gannet::pg {
namespace {

// libpq sends whatever it is given in pieces of 8 KiB or more; larger copies only cost page faults.
constexpr size_t kCopyBufferBytes = 64 << 10;

using Result = std::unique_ptr<PGresult, decltype(&PQclear)>;

Result Own(PGresult* result) { return Result(result, &PQclear); }

// Parameters as libpq takes them; views into `params`.
struct RawParams {
  explicit RawParams(const SqlParams& params) {
    for (const SqlParams::Value& value : params.values()) {
      formats.push_back(value.binary ? 1 : 0);
      lengths.push_back(static_cast<int>(value.bytes.size()));
      if (value.null) {
        values.push_back(nullptr);
      } else if (value.binary) {
        // A pointer to nothing would mean null.
        values.push_back(value.bytes.empty() ? "" : value.bytes.data());
      } else {
        values.push_back(value.text.c_str());
      }
    }
  }

  int size() const { return static_cast<int>(values.size()); }

  std::vector<const char*> values;
  std::vector<int> lengths;
  std::vector<int> formats;
};

SqlRows ToRows(const PGresult* result) {
  SqlRows rows;
  const int columns = PQnfields(result);
  for (int c = 0; c < columns; ++c) rows.columns.emplace_back(PQfname(result, c));
  for (int r = 0; r < PQntuples(result); ++r) {
    std::vector<std::optional<std::string>>& cells = rows.rows.emplace_back();
    for (int c = 0; c < columns; ++c) {
      if (PQgetisnull(result, r, c) != 0) {
        cells.emplace_back();
      } else {
        cells.emplace_back(std::in_place, PQgetvalue(result, r, c),
                           static_cast<size_t>(PQgetlength(result, r, c)));
      }
    }
  }
  return rows;
}

std::string ErrorOf(const PGconn* connection) {
  std::string message = PQerrorMessage(connection);
  message.resize(std::min(message.find('\n'), message.size()));
  absl::StripAsciiWhitespace(&message);
  return message;
}

}  // namespace

CopyWriter::CopyWriter(pg_conn* connection) : connection_(connection) {
  // Signature, flags and extension length of the binary format.
  buffer_.append("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
}

template <typename Int>
void CopyWriter::Append(Int value) {
  buffer_.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void CopyWriter::Row(int16_t column_count) {
  SendWhenFull(kCopyBufferBytes);
  Append(htobe16(static_cast<uint16_t>(column_count)));
}

void CopyWriter::Int32(int32_t value) {
  Append(htobe32(sizeof(value)));
  Append(htobe32(static_cast<uint32_t>(value)));
}

void CopyWriter::Int64(int64_t value) {
  Append(htobe32(sizeof(value)));
  Append(htobe64(static_cast<uint64_t>(value)));
}

void CopyWriter::Bytes(absl::string_view value) {
  Append(htobe32(static_cast<uint32_t>(value.size())));
  buffer_.append(value.data(), value.size());
}

void CopyWriter::SendWhenFull(size_t threshold_bytes) {
  if (buffer_.size() < threshold_bytes || failed_) return;
  failed_ = PQputCopyData(connection_, buffer_.data(), static_cast<int>(buffer_.size())) != 1;
  buffer_.clear();
}

bool CopyWriter::Finish() {
  Append(htobe16(static_cast<uint16_t>(-1)));
  SendWhenFull(0);
  return !failed_ && PQputCopyEnd(connection_, nullptr) == 1;
}

absl::StatusOr<std::unique_ptr<BulkSession>> BulkSession::Connect(
    const PgConnectionParams& params) {
  PGconn* connection = PQconnectdb(params.conninfo.c_str());
  std::unique_ptr<BulkSession> session(new BulkSession(connection));
  if (PQstatus(connection) != CONNECTION_OK) {
    return ConnectFailure(params.description, ErrorOf(connection));
  }
  // libpq would write notices to stderr.
  PQsetNoticeReceiver(
      connection, [](void*, const PGresult*) {}, nullptr);
  return session;
}

BulkSession::~BulkSession() { PQfinish(connection_); }

bool BulkSession::Usable() {
  if (PQstatus(connection_) != CONNECTION_OK || PQtransactionStatus(connection_) != PQTRANS_IDLE ||
      PQpipelineStatus(connection_) != PQ_PIPELINE_OFF) {
    return false;
  }
  // A server that went away has closed the socket, which makes it readable.
  pollfd socket = {PQsocket(connection_), POLLIN, 0};
  return ::poll(&socket, 1, 0) == 0;
}

bool BulkTransaction::Lost() const { return PQstatus(session_.connection_) != CONNECTION_OK; }

absl::Status BulkTransaction::ConnectionStatus() {
  return absl::UnavailableError(
      absl::StrCat("the connection to PostgreSQL was lost: ", ErrorOf(session_.connection_)));
}

absl::Status BulkTransaction::ToStatus(pg_result* result) {
  switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_SINGLE_TUPLE:
    case PGRES_PIPELINE_SYNC:
      return absl::OkStatus();
    case PGRES_PIPELINE_ABORTED:
      return absl::AbortedError("an earlier statement of the pipeline failed");
    default:
      break;
  }
  const char* sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char* message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  if (Lost() || sqlstate == nullptr) return ConnectionStatus();
  rerunnable_ = rerunnable_ || IsRerunnable(sqlstate);
  return StatusFromSqlState(sqlstate, message == nullptr ? "no message" : message);
}

absl::Status BulkTransaction::Command(const char* sql) {
  return ToStatus(Own(PQexec(session_.connection_, sql)).get());
}

absl::Status BulkTransaction::Prepare(const SqlStatement& statement) {
  if (session_.prepared_.count(statement.name) != 0) return absl::OkStatus();
  GANNET_RETURN_IF_ERROR(ToStatus(
      Own(PQprepare(session_.connection_, statement.name, statement.text, 0, nullptr)).get()));
  session_.prepared_.insert(statement.name);
  return absl::OkStatus();
}

absl::StatusOr<SqlRows> BulkTransaction::Execute(const SqlStatement& statement,
                                                 const SqlParams& params) {
  GANNET_RETURN_IF_ERROR(Prepare(statement));
  const RawParams raw(params);
  base::Failpoint(statement.name, "before");
  const Result result =
      Own(PQexecPrepared(session_.connection_, statement.name, raw.size(), raw.values.data(),
                         raw.lengths.data(), raw.formats.data(), 0));
  base::Failpoint(statement.name, "after");
  GANNET_RETURN_IF_ERROR(ToStatus(result.get()));
  return ToRows(result.get());
}

absl::Status BulkTransaction::DrainResults() {
  absl::Status status;
  while (true) {
    const Result result = Own(PQgetResult(session_.connection_));
    if (result == nullptr) return status;
    if (absl::Status one = ToStatus(result.get()); status.ok()) status = std::move(one);
    if (Lost()) return status.ok() ? ConnectionStatus() : status;
  }
}

absl::Status BulkTransaction::ExecuteMany(const SqlStatement& statement, int count,
                                          const std::function<SqlParams(int)>& params_of) {
  GANNET_CHECK(count <= kMaxPipelined);
  GANNET_RETURN_IF_ERROR(Prepare(statement));
  PGconn* connection = session_.connection_;
  if (PQenterPipelineMode(connection) != 1) return ConnectionStatus();
  base::Failpoint(statement.name, "before");
  bool sent = true;
  for (int i = 0; i < count && sent; ++i) {
    const SqlParams params = params_of(i);
    const RawParams raw(params);
    sent = PQsendQueryPrepared(connection, statement.name, raw.size(), raw.values.data(),
                               raw.lengths.data(), raw.formats.data(), 0) == 1;
  }
  if (!sent || PQpipelineSync(connection) != 1) return ConnectionStatus();
  absl::Status status;
  // Each statement answers with its result and a null; the sync answers with one result.
  for (int i = 0; i < count; ++i) {
    if (absl::Status one = DrainResults(); status.ok()) status = std::move(one);
    if (Lost()) return status.ok() ? ConnectionStatus() : status;
  }
  if (absl::Status one = ToStatus(Own(PQgetResult(connection)).get()); status.ok()) {
    status = std::move(one);
  }
  base::Failpoint(statement.name, "after");
  if (PQexitPipelineMode(connection) != 1 && status.ok()) status = ConnectionStatus();
  return status;
}

absl::Status BulkTransaction::CopyIn(const char* copy_statement,
                                     const std::function<void(CopyWriter&)>& write) {
  PGconn* connection = session_.connection_;
  {
    const Result started = Own(PQexec(connection, copy_statement));
    if (PQresultStatus(started.get()) != PGRES_COPY_IN) {
      absl::Status status = ToStatus(started.get());
      return status.ok() ? absl::InternalError("not a COPY … FROM STDIN") : status;
    }
  }
  base::Failpoint("copy_in", "before");
  CopyWriter writer(connection);
  write(writer);
  if (!writer.Finish() && Lost()) return ConnectionStatus();
  absl::Status copied = DrainResults();
  base::Failpoint("copy_in", "after");
  return copied;
}

absl::Status BulkTransaction::ReadBytes(const SqlStatement& statement, const SqlParams& params,
                                        const std::function<void(absl::string_view)>& on_row) {
  PGconn* connection = session_.connection_;
  const RawParams raw(params);
  // Not prepared, so that the plan knows the values and touches one partition only.
  if (PQsendQueryParams(connection, statement.text, raw.size(), nullptr, raw.values.data(),
                        raw.lengths.data(), raw.formats.data(), 1) != 1) {
    return ConnectionStatus();
  }
  PQsetSingleRowMode(connection);
  absl::Status status;
  while (true) {
    const Result result = Own(PQgetResult(connection));
    if (result == nullptr) return status;
    if (absl::Status one = ToStatus(result.get()); !one.ok()) {
      if (status.ok()) status = std::move(one);
      if (Lost()) return status;
    } else if (PQresultStatus(result.get()) == PGRES_SINGLE_TUPLE) {
      on_row(absl::string_view(PQgetvalue(result.get(), 0, 0),
                               static_cast<size_t>(PQgetlength(result.get(), 0, 0))));
    }
  }
}

PgBulkPool::PgBulkPool(const PgConnectionParams& params, const BoundedPoolOptions& options,
                       base::Clock& clock, telemetry::Metrics& metrics)
    : clock_(clock),
      operation_metrics_(metrics),
      pool_(std::make_unique<BoundedPool<BulkSession>>(
          options, [params] { return BulkSession::Connect(params); }, clock, metrics)) {}

PgBulkPool::~PgBulkPool() = default;

absl::Status PgBulkPool::RunOnce(const std::function<absl::Status(BulkTransaction&)>& body,
                                 bool* rerunnable) {
  absl::StatusOr<BoundedPool<BulkSession>::Lease> lease = pool_->Acquire();
  if (!lease.ok()) return lease.status();
  BulkTransaction transaction(**lease);
  absl::Status status = body(transaction);
  *rerunnable = transaction.rerunnable_;
  return status;
}

absl::Status PgBulkPool::RunInTransaction(
    const char* name, SqlIsolation isolation,
    const std::function<absl::Status(BulkTransaction&)>& body) {
  const auto bracketed = [&](BulkTransaction& transaction) -> absl::Status {
    const absl::Duration started = clock_.Steady();
    GANNET_RETURN_IF_ERROR(transaction.Command(isolation == SqlIsolation::kRepeatableRead
                                                   ? "BEGIN ISOLATION LEVEL REPEATABLE READ"
                                                   : "BEGIN"));
    if (absl::Status status = body(transaction); !status.ok()) {
      // A connection that is not idle after this does not go back to the pool.
      if (!transaction.Lost()) transaction.Command("ROLLBACK").IgnoreError();
      return status;
    }
    base::Failpoint(name, "commit.before");
    absl::Status committed = transaction.Command("COMMIT");
    base::Failpoint(name, "commit.after");
    if (!committed.ok() && transaction.Lost()) return InDoubt(name, committed.message());
    operation_metrics_.Observe(name, clock_.Steady() - started);
    return committed;
  };
  for (int rerun = 0;; ++rerun) {
    bool rerunnable = false;
    absl::Status status = RunOnce(bracketed, &rerunnable);
    if (status.ok() || !rerunnable || rerun == PgPool::kMaxReruns) return status;
  }
}

absl::StatusOr<SqlRows> PgBulkPool::Execute(const SqlStatement& statement,
                                            const SqlParams& params) {
  SqlRows rows;
  const auto body = [&](BulkTransaction& transaction) -> absl::Status {
    const absl::Duration started = clock_.Steady();
    absl::StatusOr<SqlRows> result = transaction.Execute(statement, params);
    if (!result.ok()) {
      return transaction.Lost() && !statement.reads_only
                 ? InDoubt(statement.name, result.status().message())
                 : result.status();
    }
    rows = *std::move(result);
    operation_metrics_.Observe(statement.name, clock_.Steady() - started);
    return absl::OkStatus();
  };
  for (int rerun = 0;; ++rerun) {
    bool rerunnable = false;
    absl::Status status = RunOnce(body, &rerunnable);
    if (status.ok()) return rows;
    if (!rerunnable || rerun == PgPool::kMaxReruns) return status;
  }
}

}  // namespace gannet::pg
