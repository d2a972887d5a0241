#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/config/config.h"
#include "services/gateway/gateway_server.h"

namespace gannet::gateway {

// What the settings say about a gateway. The database's connections are shared between short calls
// and transfers, half each, so that uploads never hold up heartbeats. `config` has passed
// LoadConfig, which names everything that does not fit together. Reads the files of certificate,
// key and class code; `now` is what the certificate's time is compared with. Returns: NOT_FOUND,
// PERMISSION_DENIED, INVALID_ARGUMENT, FAILED_PRECONDITION - one of them cannot be used, naming
// key, file and what to do.
absl::StatusOr<GatewayServerOptions> GatewayOptionsFrom(const config::Config& config,
                                                        absl::Time now);

}  // namespace gannet::gateway
