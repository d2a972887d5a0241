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

namespace gannet::worker {
namespace {

int Main(int argc, char** argv) {
  base::HoldStandardFiles();
  base::TuneMalloc();
  base::ProcessSignals signals;
  rpc::SilenceGrpcLog();
  const absl::StatusOr<config::ServiceFlags> flags =
      config::ParseServiceFlags(argc, argv, "gannet-worker", "Computes gradients for a run.");
  if (!flags.ok()) return config::FailUsage(flags.status());
  if (!flags->print.empty()) {
    std::cout << flags->print;
    return base::FinishStandardOutput("gannet-worker", config::kExitOk);
  }
  const absl::StatusOr<config::Config> config = config::LoadConfig(flags->command_line);
  if (!config.ok()) return config::FailUsage(config.status());
  const absl::Status files = CheckWorkerFiles(*config);
  if (!files.ok()) return config::FailUsage(config::WithOrigins(*config, files));

  base::RealClock clock;
  telemetry::Logger log("worker",
                        telemetry::LogOptions::FromWords(config->log.level, config->log.format));
  for (const std::string& warning : config->warnings) log.Warning(warning);
  WorkerServer server(*config, clock, log);

  absl::StatusOr<WorkerReport> report = absl::UnknownError("not run");
  signals.RunUntilDone(
      [&] { report = server.Run(); },
      [&](int signal) {
        log.Info("stopping, the unit being computed is released; a second signal ends at once",
                 {{"signal", signal}});
        server.RequestStop();
      });
  if (report.ok()) return config::kExitOk;
  log.Error("ended", {{"reason", report.status()}});
  return config::kExitFailure;
}

}  // namespace
}  // namespace gannet::worker

int main(int argc, char** argv) { return gannet::worker::Main(argc, argv); }
