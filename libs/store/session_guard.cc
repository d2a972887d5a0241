#include "libs/store/session_guard.h"

#include <algorithm>

#include "libs/base/status_macros.h"
#include "libs/pg/sql_values.h"

namespace gannet::store {
namespace {

constexpr pg::SqlStatement kSessionsHoldingLocks = {
    "sessions_holding_locks",
    "SELECT pid, transaction, role_name FROM gannet.sessions_holding_locks()", true};
constexpr pg::SqlStatement kEndSession = {"end_session",
                                          "SELECT gannet.end_session($1::integer, $2) AS ended"};
constexpr pg::SqlStatement kEndExcessSessions = {"end_excess_sessions",
                                                 "SELECT gannet.end_excess_sessions() AS count"};

}  // namespace

SessionGuard::SessionGuard(pg::PgPool& pool, base::Clock& clock, telemetry::Logger& logger,
                           absl::Duration limit)
    : pool_(pool),
      clock_(clock),
      logger_(logger),
      limit_(limit),
      runner_(std::clamp(limit / 5, absl::Milliseconds(10), absl::Seconds(1)),
              [this] { Check(); }) {}

void SessionGuard::Check() {
  const absl::Status status = EndSessions();
  const std::string failure = status.ok() ? "" : std::string(status.message());
  // Said once, not each second. That the database is away is said by those who need it.
  if (!failure.empty() && failure != last_failure_ && !absl::IsUnavailable(status)) {
    logger_.Warning("worker sessions that block others are not terminated", {{"reason", status}});
  }
  last_failure_ = failure;
}

absl::Status SessionGuard::EndSessions() {
  GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows,
                          pool_.Execute(kSessionsHoldingLocks, pg::SqlParams()));
  const absl::Duration now = clock_.Steady();
  std::map<Transaction, absl::Duration> seen;
  for (size_t i = 0; i < rows.size(); ++i) {
    pg::SqlRow row(rows, i);
    const Transaction transaction(row.Int("pid"), row.Text("transaction"));
    const std::string role = row.Text("role_name");
    GANNET_RETURN_IF_ERROR(row.status());
    const auto known = seen_.find(transaction);
    const absl::Duration since = known == seen_.end() ? now : known->second;
    if (now - since < limit_ || known == seen_.end()) {
      seen[transaction] = since;
      continue;
    }
    pg::SqlParams params;
    params.Int(transaction.first).Text(transaction.second);
    GANNET_ASSIGN_OR_RETURN(const pg::SqlRows ended, pool_.Execute(kEndSession, params));
    pg::SqlRow answer(ended, 0);
    if (answer.Bool("ended")) {
      logger_.Warning(
          "a worker's session blocked others with an open transaction and was terminated",
          {{"role", role}, {"pid", transaction.first}, {"held", now - since}});
    }
    GANNET_RETURN_IF_ERROR(answer.status());
  }
  seen_ = std::move(seen);
  GANNET_ASSIGN_OR_RETURN(const pg::SqlRows excess,
                          pool_.Execute(kEndExcessSessions, pg::SqlParams()));
  pg::SqlRow row(excess, 0);
  if (const int64_t count = row.Int("count"); count > 0) {
    logger_.Warning("a role of workers had too many connections, the newest were ended",
                    {{"ended", count}});
  }
  return row.status();
}

}  // namespace gannet::store
