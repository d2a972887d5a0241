#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/client/grpc_exchange.h"
#include "libs/config/config.h"

namespace gannet::worker {

// How the settings say to reach the gateway of worker.exchange:
//
//   ca or ca_file given             TLS, trusting that authority only
//   a loopback address              plaintext
//   worker.allow_plaintext is true  plaintext
//   else                            TLS, trusting what the operating system trusts
//
// The class code is only shown to a gateway that is reached that way. Returns: NOT_FOUND,
// PERMISSION_DENIED, INVALID_ARGUMENT, FAILED_PRECONDITION - a file cannot be used, naming its key
// and what to do.
absl::StatusOr<client::GrpcExchangeOptions> GatewayConnectionFrom(const config::Config& config,
                                                                  absl::Time now);

}  // namespace gannet::worker
