#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace gannet::pg {

// The one place where PostgreSQL's error codes become statuses.
//
// SQL functions of this project raise class GN: "GN" and the number of the status code in three
// digits, for example GN005 for NOT_FOUND; their messages are passed on as they are. All other
// messages name the code.
absl::Status StatusFromSqlState(absl::string_view sqlstate, absl::string_view message);

// Whether the whole transaction may be rerun: a serialization failure or a deadlock.
bool IsRerunnable(absl::string_view sqlstate);

// UNKNOWN: the connection was lost while a change was being made or committed, so nobody here knows
// whether it was.
absl::Status InDoubt(absl::string_view operation, absl::string_view reason);

// UNAVAILABLE: no connection could be made, for the reason libpq gives. `description` names the
// server without secrets.
absl::Status ConnectFailure(absl::string_view description, absl::string_view reason);

// Whether a ConnectFailure (its message, payloads and all) is the server's refusal of user,
// password or database: waiting will not help. A service that has been let in before waits all
// the same, because somebody may be changing the password.
bool IsLoginRefused(const absl::Status& status);

}  // namespace gannet::pg
