#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/channel.h"

namespace gannet::rpc {

// Asks the health service of a server (grpc.health.v1.Health/Check) whether `service` is serving;
// "" means the whole server. Returns: NOT_FOUND - the server does not know that service;
// UNAVAILABLE, DEADLINE_EXCEEDED.
absl::StatusOr<bool> ProbeHealth(const std::shared_ptr<grpc::Channel>& channel,
                                 const std::string& service, absl::Duration limit);

// What a program answers to --health: asks the server that listens at `listen`, the value of the
// setting `key`, writes the answer to stdout and returns the exit code, 0 when it is serving and 1
// when not.
int AnswerHealth(const std::string& key, const std::string& listen);

}  // namespace gannet::rpc
