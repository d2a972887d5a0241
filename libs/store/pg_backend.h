#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/exchange/exchange.h"
#include "libs/exchange/gateway_reports.h"
#include "libs/exchange/store.h"
#include "libs/exchange/work_signal.h"
#include "libs/telemetry/log.h"
#include "libs/telemetry/metrics.h"

namespace gannet::store {

// Where the database is and how much of it to use.
struct PgBackendOptions {
  std::string url;            // "postgres://USER@HOST:PORT/DATABASE", without a password
  std::string password_file;  // else PGPASSWORD, PGPASSFILE, ~/.pgpass
  // Connections for ordinary statements; half as many (at least 2) for bulk ones. A worker in
  // direct mode does with 2, and a class of them with the server's max_connections.
  int pool_size = 8;
  std::string application_name = "gannet";  // as pg_stat_activity shows it
  // Set by a coordinator, whose role may: sessions of workers that hold up others for longer are
  // ended (see SessionGuard). One connection more.
  std::optional<absl::Duration> end_holding_sessions_after = {};
};

// For a coordinator: what waits for a lock waits on for less than coordinator.leadership_ttl.
inline constexpr absl::Duration kEndHoldingSessionsAfter = absl::Seconds(5);

// Exchange and Store over PostgreSQL: the truth of a class. A coordinator uses both, a gateway the
// exchange, and so does a worker in direct mode, whose role may do nothing but execute functions
// (role gannet_worker).
//
// Connections are made when they are needed; one more listens for notifications and follows the
// database through restarts.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: logger and metrics must outlive the backend, and the backend every call
// in progress.
//
//   GANNET_ASSIGN_OR_RETURN(auto backend, PgBackend::Create({.url = config.database.url}, logger,
//   metrics)); backend->store().FindRun("default");
class PgBackend {
 public:
  // Returns: INVALID_ARGUMENT - the URL is none, or has a password in it; UNAVAILABLE - the
  // database cannot be reached: repeat with back-off; FAILED_PRECONDITION - the schema is not the
  // one this binary knows, the database is not in UTF8, or it is reached through a pooler that
  // keeps no sessions (the message says what to do); PERMISSION_DENIED - the server refuses user,
  // password or database, or the role lacks gannet_worker.
  static absl::StatusOr<std::unique_ptr<PgBackend>> Create(const PgBackendOptions& options,
                                                           telemetry::Logger& logger,
                                                           telemetry::Metrics& metrics);
  ~PgBackend();
  PgBackend(const PgBackend&) = delete;
  PgBackend& operator=(const PgBackend&) = delete;

  exchange::Store& store();
  exchange::Exchange& exchange();
  exchange::GatewayReports& gateway_reports();

  // Notified when units may have become ready. For a gateway that holds long polls itself.
  exchange::WorkSignal& work_signal();

  // The names of all runs, oldest first; of more than a thousand the newest.
  // Returns: PERMISSION_DENIED - the role is not a coordinator's; UNAVAILABLE.
  absl::StatusOr<std::vector<std::string>> ListRunNames();

  // Whether the database answers; what health of a service reports.
  // Returns: UNAVAILABLE.
  absl::Status Ping();

 private:
  PgBackend();
  struct State;
  std::unique_ptr<State> state_;
};

// Brings the schema of the database to the version of this binary, and rights to what they should
// be, also after a backup was restored on another server; safe to repeat. What the role may not
// correct is logged, with the command that does. Returns the version. Returns: FAILED_PRECONDITION
// - the database is newer than this binary, a migration that was applied has been edited since, the
// database is not in UTF8, or it is reached through a pooler; PERMISSION_DENIED - the role may
// not create roles or the schema (the message says what to do); UNAVAILABLE.
absl::StatusOr<int> Migrate(const PgBackendOptions& options, telemetry::Logger& logger);

}  // namespace gannet::store
