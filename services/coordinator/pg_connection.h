#pragma once

#include "libs/config/config.h"
#include "libs/telemetry/log.h"
#include "services/coordinator/coordinator_server.h"

namespace gannet::coordinator {

// How the coordinator reaches the PostgreSQL that the settings name.
// Ownership and lifetime: the log must outlive every backend made.
CoordinatorServer::Connect ConnectToDatabase(const config::Config& config, telemetry::Logger& log);

}  // namespace gannet::coordinator
