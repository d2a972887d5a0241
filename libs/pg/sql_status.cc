#include "libs/pg/sql_status.h"

#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace gannet::pg {
namespace {

constexpr std::pair<const char*, absl::StatusCode> kCodes[] = {
    // The first prefix that fits decides.
    {"08", absl::StatusCode::kUnavailable},       // connection exception
    {"22", absl::StatusCode::kInvalidArgument},   // data exception
    {"23505", absl::StatusCode::kAlreadyExists},  // unique violation
    {"25006", absl::StatusCode::kUnavailable},    // read-only: a standby
    {"25P03", absl::StatusCode::kUnavailable},    // idle in transaction for too long
    {"28", absl::StatusCode::kPermissionDenied},  // authorization
    {"40001", absl::StatusCode::kAborted},        // serialization failure
    {"40P01", absl::StatusCode::kAborted},        // deadlock
    {"40", absl::StatusCode::kUnknown},           // 40003: completion unknown
    {"42501", absl::StatusCode::kPermissionDenied},
    // Functions and columns are looked for at the start; one that is gone later was replaced by a
    // migration. A caller waits until somebody starts it, or what stands in front of the database,
    // anew.
    {"42883", absl::StatusCode::kUnavailable},
    {"42703", absl::StatusCode::kUnavailable},
    {"53", absl::StatusCode::kResourceExhausted},  // disk, memory, connections
    {"55P03", absl::StatusCode::kUnavailable},     // lock timeout
    {"57014", absl::StatusCode::kDeadlineExceeded},
    {"57P", absl::StatusCode::kUnavailable},  // shutting down, starting up
};

constexpr absl::string_view kLoginRefused = "gannet/login-refused";

}  // namespace

absl::Status StatusFromSqlState(absl::string_view sqlstate, absl::string_view message) {
  int code = 0;
  if (absl::StartsWith(sqlstate, "GN") && absl::SimpleAtoi(sqlstate.substr(2), &code) &&
      code >= 1 && code <= 16) {
    return absl::Status(static_cast<absl::StatusCode>(code), message);
  }
  for (const auto& [prefix, status_code] : kCodes) {
    if (absl::StartsWith(sqlstate, prefix)) {
      return absl::Status(status_code, absl::StrCat("PostgreSQL: ", message, " (", sqlstate, ")"));
    }
  }
  return absl::InternalError(absl::StrCat("PostgreSQL: ", message, " (", sqlstate, ")"));
}

absl::Status ConnectFailure(absl::string_view description, absl::string_view reason) {
  absl::Status status = absl::UnavailableError(
      absl::StrCat("PostgreSQL cannot be reached at ", description, ": ", reason));
  // libpq gives no SQLSTATE for a connection that was not made. A server that speaks another
  // language than English is waited for instead.
  for (const char* refusal :
       {"password authentication failed", "no password supplied", "no pg_hba.conf entry",
        "authentication failed for user", "\" does not exist"}) {
    if (absl::StrContains(reason, refusal)) {
      status.SetPayload(kLoginRefused, absl::Cord());
      break;
    }
  }
  return status;
}

bool IsLoginRefused(const absl::Status& status) {
  return status.GetPayload(kLoginRefused).has_value();
}

bool IsRerunnable(absl::string_view sqlstate) { return sqlstate == "40001" || sqlstate == "40P01"; }

absl::Status InDoubt(absl::string_view operation, absl::string_view reason) {
  return absl::UnknownError(absl::StrCat(
      "in doubt, the connection was lost before PostgreSQL answered: ", operation, ": ", reason));
}

}  // namespace gannet::pg
