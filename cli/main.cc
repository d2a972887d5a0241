// gannet steers a training from the command line.
//
//   gannet watch --config class.yaml
#include <cstdlib>

#include "cli/cli_state.h"

int main(int argc, char** argv) {
  // What gRPC would write to stderr by itself comes as a status as well, and better said.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  return gannet::RunCli(argc, argv);
}
