#include "services/worker/gateway_connection.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/pem.h"
#include "libs/base/status_macros.h"
#include "libs/rpc/tls.h"

namespace gannet::worker {
namespace {

// The authorities to trust; an empty text means those of the operating system.
absl::StatusOr<rpc::PemText> ReadAuthorities(const config::Config::Worker& worker) {
  rpc::PemText authorities;
  if (!worker.ca_file.empty()) {
    authorities.source = absl::StrCat("worker.ca_file '", worker.ca_file, "'");
    GANNET_ASSIGN_OR_RETURN(const std::string text,
                            config::ReadNamedFile("worker.ca_file", worker.ca_file));
    authorities.text = base::NormalizePem(text);
  } else if (!worker.ca.empty()) {
    authorities.source = "worker.ca";
    absl::StatusOr<std::string> pem = rpc::PemFromCompact(worker.ca);
    if (!pem.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("worker.ca is ", pem.status().message()));
    }
    authorities.text = *std::move(pem);
  }
  return authorities;
}

}  // namespace

absl::StatusOr<client::GrpcExchangeOptions> GatewayConnectionFrom(const config::Config& config,
                                                                  absl::Time now) {
  const config::Config::Worker& worker = config.worker;
  client::GrpcExchangeOptions options;
  options.channel.target = worker.exchange;
  options.class_code = worker.class_code;
  if (!worker.class_code_file.empty()) {
    GANNET_ASSIGN_OR_RETURN(options.class_code, config::ReadTokenFile("worker.class_code_file",
                                                                      worker.class_code_file));
  }
  GANNET_ASSIGN_OR_RETURN(const rpc::PemText authorities, ReadAuthorities(worker));
  const bool loopback = config::IsLoopbackAddress(worker.exchange);
  if (authorities.text.empty() && (loopback || worker.allow_plaintext)) return options;
  GANNET_ASSIGN_OR_RETURN(options.channel.credentials, rpc::MakeChannelTls(authorities, now));
  return options;
}

}  // namespace gannet::worker
