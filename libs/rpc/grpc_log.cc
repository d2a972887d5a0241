#include "libs/rpc/grpc_log.h"

#include <cstdlib>

namespace gannet {

void SilenceGrpcLog() { setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0); }

}  // namespace gannet
