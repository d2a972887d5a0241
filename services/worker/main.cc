// gannet-worker lends this machine to a run: it computes gradients until the run ends or Ctrl-C.
//
//   gannet-worker --worker.exchange gateway.example:50051 --worker.name "Ada's laptop"
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <iostream>
#include <thread>

#include "libs/base/clock.h"
#include "libs/config/config.h"
#include "libs/config/flags.h"
#include "libs/telemetry/log.h"
#include "services/worker/worker_server.h"

int main(int argc, char** argv) {
  // Before any other thread exists, so that all inherit the mask and only sigwait sees the signals.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  const absl::StatusOr<gannet::ServiceFlags> flags =
      gannet::ParseServiceFlags(argc, argv, "gannet-worker", "Computes gradients for a run.");
  if (!flags.ok()) return gannet::FailUsage(flags.status());
  if (!flags->print.empty()) {
    std::cout << flags->print;
    return gannet::kExitOk;
  }
  const absl::StatusOr<gannet::Config> config = gannet::LoadConfig(flags->command_line);
  if (!config.ok()) return gannet::FailUsage(config.status());

  gannet::RealClock clock;
  gannet::Logger log("worker",
                     gannet::LogOptions::FromWords(config->log.level, config->log.format));
  gannet::WorkerServer server(*config, clock, log);

  absl::StatusOr<gannet::WorkerReport> report = absl::UnknownError("not run");
  std::thread runner([&, main_thread = pthread_self()] {
    report = server.Run();
    pthread_kill(main_thread, SIGUSR1);  // it waits for a signal
  });
  int signal = 0;
  sigwait(&signals, &signal);
  if (signal != SIGUSR1) {
    log.Info("stopping, the unit in work is given back; once more ends at once",
             {{"signal", signal}});
    server.RequestStop();
    sigwait(&signals, &signal);
    if (signal != SIGUSR1) _exit(128 + signal);
  }
  runner.join();
  if (report.ok()) return gannet::kExitOk;
  log.Error("ended", {{"reason", report.status()}});
  return gannet::kExitFailure;
}
