// gannet-gateway lets workers reach a run by one outbound gRPC connection, in front of its
// PostgreSQL.
//
//   gannet-gateway --database.url postgres://gannet@db.example/gannet --gateway.listen
//   0.0.0.0:50051
#include <iostream>
#include <memory>

#include "absl/time/clock.h"
#include "libs/base/clock.h"
#include "libs/base/malloc_tuning.h"
#include "libs/base/process_signals.h"
#include "libs/base/standard_output.h"
#include "libs/config/config.h"
#include "libs/config/flags.h"
#include "libs/config/version.h"
#include "libs/pg/connection_params.h"
#include "libs/rpc/grpc_log.h"
#include "libs/rpc/health_probe.h"
#include "libs/store/pg_backend.h"
#include "libs/telemetry/log.h"
#include "services/gateway/gateway_config.h"
#include "services/gateway/gateway_server.h"

namespace gannet::gateway {
namespace {

// How the gateway reaches its database, again after each time that it was away. The result refers
// to the arguments, which must outlive it.
GatewayServer::Connect ConnectToDatabase(const config::Config& config, telemetry::Logger& log) {
  return [&config, &log](telemetry::Metrics& metrics) -> absl::StatusOr<GatewayBackend> {
    auto created = store::PgBackend::Create({.url = config.database.url,
                                             .password_file = config.database.password_file,
                                             .pool_size = config.database.pool_size,
                                             .application_name = "gannet-gateway"},
                                            log, metrics);
    if (!created.ok()) return created.status();
    std::shared_ptr<store::PgBackend> backend = *std::move(created);
    return GatewayBackend{.owner = backend,
                          .exchange = &backend->exchange(),
                          .signal = &backend->work_signal(),
                          .probe = [raw = backend.get()] { return raw->Ping(); },
                          .reports = &backend->gateway_reports()};
  };
}

void LogListening(const config::Config& config, const GatewayServerOptions& options,
                  GatewayServer& server, telemetry::Logger& log) {
  const bool tls = !config.gateway.tls_cert_file.empty();
  if (!tls && !config::IsLoopbackAddress(config.gateway.listen)) {
    log.Warning(
        "plaintext: anybody on the way can read class code and weights; set gateway.tls_cert_file "
        "and gateway.tls_key_file");
  }
  log.Info("listening", {{"port", server.port()},
                         {"tls", tls ? "yes" : "no"},
                         {"class_code", options.class_code.empty() ? "not asked for" : "asked for"},
                         {"health_port", server.health_port()},
                         {"metrics_port", server.metrics_port()}});
}

int Main(int argc, char** argv) {
  base::HoldStandardFiles();
  base::TuneMalloc();
  base::ProcessSignals signals;
  rpc::SilenceGrpcLog();

  const absl::StatusOr<config::ServiceFlags> flags = config::ParseServiceFlags(
      argc, argv, "gannet-gateway", "Lets workers reach a run by gRPC, in front of PostgreSQL.",
      config::HealthFlag::kOffered);
  if (!flags.ok()) return config::FailUsage(flags.status());
  if (!flags->print.empty()) {
    std::cout << flags->print;
    return base::FinishStandardOutput("gannet-gateway", config::kExitOk);
  }
  const absl::StatusOr<config::Config> config = config::LoadConfig(flags->command_line);
  if (!config.ok()) return config::FailUsage(config.status());
  if (flags->health) {
    return base::FinishStandardOutput(
        "gannet-gateway",
        rpc::AnswerHealth("gateway.health_listen", config->gateway.health_listen));
  }
  const absl::Status files = config::CheckNamedFiles(*config, {"database.password_file"});
  if (!files.ok()) return config::FailUsage(files);
  const absl::Status database = pg::CheckDatabaseUrl("database.url", config->database.url);
  if (!database.ok()) return config::FailUsage(config::WithOrigins(*config, database));

  base::RealClock clock;
  telemetry::Logger log("gateway",
                        telemetry::LogOptions::FromWords(config->log.level, config->log.format));
  for (const std::string& warning : config->warnings) log.Warning(warning);
  log.Info("starting", {{"version", config::GannetVersion()}});
  log.Debug("effective settings", {{"config", config::DumpConfig(*config)}});
  const auto options = GatewayOptionsFrom(*config, absl::Now());
  if (!options.ok()) {
    log.Error("cannot start", {{"reason", config::WithOrigins(*config, options.status())}});
    return config::kExitUsage;
  }
  auto server = GatewayServer::Start(*options, clock, log);
  if (!server.ok()) {
    log.Error("cannot start", {{"reason", server.status()}});
    return config::kExitFailure;
  }
  LogListening(*config, *options, **server, log);

  absl::Status status;
  signals.RunUntilDone([&] { status = (*server)->Run(ConnectToDatabase(*config, log)); },
                       [&](int signal) {
                         log.Info(
                             "stopping, calls in progress may finish; a second signal ends at once",
                             {{"signal", signal}});
                         (*server)->RequestStop();
                       });
  if (status.ok()) {
    log.Info("stopped");
  } else {
    log.Error("ended", {{"reason", status}});
  }
  log.Flush();
  if (status.ok()) return config::kExitOk;
  return absl::IsInvalidArgument(status) ? config::kExitUsage : config::kExitFailure;
}

}  // namespace
}  // namespace gannet::gateway

int main(int argc, char** argv) { return gannet::gateway::Main(argc, argv); }
