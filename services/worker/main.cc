// gannet-worker lends this machine to a run: it computes gradients until the run ends or Ctrl-C.
//
//   gannet-worker --worker.exchange gateway.example:50051 --worker.name "Ada's laptop"
#include <iostream>

#include "libs/base/clock.h"
#include "libs/base/malloc_tuning.h"
#include "libs/base/process_signals.h"
#include "libs/base/standard_output.h"
#include "libs/config/config.h"
#include "libs/config/flags.h"
#include "libs/rpc/grpc_log.h"
#include "libs/telemetry/log.h"
#include "services/worker/worker_server.h"

int main(int argc, char** argv) {
  gannet::HoldStandardFiles();
  gannet::TuneMalloc();
  gannet::ProcessSignals signals;
  gannet::SilenceGrpcLog();
  const absl::StatusOr<gannet::ServiceFlags> flags =
      gannet::ParseServiceFlags(argc, argv, "gannet-worker", "Computes gradients for a run.");
  if (!flags.ok()) return gannet::FailUsage(flags.status());
  if (!flags->print.empty()) {
    std::cout << flags->print;
    return gannet::FinishStandardOutput("gannet-worker", gannet::kExitOk);
  }
  const absl::StatusOr<gannet::Config> config = gannet::LoadConfig(flags->command_line);
  if (!config.ok()) return gannet::FailUsage(config.status());
  const absl::Status files = gannet::worker::CheckWorkerFiles(*config);
  if (!files.ok()) return gannet::FailUsage(gannet::WithOrigins(*config, files));

  gannet::RealClock clock;
  gannet::Logger log("worker",
                     gannet::LogOptions::FromWords(config->log.level, config->log.format));
  gannet::worker::WorkerServer server(*config, clock, log);

  absl::StatusOr<gannet::worker::WorkerReport> report = absl::UnknownError("not run");
  signals.RunUntilDone([&] { report = server.Run(); },
                       [&](int signal) {
                         log.Info(
                             "stopping, the unit in work is given back; once more ends at once",
                             {{"signal", signal}});
                         server.RequestStop();
                       });
  if (report.ok()) return gannet::kExitOk;
  log.Error("ended", {{"reason", report.status()}});
  return gannet::kExitFailure;
}
