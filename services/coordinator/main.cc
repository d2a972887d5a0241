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

namespace gannet::coordinator {
namespace {

// Tells of a change in the file of settings where somebody looks: in the log, beside what else goes
// on.
void WarnOfChangedSettings(SettingsFileWatch& settings, const std::string& path,
                           telemetry::Logger& log) {
  if (!settings.Changed()) return;
  log.Warning(
      "the file of settings has changed: nothing of it holds before a restart of the coordinator "
      "(and of the gateway), and what belongs to the run is changed by gannet set or needs "
      "another run.name",
      {{"file", path}});
}

int Main(int argc, char** argv) {
  base::HoldStandardFiles();
  base::TuneMalloc();
  base::ProcessSignals signals;
  rpc::SilenceGrpcLog();
  const auto flags = config::ParseServiceFlags(argc, argv, "gannet-coordinator",
                                               "Leads a run from its first round to its last.",
                                               config::HealthFlag::kOffered);
  if (!flags.ok()) return config::FailUsage(flags.status());
  if (!flags->print.empty()) {
    std::cout << flags->print;
    return base::FinishStandardOutput("gannet-coordinator", config::kExitOk);
  }
  const absl::StatusOr<config::Config> config = config::LoadConfig(flags->command_line);
  if (!config.ok()) return config::FailUsage(config.status());
  if (flags->health) {
    return base::FinishStandardOutput(
        "gannet-coordinator",
        rpc::AnswerHealth("coordinator.admin_listen", config->coordinator.admin_listen));
  }
  const absl::Status files = config::CheckNamedFiles(*config, {"database.password_file"});
  if (!files.ok()) return config::FailUsage(files);
  const absl::Status database = pg::CheckDatabaseUrl("database.url", config->database.url);
  if (!database.ok()) return config::FailUsage(config::WithOrigins(*config, database));
  gan::ConfigureCompute(config->coordinator.threads);
  const auto options = MakeCoordinatorServerOptions(*config);
  if (!options.ok()) return config::FailUsage(config::WithOrigins(*config, options.status()));

  base::RealClock clock;
  telemetry::Logger log("coordinator",
                        telemetry::LogOptions::FromWords(config->log.level, config->log.format));
  for (const std::string& warning : config->warnings) log.Warning(warning);
  const auto folder = OwnOutputFolder(config->coordinator.output_dir, config->run.name, log);
  if (!folder.ok()) {
    log.Error("cannot start", {{"reason", folder.status()}});
    return config::kExitUsage;
  }
  const auto server = CoordinatorServer::Start(*options, clock, log);
  if (!server.ok()) {
    log.Error("cannot start", {{"reason", server.status()}});
    return config::kExitFailure;
  }
  log.Info("started", {{"version", config::GannetVersion()},
                       {"run", config->run.name},
                       {"data", options->coordinator.run.data.description},
                       {"compute", gan::DescribeCompute().text},
                       {"admin_port", (*server)->admin_port()},
                       {"metrics_port", (*server)->metrics_port()},
                       {"output_dir", config->coordinator.output_dir}});
  const std::string& path = flags->command_line.config_path;
  SettingsFileWatch settings(path);
  const base::PeriodicRunner watch(absl::Seconds(5),
                                   [&] { WarnOfChangedSettings(settings, path, log); });
  log.Debug("effective settings", {{"config", config::DumpConfig(*config)}});

  absl::StatusOr<CoordinatorReport> report = absl::UnknownError("not run");
  signals.RunUntilDone([&] { report = (*server)->Run(ConnectToDatabase(*config, log)); },
                       [&](int signal) {
                         log.Info(
                             "stopping after the work in progress; a second signal ends at once",
                             {{"signal", signal}});
                         (*server)->RequestStop();
                       });
  if (report.ok()) return config::kExitOk;
  log.Error("ended", {{"reason", report.status()}});
  return absl::IsInvalidArgument(report.status()) ? config::kExitUsage : config::kExitFailure;
}

}  // namespace
}  // namespace gannet::coordinator

int main(int argc, char** argv) { return gannet::coordinator::Main(argc, argv); }
