#include "libs/store/pg_backend.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/clock.h"
#include "libs/base/sha256.h"
#include "libs/base/status_macros.h"
#include "libs/pg/connection_params.h"
#include "libs/pg/migrator.h"
#include "libs/pg/pg_bulk_pool.h"
#include "libs/pg/pg_listener.h"
#include "libs/pg/pg_pool.h"
#include "libs/pg/session_check.h"
#include "libs/pg/sql_status.h"
#include "libs/store/embedded_migrations.h"
#include "libs/store/pg_exchange.h"
#include "libs/store/pg_gateway_reports.h"
#include "libs/store/pg_store.h"
#include "libs/store/run_signals.h"
#include "libs/store/session_guard.h"

namespace gannet::store {
namespace {

constexpr char kSchema[] = "gannet";

constexpr pg::SqlStatement kHasSchema = {
    "has_schema",
    "SELECT to_regnamespace('gannet') IS NOT NULL AND "
    "to_regprocedure('gannet.schema_state()') IS NOT NULL AS has_schema",
    true};
constexpr pg::SqlStatement kSchemaState = {
    "schema_state",
    "SELECT version, coalesce(functions, '') AS functions FROM gannet.schema_state()", true};
constexpr pg::SqlStatement kEncoding = {
    "encoding",
    "SELECT pg_encoding_to_char(encoding)::text AS encoding, datname::text AS database "
    "FROM pg_database WHERE datname = current_database()",
    true};
constexpr pg::SqlStatement kOpenRights = {
    "open_rights",
    "SELECT * FROM (VALUES "
    "('make temporary tables', has_database_privilege('public', current_database(), 'TEMPORARY'), "
    "format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database())), "
    "('make tables in schema public', EXISTS (SELECT FROM pg_namespace n WHERE n.nspname = "
    "'public' AND has_schema_privilege('public', n.oid, 'CREATE')), "
    "'REVOKE CREATE ON SCHEMA public FROM PUBLIC'), "
    "('make large objects, and take every lock of the server', "
    "has_function_privilege('public', 'pg_catalog.lo_create(oid)', 'EXECUTE') "
    "OR has_function_privilege('public', 'pg_catalog.pg_advisory_lock(bigint)', 'EXECUTE'), "
    "'gannet migrate, once, as a superuser'), "
    "('hold up others, for the coordinator cannot end their sessions', EXISTS (SELECT FROM pg_proc "
    "p WHERE p.oid = to_regprocedure('gannet.end_session(integer, text)') "
    "AND NOT pg_has_role(p.proowner, 'pg_signal_backend', 'MEMBER')), "
    "format('GRANT pg_signal_backend TO %I', (SELECT r.rolname FROM pg_proc p JOIN pg_roles r ON "
    "r.oid = p.proowner WHERE p.oid = to_regprocedure('gannet.end_session(integer, text)'))))"
    ") AS rights (what, is_open, command) WHERE is_open",
    true};
constexpr pg::SqlStatement kListRunNames = {"list_run_names",
                                            "SELECT name FROM (SELECT run_id, name FROM gannet.run "
                                            "ORDER BY run_id DESC LIMIT 1000) AS newest "
                                            "ORDER BY run_id",
                                            true};
constexpr pg::SqlStatement kPing = {"ping", "SELECT 1", true};

// A payload may cross a slow link while its statement runs.
constexpr absl::Duration kBulkStatementTimeout = absl::Minutes(5);

absl::StatusOr<pg::PgConnectionParams> ParamsOf(
    const PgBackendOptions& options,
    absl::Duration statement_timeout = pg::PgConnectionOptions().statement_timeout) {
  pg::PgConnectionOptions connection;
  connection.statement_timeout = statement_timeout;
  connection.url = options.url;
  connection.password_file = options.password_file;
  connection.application_name = options.application_name;
  return pg::MakeConnectionParams(connection);
}

absl::StatusOr<pg::Migrator> MakeMigrator() {
  return pg::Migrator::Create(kSchema, EmbeddedMigrations());
}

// As schema_state() lists them.
std::string KnownFunctions() {
  std::vector<std::string> lines;
  for (const pg::Migration& migration : EmbeddedMigrations()) {
    if (migration.file_name[0] == 'R') {
      lines.push_back(absl::StrCat(migration.file_name, " ", base::Sha256Hex(migration.sql)));
    }
  }
  std::sort(lines.begin(), lines.end());
  return absl::StrJoin(lines, "\n");
}

// At the first connection a refusal is a mistake of whoever wrote the settings.
absl::Status ExplainRefusal(const absl::Status& status) {
  if (!pg::IsLoginRefused(status)) return status;
  return absl::PermissionDeniedError(
      absl::StrCat(status.message(),
                   "; check user and database of the URL, and the password: it comes from "
                   "database.password_file, else PGPASSWORD, else ~/.pgpass"));
}

// All text is UTF-8. In SQL_ASCII nothing is checked, in others half of it cannot be stored.
absl::Status CheckEncoding(pg::PgPool& pool) {
  GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows, pool.Execute(kEncoding, pg::SqlParams()));
  pg::SqlRow row(rows, 0);
  const std::string encoding = row.Text("encoding");
  const std::string database = row.Text("database");
  GANNET_RETURN_IF_ERROR(row.status());
  if (encoding == "UTF8") return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the database must be in UTF8, which cannot be changed afterwards; make another one with "
      "`createdb -E UTF8 -T template0 --locale=C NAME` and name it in database.url: ",
      database, " is in ", encoding));
}

