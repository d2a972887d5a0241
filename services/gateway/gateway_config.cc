#include "services/gateway/gateway_config.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/base/pem.h"
#include "libs/base/status_macros.h"
#include "libs/rpc/tls.h"

namespace gannet::gateway {

namespace {

absl::StatusOr<rpc::PemText> ReadPem(const std::string& key, const std::string& path) {
  GANNET_ASSIGN_OR_RETURN(const std::string text, config::ReadNamedFile(key, path));
  return rpc::PemText{base::NormalizePem(text), absl::StrCat(key, " '", path, "'")};
}

}  // namespace

absl::StatusOr<GatewayServerOptions> GatewayOptionsFrom(const config::Config& config,
                                                        absl::Time now) {
  GatewayServerOptions options;
  if (!config.gateway.tls_cert_file.empty()) {
    GANNET_ASSIGN_OR_RETURN(const rpc::PemText certificate,
                            ReadPem("gateway.tls_cert_file", config.gateway.tls_cert_file));
    GANNET_ASSIGN_OR_RETURN(const rpc::PemText key,
                            ReadPem("gateway.tls_key_file", config.gateway.tls_key_file));
    GANNET_ASSIGN_OR_RETURN(options.rpc.credentials, rpc::MakeServerTls(certificate, key, now));
  }
  if (!config.gateway.class_code_file.empty()) {
    GANNET_ASSIGN_OR_RETURN(
        options.class_code,
        config::ReadTokenFile("gateway.class_code_file", config.gateway.class_code_file));
  }
  options.health_listen = config.gateway.health_listen;
  options.rpc.listen = config.gateway.listen;
  options.metrics_listen = config.gateway.metrics_listen;
  options.drain_limit = config.gateway.drain_limit;
  options.service.max_payload_bytes = config.gateway.max_payload_bytes;
  options.service.max_inflight_bytes = config.gateway.max_inflight_bytes;
  options.service.bulk_threads = std::max(1, config.database.pool_size / 2);
  options.service.control_threads =
      std::max(1, config.database.pool_size - options.service.bulk_threads);
  // Claims leave half of the threads to everything else.
  options.service.claims.max_concurrent_polls = std::max(1, options.service.control_threads / 2);
  return options;
}

}  // namespace gannet::gateway
