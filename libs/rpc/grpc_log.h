#pragma once

namespace gannet::rpc {

// Keeps gRPC from writing to stderr by itself: what it would say comes as a status as well, and
// better said. GRPC_VERBOSITY, when it is set, wins. Call it before anything of gRPC.
void SilenceGrpcLog();

}  // namespace gannet::rpc
