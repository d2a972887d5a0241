#include "libs/pg/session_check.h"

#include <libpq-fe.h>
#include <poll.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/hex.h"

namespace gannet::pg {
namespace {

// A pooler that gives no second session lets its client wait for minutes.
constexpr absl::Duration kPatience = absl::Seconds(5);

using Connection = std::unique_ptr<PGconn, decltype(&PQfinish)>;

Connection Connect(const PgConnectionParams& params) {
  Connection connection(PQconnectdb(params.conninfo.c_str()), &PQfinish);
  // libpq would write notices to stderr.
  if (connection != nullptr) {
    PQsetNoticeReceiver(
        connection.get(), [](void*, const PGresult*) {}, nullptr);
  }
  return connection;
}

// The first value of the answer; "" when there is none in time.
std::string Ask(PGconn* connection, const std::string& sql) {
  if (PQsendQuery(connection, sql.c_str()) != 1) return "";
  base::RealClock clock;
  const absl::Duration end = clock.Steady() + kPatience;
  while (PQisBusy(connection) == 1) {
    const absl::Duration remaining = end - clock.Steady();
    pollfd fd = {PQsocket(connection), POLLIN, 0};
    if (remaining <= absl::ZeroDuration() ||
        ::poll(&fd, 1, static_cast<int>(absl::ToInt64Milliseconds(remaining)) + 1) <= 0 ||
        PQconsumeInput(connection) != 1) {
      return "";
    }
  }
  std::string value;
  while (PGresult* raw = PQgetResult(connection)) {
    const std::unique_ptr<PGresult, decltype(&PQclear)> result(raw, &PQclear);
    if (PQresultStatus(raw) == PGRES_TUPLES_OK && PQntuples(raw) > 0) value = PQgetvalue(raw, 0, 0);
  }
  return value;
}

}  // namespace

absl::Status CheckSessionsAreKept(const PgConnectionParams& params) {
  const Connection first = Connect(params);
  if (first == nullptr) return absl::OkStatus();
  if (PQstatus(first.get()) != CONNECTION_OK) {
    // How PgBouncer refuses our timeouts.
    if (absl::StrContains(PQerrorMessage(first.get()), "unsupported startup parameter")) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the database is reached through a pooler that refuses settings of a session; point "
          "database.url at PostgreSQL itself, or use pool_mode=session with "
          "ignore_startup_parameters=options: ",
          params.description));
    }
    return absl::OkStatus();
  }
  const std::string process = Ask(first.get(), "SELECT pg_backend_pid()");
  if (process.empty() || process == absl::StrCat(PQbackendPID(first.get()))) {
    return absl::OkStatus();
  }
  const std::string mark = base::RandomHex(16);
  Ask(first.get(), absl::StrCat("SET gannet.session_mark = '", mark, "'"));
  const Connection second = Connect(params);
  if (second != nullptr && PQstatus(second.get()) == CONNECTION_OK) {
    // Takes the session that the first one has given back, and holds it.
    Ask(second.get(), "BEGIN; SELECT set_config('gannet.session_mark', '', false)");
  }
  if (Ask(first.get(), "SELECT current_setting('gannet.session_mark', true)") == mark) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "the database is reached through a pooler in transaction mode; point database.url at "
      "PostgreSQL itself or use pool_mode=session: ",
      params.description));
}

}  // namespace gannet::pg
