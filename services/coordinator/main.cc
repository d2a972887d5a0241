// gannet-coordinator leads a run: it plans rounds, folds gradients, makes the optimizer step and
// publishes, until the run ends or Ctrl-C.
//
//   gannet-coordinator --config class.yaml
#include <iostream>

#include "libs/base/clock.h"
#include "libs/base/malloc_tuning.h"
#include "libs/base/periodic_runner.h"
#include "libs/base/process_signals.h"
#include "libs/base/standard_output.h"
#include "libs/config/config.h"
#include "libs/config/flags.h"
#include "libs/config/version.h"
#include "libs/gan/gan.h"
#include "libs/pg/connection_params.h"
#include "libs/rpc/grpc_log.h"
#include "libs/rpc/health_probe.h"
#include "libs/telemetry/log.h"
#include "services/coordinator/coordinator_config.h"
#include "services/coordinator/coordinator_server.h"
#include "services/coordinator/output_folder.h"
#include "services/coordinator/pg_connection.h"
#include "services/coordinator/settings_file_watch.h"

namespace {

// Tells of a change in the file of settings where somebody looks: in the log, beside what else goes
// on.
void WarnOfChangedSettings(gannet::coordinator::SettingsFileWatch& settings,
                           const std::string& path, gannet::Logger& log) {
  if (!settings.Changed()) return;
  log.Warning(
      "the file of settings has changed: nothing of it holds before a restart of the coordinator "
      "(and of the gateway), and what belongs to the run is changed by gannet set or needs "
      "another run.name",
      {{"file", path}});
}

}  // namespace

int main(int argc, char** argv) {
  gannet::HoldStandardFiles();
  gannet::TuneMalloc();
  gannet::ProcessSignals signals;
  gannet::SilenceGrpcLog();
  const auto flags = gannet::ParseServiceFlags(argc, argv, "gannet-coordinator",
                                               "Leads a run from its first round to its last.",
                                               gannet::HealthFlag::kOffered);
  if (!flags.ok()) return gannet::FailUsage(flags.status());
  if (!flags->print.empty()) {
    std::cout << flags->print;
    return gannet::FinishStandardOutput("gannet-coordinator", gannet::kExitOk);
  }
  const absl::StatusOr<gannet::Config> config = gannet::LoadConfig(flags->command_line);
  if (!config.ok()) return gannet::FailUsage(config.status());
  if (flags->health) {
    return gannet::FinishStandardOutput(
        "gannet-coordinator",
        gannet::AnswerHealth("coordinator.admin_listen", config->coordinator.admin_listen));
  }
  const absl::Status files = gannet::CheckNamedFiles(*config, {"database.password_file"});
  if (!files.ok()) return gannet::FailUsage(files);
  const absl::Status database = gannet::CheckDatabaseUrl("database.url", config->database.url);
  if (!database.ok()) return gannet::FailUsage(gannet::WithOrigins(*config, database));
  gannet::ConfigureCompute(config->coordinator.threads);
  const auto options = gannet::coordinator::MakeCoordinatorServerOptions(*config);
  if (!options.ok()) return gannet::FailUsage(gannet::WithOrigins(*config, options.status()));

  gannet::RealClock clock;
  gannet::Logger log("coordinator",
                     gannet::LogOptions::FromWords(config->log.level, config->log.format));
  const auto folder =
      gannet::coordinator::OwnOutputFolder(config->coordinator.output_dir, config->run.name, log);
  if (!folder.ok()) {
    log.Error("cannot start", {{"reason", folder.status()}});
    return gannet::kExitUsage;
  }
  const auto server = gannet::coordinator::CoordinatorServer::Start(*options, clock, log);
  if (!server.ok()) {
    log.Error("cannot start", {{"reason", server.status()}});
    return gannet::kExitFailure;
  }
  log.Info("started", {{"version", gannet::GannetVersion()},
                       {"run", config->run.name},
                       {"data", options->coordinator.run.data.description},
                       {"compute", gannet::DescribeCompute().text},
                       {"admin_port", (*server)->admin_port()},
                       {"metrics_port", (*server)->metrics_port()},
                       {"output_dir", config->coordinator.output_dir}});
  const std::string& path = flags->command_line.config_path;
  gannet::coordinator::SettingsFileWatch settings(path);
  const gannet::PeriodicRunner watch(absl::Seconds(5),
                                     [&] { WarnOfChangedSettings(settings, path, log); });
  log.Debug("effective settings", {{"config", gannet::DumpConfig(*config)}});

  absl::StatusOr<gannet::coordinator::CoordinatorReport> report = absl::UnknownError("not run");
  signals.RunUntilDone(
      [&] { report = (*server)->Run(gannet::coordinator::ConnectToDatabase(*config, log)); },
      [&](int signal) {
        log.Info("stopping after what is in progress; once more ends at once",
                 {{"signal", signal}});
        (*server)->RequestStop();
      });
  if (report.ok()) return gannet::kExitOk;
  log.Error("ended", {{"reason", report.status()}});
  return absl::IsInvalidArgument(report.status()) ? gannet::kExitUsage : gannet::kExitFailure;
}
