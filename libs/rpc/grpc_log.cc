#include "libs/rpc/grpc_log.h"

#include <cstdlib>

namespace gannet::rpc {

void SilenceGrpcLog() { setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0); }

}  // namespace gannet::rpc
