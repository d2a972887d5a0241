#include "services/coordinator/pg_connection.h"

#include <memory>
#include <utility>

#include "libs/base/status_macros.h"
#include "libs/store/pg_backend.h"

namespace gannet::coordinator {

CoordinatorServer::Connect ConnectToDatabase(const config::Config& config, telemetry::Logger& log) {
  store::PgBackendOptions options;
  options.url = config.database.url;
  options.password_file = config.database.password_file;
  options.pool_size = config.database.pool_size;
  options.application_name = "gannet-coordinator";
  options.end_holding_sessions_after = store::kEndHoldingSessionsAfter;
  return [options, &log](telemetry::Metrics& metrics) -> absl::StatusOr<CoordinatorBackend> {
    GANNET_ASSIGN_OR_RETURN(std::shared_ptr<store::PgBackend> backend,
                            store::PgBackend::Create(options, log, metrics));
    CoordinatorBackend result;
    result.store = &backend->store();
    result.gateways = &backend->gateway_reports();
    result.owner = std::move(backend);
    return result;
  };
}

}  // namespace gannet::coordinator
