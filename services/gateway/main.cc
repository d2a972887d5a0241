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
gannet::gateway::GatewayServer::Connect ConnectToDatabase(const gannet::Config& config,
                                                          gannet::Logger& log) {
  return [&config,
          &log](gannet::Metrics& metrics) -> absl::StatusOr<gannet::gateway::GatewayBackend> {
    auto created = gannet::PgBackend::Create({.url = config.database.url,
                                              .password_file = config.database.password_file,
                                              .pool_size = config.database.pool_size,
                                              .application_name = "gannet-gateway"},
                                             log, metrics);
    if (!created.ok()) return created.status();
    std::shared_ptr<gannet::PgBackend> backend = *std::move(created);
    return gannet::gateway::GatewayBackend{.owner = backend,
                                           .exchange = &backend->exchange(),
                                           .signal = &backend->work_signal(),
                                           .probe = [raw = backend.get()] { return raw->Ping(); },
                                           .reports = &backend->gateway_reports()};
  };
}

void LogListening(const gannet::Config& config,
                  const gannet::gateway::GatewayServerOptions& options,
                  gannet::gateway::GatewayServer& server, gannet::Logger& log) {
  const bool tls = !config.gateway.tls_cert_file.empty();
  if (!tls && !gannet::IsLoopbackAddress(config.gateway.listen)) {
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
  gannet::HoldStandardFiles();
  gannet::TuneMalloc();
  gannet::ProcessSignals signals;
  gannet::SilenceGrpcLog();

  const absl::StatusOr<gannet::ServiceFlags> flags = gannet::ParseServiceFlags(
      argc, argv, "gannet-gateway", "Lets workers reach a run by gRPC, in front of PostgreSQL.",
      gannet::HealthFlag::kOffered);
  if (!flags.ok()) return gannet::FailUsage(flags.status());
  if (!flags->print.empty()) {
    std::cout << flags->print;
    return gannet::FinishStandardOutput("gannet-gateway", gannet::kExitOk);
  }
  const absl::StatusOr<gannet::Config> config = gannet::LoadConfig(flags->command_line);
  if (!config.ok()) return gannet::FailUsage(config.status());
  if (flags->health) {
    return gannet::FinishStandardOutput(
        "gannet-gateway",
        gannet::AnswerHealth("gateway.health_listen", config->gateway.health_listen));
  }
  const absl::Status files = gannet::CheckNamedFiles(*config, {"database.password_file"});
  if (!files.ok()) return gannet::FailUsage(files);
  const absl::Status database = gannet::CheckDatabaseUrl("database.url", config->database.url);
  if (!database.ok()) return gannet::FailUsage(gannet::WithOrigins(*config, database));

  gannet::RealClock clock;
  gannet::Logger log("gateway",
                     gannet::LogOptions::FromWords(config->log.level, config->log.format));
  log.Info("starting", {{"version", gannet::GannetVersion()}});
  log.Debug("effective settings", {{"config", gannet::DumpConfig(*config)}});
  const auto options = gannet::gateway::GatewayOptionsFrom(*config, absl::Now());
  if (!options.ok()) {
    log.Error("cannot start", {{"reason", gannet::WithOrigins(*config, options.status())}});
    return gannet::kExitUsage;
  }
  auto server = gannet::gateway::GatewayServer::Start(*options, clock, log);
  if (!server.ok()) {
    log.Error("cannot start", {{"reason", server.status()}});
    return gannet::kExitFailure;
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
  if (status.ok()) return gannet::kExitOk;
  return absl::IsInvalidArgument(status) ? gannet::kExitUsage : gannet::kExitFailure;
}
