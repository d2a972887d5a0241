// gannet steers a training from the command line.
//
//   gannet watch --config class.yaml

#include "cli/cli_state.h"
#include "libs/rpc/grpc_log.h"

int main(int argc, char** argv) {
  gannet::SilenceGrpcLog();
  return gannet::RunCli(argc, argv);
}
