#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace gannet::pg {

// How to reach a database and what its sessions may do.
struct PgConnectionOptions {
  std::string url;            // "postgres://USER@HOST:PORT/DATABASE?param=value"
  std::string password_file;  // else PGPASSWORD, PGPASSFILE, ~/.pgpass
  std::string application_name = "gannet";
  absl::Duration connect_timeout = absl::Seconds(5);
  absl::Duration statement_timeout = absl::Seconds(60);
  absl::Duration idle_in_transaction_timeout = absl::Seconds(30);
};

// What libpq and libpqxx connect with.
//
// Thread safety: as a value.
struct PgConnectionParams {
  std::string conninfo;     // with the password when one was in a file: never log it
  std::string description;  // "USER@HOST:PORT/DATABASE", for messages
};

// Checks the URL and adds timeouts, keep-alives (so that a peer that vanished is noticed within
// half a minute) and the password of the file. Returns: INVALID_ARGUMENT - not a postgres:// URL,
// an unknown parameter, or a password in the URL (a command line and a configuration are no places
// for secrets; the message says where it belongs); NOT_FOUND, PERMISSION_DENIED - the password file
// cannot be read.
absl::StatusOr<PgConnectionParams> MakeConnectionParams(const PgConnectionOptions& options);

// Whether the URL that a setting holds can be used, without a look at files or the network.
// Returns: INVALID_ARGUMENT - as MakeConnectionParams, naming the setting.
absl::Status CheckDatabaseUrl(absl::string_view key, const std::string& url);

}  // namespace gannet::pg
