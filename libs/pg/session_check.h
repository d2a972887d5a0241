#pragma once

#include "absl/status/status.h"
#include "libs/pg/connection_params.h"

namespace gannet::pg {

// Whether a connection keeps its session: settings, prepared statements and LISTEN outlive a
// transaction. Behind a pooler in transaction mode (PgBouncer's pool_mode=transaction) they do not,
// and what fails then, fails now and then and with misleading words.
//
// A pooler is known by the number of the server process, which it does not pass on when it
// connects. Only then a second connection is made: while it holds the server's session that the
// first one had, the first one must still find its own.
//
// Returns: FAILED_PRECONDITION - a pooler that hands sessions around, or that refuses settings at
// the beginning of a session, saying what to do; otherwise OK, also when the database cannot be
// reached: whoever connects next says so. Blocks for a few seconds at most.
absl::Status CheckSessionsAreKept(const PgConnectionParams& params);

}  // namespace gannet::pg
