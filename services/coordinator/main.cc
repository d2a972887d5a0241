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
                           const std::string& path, gannet::telemetry::Logger& log) {
  if (!settings.Changed()) return;
  log.Warning(
      "the file of settings has changed: nothing of it holds before a restart of the coordinator "
      "(and of the gateway), and what belongs to the run is changed by gannet set or needs "
      "another run.name",
      {{"file", path}});
}

}  // namespace

int main(int argc, char** argv) {
  gannet::base::HoldStandardFiles();
  gannet::base::TuneMalloc();
  gannet::base::ProcessSignals signals;
  gannet::rpc::SilenceGrpcLog();
  const auto flags = gannet::config::ParseServiceFlags(
      argc, argv, "gannet-coordinator", "Leads a run from its first round to its last.",
      gannet::config::HealthFlag::kOffered);
  if (!flags.ok()) return gannet::config::FailUsage(flags.status());
  if (!flags->print.empty()) {
    std::cout << flags->print;
    return gannet::base::FinishStandardOutput("gannet-coordinator", gannet::config::kExitOk);
  }
  const absl::StatusOr<gannet::config::Config> config =
      gannet::config::LoadConfig(flags->command_line);
  if (!config.ok()) return gannet::config::FailUsage(config.status());
  if (flags->health) {
    return gannet::base::FinishStandardOutput(
        "gannet-coordinator",
        gannet::rpc::AnswerHealth("coordinator.admin_listen", config->coordinator.admin_listen));
  }
  const absl::Status files = gannet::config::CheckNamedFiles(*config, {"database.password_file"});
  if (!files.ok()) return gannet::config::FailUsage(files);
  const absl::Status database = gannet::pg::CheckDatabaseUrl("database.url", config->database.url);
  if (!database.ok())
    return gannet::config::FailUsage(gannet::config::WithOrigins(*config, database));
  gannet::gan::ConfigureCompute(config->coordinator.threads);
  const auto options = gannet::coordinator::MakeCoordinatorServerOptions(*config);
  if (!options.ok())
    return gannet::config::FailUsage(gannet::config::WithOrigins(*config, options.status()));

  gannet::base::RealClock clock;
  gannet::telemetry::Logger log("coordinator", gannet::telemetry::LogOptions::FromWords(
                                                   config->log.level, config->log.format));
  const auto folder =
      gannet::coordinator::OwnOutputFolder(config->coordinator.output_dir, config->run.name, log);
  if (!folder.ok()) {
    log.Error("cannot start", {{"reason", folder.status()}});
    return gannet::config::kExitUsage;
  }
  const auto server = gannet::coordinator::CoordinatorServer::Start(*options, clock, log);
  if (!server.ok()) {
    log.Error("cannot start", {{"reason", server.status()}});
    return gannet::config::kExitFailure;
  }
  log.Info("started", {{"version", gannet::config::GannetVersion()},
                       {"run", config->run.name},
                       {"data", options->coordinator.run.data.description},
                       {"compute", gannet::gan::DescribeCompute().text},
                       {"admin_port", (*server)->admin_port()},
                       {"metrics_port", (*server)->metrics_port()},
                       {"output_dir", config->coordinator.output_dir}});
  const std::string& path = flags->command_line.config_path;
  gannet::coordinator::SettingsFileWatch settings(path);
  const gannet::base::PeriodicRunner watch(absl::Seconds(5),
                                           [&] { WarnOfChangedSettings(settings, path, log); });
  log.Debug("effective settings", {{"config", gannet::config::DumpConfig(*config)}});

  absl::StatusOr<gannet::coordinator::CoordinatorReport> report = absl::UnknownError("not run");
  signals.RunUntilDone(
      [&] { report = (*server)->Run(gannet::coordinator::ConnectToDatabase(*config, log)); },
      [&](int signal) {
        log.Info("stopping after what is in progress; once more ends at once",
                 {{"signal", signal}});
        (*server)->RequestStop();
      });
  if (report.ok()) return gannet::config::kExitOk;
  log.Error("ended", {{"reason", report.status()}});
  return absl::IsInvalidArgument(report.status()) ? gannet::config::kExitUsage
                                                  : gannet::config::kExitFailure;
}
