#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/channel.h"

namespace gannet {

// Asks the health service of a server (grpc.health.v1.Health/Check) whether `service` is serving;
// "" means the whole server. Returns: NOT_FOUND - the server does not know that service;
// UNAVAILABLE, DEADLINE_EXCEEDED.
absl::StatusOr<bool> ProbeHealth(const std::shared_ptr<grpc::Channel>& channel,
                                 const std::string& service, absl::Duration limit);

}  // namespace gannet
