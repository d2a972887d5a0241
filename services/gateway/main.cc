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

namespace {

// How the gateway reaches its database, again after each time that it was away. The result refers
// to the arguments, which must outlive it.
gannet::gateway::GatewayServer::Connect ConnectToDatabase(const gannet::config::Config& config,
                                                          gannet::telemetry::Logger& log) {
  return [&config, &log](gannet::telemetry::Metrics& metrics)
             -> absl::StatusOr<gannet::gateway::GatewayBackend> {
    auto created = gannet::store::PgBackend::Create({.url = config.database.url,
                                                     .password_file = config.database.password_file,
                                                     .pool_size = config.database.pool_size,
                                                     .application_name = "gannet-gateway"},
                                                    log, metrics);
    if (!created.ok()) return created.status();
    std::shared_ptr<gannet::store::PgBackend> backend = *std::move(created);
    return gannet::gateway::GatewayBackend{.owner = backend,
                                           .exchange = &backend->exchange(),
                                           .signal = &backend->work_signal(),
                                           .probe = [raw = backend.get()] { return raw->Ping(); },
                                           .reports = &backend->gateway_reports()};
  };
}

void LogListening(const gannet::config::Config& config,
                  const gannet::gateway::GatewayServerOptions& options,
                  gannet::gateway::GatewayServer& server, gannet::telemetry::Logger& log) {
  const bool tls = !config.gateway.tls_cert_file.empty();
  if (!tls && !gannet::config::IsLoopbackAddress(config.gateway.listen)) {
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

}  // namespace

int main(int argc, char** argv) {
  gannet::base::HoldStandardFiles();
  gannet::base::TuneMalloc();
  gannet::base::ProcessSignals signals;
  gannet::rpc::SilenceGrpcLog();

  const absl::StatusOr<gannet::config::ServiceFlags> flags = gannet::config::ParseServiceFlags(
      argc, argv, "gannet-gateway", "Lets workers reach a run by gRPC, in front of PostgreSQL.",
      gannet::config::HealthFlag::kOffered);
  if (!flags.ok()) return gannet::config::FailUsage(flags.status());
  if (!flags->print.empty()) {
    std::cout << flags->print;
    return gannet::base::FinishStandardOutput("gannet-gateway", gannet::config::kExitOk);
  }
  const absl::StatusOr<gannet::config::Config> config =
      gannet::config::LoadConfig(flags->command_line);
  if (!config.ok()) return gannet::config::FailUsage(config.status());
  if (flags->health) {
    return gannet::base::FinishStandardOutput(
        "gannet-gateway",
        gannet::rpc::AnswerHealth("gateway.health_listen", config->gateway.health_listen));
  }
  const absl::Status files = gannet::config::CheckNamedFiles(*config, {"database.password_file"});
  if (!files.ok()) return gannet::config::FailUsage(files);
  const absl::Status database = gannet::pg::CheckDatabaseUrl("database.url", config->database.url);
  if (!database.ok())
    return gannet::config::FailUsage(gannet::config::WithOrigins(*config, database));

  gannet::base::RealClock clock;
  gannet::telemetry::Logger log(
      "gateway", gannet::telemetry::LogOptions::FromWords(config->log.level, config->log.format));
  log.Info("starting", {{"version", gannet::config::GannetVersion()}});
  log.Debug("effective settings", {{"config", gannet::config::DumpConfig(*config)}});
  const auto options = gannet::gateway::GatewayOptionsFrom(*config, absl::Now());
  if (!options.ok()) {
    log.Error("cannot start", {{"reason", gannet::config::WithOrigins(*config, options.status())}});
    return gannet::config::kExitUsage;
  }
  auto server = gannet::gateway::GatewayServer::Start(*options, clock, log);
  if (!server.ok()) {
    log.Error("cannot start", {{"reason", server.status()}});
    return gannet::config::kExitFailure;
  }
  LogListening(*config, *options, **server, log);

  absl::Status status;
  signals.RunUntilDone([&] { status = (*server)->Run(ConnectToDatabase(*config, log)); },
                       [&](int signal) {
                         log.Info("stopping, calls in progress may end; once more ends at once",
                                  {{"signal", signal}});
                         (*server)->RequestStop();
                       });
  if (status.ok()) {
    log.Info("stopped");
  } else {
    log.Error("ended", {{"reason", status}});
  }
  log.Flush();
  if (status.ok()) return gannet::config::kExitOk;
  return absl::IsInvalidArgument(status) ? gannet::config::kExitUsage
                                         : gannet::config::kExitFailure;
}
