#pragma once

#include "libs/config/config.h"
#include "services/gateway/gateway_server.h"

namespace gannet {

// What the settings say about a gateway. The database's connections are shared between short calls
// and transfers, half each, so that uploads never hold up heartbeats. `config` has passed
// LoadConfig, which names everything that does not fit together.
GatewayServerOptions GatewayOptionsFrom(const Config& config);

}  // namespace gannet
