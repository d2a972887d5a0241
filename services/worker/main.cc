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
  gannet::base::HoldStandardFiles();
  gannet::base::TuneMalloc();
  gannet::base::ProcessSignals signals;
  gannet::rpc::SilenceGrpcLog();
  const absl::StatusOr<gannet::config::ServiceFlags> flags = gannet::config::ParseServiceFlags(
      argc, argv, "gannet-worker", "Computes gradients for a run.");
  if (!flags.ok()) return gannet::config::FailUsage(flags.status());
  if (!flags->print.empty()) {
    std::cout << flags->print;
    return gannet::base::FinishStandardOutput("gannet-worker", gannet::config::kExitOk);
  }
  const absl::StatusOr<gannet::config::Config> config =
      gannet::config::LoadConfig(flags->command_line);
  if (!config.ok()) return gannet::config::FailUsage(config.status());
  const absl::Status files = gannet::worker::CheckWorkerFiles(*config);
  if (!files.ok()) return gannet::config::FailUsage(gannet::config::WithOrigins(*config, files));

  gannet::base::RealClock clock;
  gannet::telemetry::Logger log(
      "worker", gannet::telemetry::LogOptions::FromWords(config->log.level, config->log.format));
  gannet::worker::WorkerServer server(*config, clock, log);

  absl::StatusOr<gannet::worker::WorkerReport> report = absl::UnknownError("not run");
  signals.RunUntilDone([&] { report = server.Run(); },
                       [&](int signal) {
                         log.Info(
                             "stopping, the unit in work is given back; once more ends at once",
                             {{"signal", signal}});
                         server.RequestStop();
                       });
  if (report.ok()) return gannet::config::kExitOk;
  log.Error("ended", {{"reason", report.status()}});
  return gannet::config::kExitFailure;
}