// Logs what everybody may still do, since it takes another role than the migrating one to end it.
absl::Status WarnOfRights(pg::PgPool& pool, telemetry::Logger& logger) {
  GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows, pool.Execute(kOpenRights, pg::SqlParams()));
  for (size_t i = 0; i < rows.size(); ++i) {
    pg::SqlRow row(rows, i);
    const std::string what = row.Text("what");
    const std::string command = row.Text("command");
    GANNET_RETURN_IF_ERROR(row.status());
    logger.Warning(absl::StrCat("workers in direct mode may ", what,
                                ": let an administrator end it, or let no strangers in"),
                   {{"command", command}});
  }
  return absl::OkStatus();
}

absl::Status CheckSchema(pg::PgPool& pool) {
  const auto explain = [](absl::Status status) {
    if (pg::IsLoginRefused(status)) return ExplainRefusal(status);
    if (!absl::IsPermissionDenied(status)) return status;
    return absl::PermissionDeniedError(absl::StrCat(
        "the role may not use the schema, let its owner GRANT gannet_worker (a worker, "
        "a gateway) or gannet_coordinator as well (a coordinator) to it: ",
        status.message()));
  };
  absl::StatusOr<pg::SqlRows> has_schema = pool.Execute(kHasSchema, pg::SqlParams());
  if (!has_schema.ok()) return explain(has_schema.status());
  if (!pg::SqlRow(*has_schema, 0).Bool("has_schema")) {
    return absl::FailedPreconditionError(
        "the database has no schema of Gannet yet: run `gannet migrate`");
  }
  absl::StatusOr<pg::SqlRows> state = pool.Execute(kSchemaState, pg::SqlParams());
  if (!state.ok()) return explain(state.status());
  pg::SqlRow row(*state, 0);
  const int64_t version = row.Int("version");
  const std::string functions = row.Text("functions");
  GANNET_RETURN_IF_ERROR(row.status());
  GANNET_ASSIGN_OR_RETURN(const pg::Migrator migrator, MakeMigrator());
  if (version < migrator.version()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the schema is older than this binary: run `gannet migrate`: expected version ",
        migrator.version(), ", got ", version));
  }
  if (version > migrator.version()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the schema is newer than this binary: upgrade this binary: expected version ",
                     migrator.version(), ", got ", version));
  }
  if (functions != KnownFunctions()) {
    return absl::FailedPreconditionError(
        "the functions in the database are those of another build: run `gannet migrate` of the "
        "newest one, and use its programs");
  }
  return absl::OkStatus();
}

pg::BoundedPoolOptions PoolOptions(const std::string& name, int size) {
  pg::BoundedPoolOptions options;
  options.name = name;
  options.size = size;
  return options;
}

}  // namespace

struct PgBackend::State {
  State(const pg::PgConnectionParams& params, const pg::PgConnectionParams& bulk_params,
        int pool_size, telemetry::Metrics& metrics)
      : pool(params, PoolOptions("ordinary", pool_size), clock, metrics),
        bulk_pool(bulk_params, PoolOptions("bulk", std::max(2, pool_size / 2)), clock, metrics),
        guard_pool(params, PoolOptions("guard", 1), clock, metrics),
        store(pool, bulk_pool, run_signals),
        exchange(pool, bulk_pool, work_signal),
        gateway_reports(pool) {}

