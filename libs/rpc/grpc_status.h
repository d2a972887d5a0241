#pragma once

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace gannet::rpc {

// Status codes of Abseil and gRPC have the same numbers; these carry code and message across.
// Messages longer than 2,000 bytes are cut, because they travel in HTTP headers, which every hop
// limits.
grpc::Status ToGrpcStatus(const absl::Status& status);
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace gannet::rpc
