// gannet-gateway lets workers reach a run by one outbound gRPC connection, in front of its
// PostgreSQL.
//
//   gannet-gateway --database.url postgres://gannet@db.example/gannet --gateway.listen
//   0.0.0.0:50051
#include <cstdlib>
#include <iostream>
#include <memory>

#include "libs/base/clock.h"
#include "libs/base/malloc_tuning.h"
#include "libs/base/process_signals.h"
#include "libs/config/config.h"
#include "libs/config/flags.h"
#include "libs/config/version.h"
#include "libs/store/pg_backend.h"
#include "libs/telemetry/log.h"
#include "services/gateway/gateway_config.h"
#include "services/gateway/gateway_server.h"

int main(int argc, char** argv) {
  gannet::TuneMalloc();
  gannet::ProcessSignals signals;
  // What gRPC would write to stderr by itself comes as a status as well, and better said.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);

  const absl::StatusOr<gannet::ServiceFlags> flags = gannet::ParseServiceFlags(
      argc, argv, "gannet-gateway", "Lets workers reach a run by gRPC, in front of PostgreSQL.");
  if (!flags.ok()) return gannet::FailUsage(flags.status());
  if (!flags->print.empty()) {
    std::cout << flags->print;
    return gannet::kExitOk;
  }
  const absl::StatusOr<gannet::Config> config = gannet::LoadConfig(flags->command_line);
  if (!config.ok()) return gannet::FailUsage(config.status());

  gannet::RealClock clock;
  gannet::Logger log("gateway",
                     gannet::LogOptions::FromWords(config->log.level, config->log.format));
  log.Info("starting",
           {{"version", gannet::GannetVersion()}, {"config", gannet::DumpConfig(*config)}});
  auto server = gannet::GatewayServer::Start(gannet::GatewayOptionsFrom(*config), clock, log);
  if (!server.ok()) {
    log.Error("cannot start", {{"status", server.status()}});
    return gannet::kExitFailure;
  }
  log.Info("listening", {{"port", (*server)->port()}, {"metrics_port", (*server)->metrics_port()}});

  const auto connect = [&](gannet::Metrics& metrics) -> absl::StatusOr<gannet::GatewayBackend> {
    auto created = gannet::PgBackend::Create({.url = config->database.url,
                                              .password_file = config->database.password_file,
                                              .pool_size = config->database.pool_size,
                                              .application_name = "gannet-gateway"},
                                             log, metrics);
    if (!created.ok()) return created.status();
    std::shared_ptr<gannet::PgBackend> backend = *std::move(created);
    return gannet::GatewayBackend{.owner = backend,
                                  .exchange = &backend->exchange(),
                                  .signal = &backend->work_signal(),
                                  .probe = [raw = backend.get()] { return raw->Ping(); }};
  };
  absl::Status status;
  signals.RunUntilDone([&] { status = (*server)->Run(connect); },
                       [&](int signal) {
                         log.Info("stopping, calls in progress may end; once more ends at once",
                                  {{"signal", signal}});
                         (*server)->RequestStop();
                       });
  if (!status.ok()) log.Error("ended", {{"status", status}});
  log.Info("stopped");
  log.Flush();
  return status.ok() ? gannet::kExitOk : gannet::kExitFailure;
}
