// gannet steers a training from the command line.
//
//   gannet watch --config class.yaml

#include <csignal>

#include "cli/cli_state.h"
#include "libs/base/standard_output.h"
#include "libs/base/temporary_files.h"
#include "libs/rpc/grpc_log.h"

int main(int argc, char** argv) {
  gannet::base::HoldStandardFiles();
  // A reader that goes away (gannet train-local | head) must not end a training, and ends a listing
  // without a word.
  std::signal(SIGPIPE, SIG_IGN);
  gannet::base::RemoveTemporaryFilesOnSignal();
  gannet::rpc::SilenceGrpcLog();
  return gannet::base::FinishStandardOutput("gannet", gannet::cli::RunCli(argc, argv));
}
