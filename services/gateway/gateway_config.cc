#include "services/gateway/gateway_config.h"

#include <algorithm>

namespace gannet {

GatewayServerOptions GatewayOptionsFrom(const Config& config) {
  GatewayServerOptions options;
  options.rpc.listen = config.gateway.listen;
  options.metrics_listen = config.gateway.metrics_listen;
  options.drain_limit = config.gateway.drain_limit;
  options.service.max_payload_bytes = config.gateway.max_payload_bytes;
  options.service.max_inflight_bytes = config.gateway.max_inflight_bytes;
  options.service.bulk_threads = std::max(1, config.database.pool_size / 2);
  options.service.control_threads =
      std::max(1, config.database.pool_size - options.service.bulk_threads);
  // Claims leave half of the threads to everything else.
  options.service.claims.max_looks_at_once = std::max(1, options.service.control_threads / 2);
  return options;
}

}  // namespace gannet