  base::RealClock clock;
  exchange::WorkSignal work_signal;
  RunSignals run_signals;
  pg::PgPool pool;
  pg::PgBulkPool bulk_pool;
  pg::PgPool guard_pool;  // connects when it is used
  PgStore store;
  PgExchange exchange;
  PgGatewayReports gateway_reports;
  std::unique_ptr<pg::PgListener> listener;  // last: it calls into the signals
  std::unique_ptr<SessionGuard> guard;
};

PgBackend::PgBackend() = default;
PgBackend::~PgBackend() = default;

absl::StatusOr<std::unique_ptr<PgBackend>> PgBackend::Create(const PgBackendOptions& options,
                                                             telemetry::Logger& logger,
                                                             telemetry::Metrics& metrics) {
  if (options.pool_size < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("pool_size must be at least 1, got ", options.pool_size));
  }
  GANNET_ASSIGN_OR_RETURN(const pg::PgConnectionParams params, ParamsOf(options));
  GANNET_ASSIGN_OR_RETURN(const pg::PgConnectionParams bulk_params,
                          ParamsOf(options, kBulkStatementTimeout));
  std::unique_ptr<PgBackend> backend(new PgBackend());
  backend->state_ = std::make_unique<State>(params, bulk_params, options.pool_size, metrics);
  State& state = *backend->state_;
  GANNET_RETURN_IF_ERROR(pg::CheckSessionsAreKept(params));
  // Whatever else stands in its way is explained by CheckSchema.
  if (const absl::Status fits = CheckEncoding(state.pool); absl::IsFailedPrecondition(fits)) {
    return fits;
  }
  GANNET_RETURN_IF_ERROR(CheckSchema(state.pool));

  pg::PgListener::Callbacks callbacks;
  callbacks.on_notification = [&state](const std::string& channel, const std::string& payload) {
    if (channel == "gannet_work") {
      state.work_signal.Notify();
      return;
    }
    int64_t run = 0;
    if (absl::SimpleAtoi(payload, &run)) state.run_signals.Notify(base::RunId(run));
  };
  callbacks.on_connected = [&state] {
    state.work_signal.Notify();
    state.run_signals.NotifyAll();
  };
  state.listener = std::make_unique<pg::PgListener>(
      params, std::vector<std::string>{"gannet_work", "gannet_round"}, std::move(callbacks),
      logger);
  if (options.end_holding_sessions_after.has_value()) {
    state.guard = std::make_unique<SessionGuard>(state.guard_pool, state.clock, logger,
                                                 *options.end_holding_sessions_after);
  }
  return backend;
}

exchange::Store& PgBackend::store() { return state_->store; }
exchange::Exchange& PgBackend::exchange() { return state_->exchange; }
exchange::GatewayReports& PgBackend::gateway_reports() { return state_->gateway_reports; }

exchange::WorkSignal& PgBackend::work_signal() { return state_->work_signal; }

absl::Status PgBackend::Ping() { return state_->pool.Execute(kPing, pg::SqlParams()).status(); }

absl::StatusOr<std::vector<std::string>> PgBackend::ListRunNames() {
  GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows,
                          state_->pool.Execute(kListRunNames, pg::SqlParams()));
  std::vector<std::string> names;
  for (size_t i = 0; i < rows.size(); ++i) {
    pg::SqlRow row(rows, i);
    names.push_back(row.Text("name"));
    GANNET_RETURN_IF_ERROR(row.status());
  }
  return names;
}

absl::StatusOr<int> Migrate(const PgBackendOptions& options, telemetry::Logger& logger) {
  GANNET_ASSIGN_OR_RETURN(const pg::PgConnectionParams params, ParamsOf(options));
  GANNET_ASSIGN_OR_RETURN(const pg::Migrator migrator, MakeMigrator());
  base::RealClock clock;
  telemetry::Metrics metrics;
  GANNET_RETURN_IF_ERROR(pg::CheckSessionsAreKept(params));
  pg::PgPool pool(params, PoolOptions("migrate", 1), clock, metrics);
  if (const absl::Status fits = CheckEncoding(pool); !fits.ok()) return ExplainRefusal(fits);
  const absl::StatusOr<std::vector<std::string>> applied = migrator.Apply(pool);
  if (!applied.ok()) return ExplainRefusal(applied.status());
  GANNET_RETURN_IF_ERROR(WarnOfRights(pool, logger));
  logger.Info("schema is up to date",
              {{"database", params.description},
               {"version", migrator.version()},
               {"applied", applied->empty() ? "nothing" : absl::StrJoin(*applied, " ")}});
  return migrator.version();
}

}  // namespace gannet::store
