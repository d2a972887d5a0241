#include "libs/base/process_signals.h"

#include <pthread.h>
#include <unistd.h>

#include <thread>

#include "libs/base/temporary_files.h"

namespace gannet::base {
namespace {

// Tells the waiting thread that the work is done.
constexpr int kDone = SIGUSR1;

}  // namespace

ProcessSignals::ProcessSignals() {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGINT);
  sigaddset(&signals_, SIGTERM);
  // Whoever started this with nohup wants it to outlive the terminal. A blocked signal is not
  // ignored, so it must not be blocked then.
  struct sigaction hang_up = {};
  if (sigaction(SIGHUP, nullptr, &hang_up) == 0 && hang_up.sa_handler != SIG_IGN) {
    sigaddset(&signals_, SIGHUP);
  }
  sigaddset(&signals_, kDone);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
}

void ProcessSignals::RunUntilDone(const std::function<void()>& work,
                                  const std::function<void(int signal)>& ask_to_stop) {
  std::thread worker([&work, waiting = pthread_self()] {
    work();
    pthread_kill(waiting, kDone);
  });
  int signal = 0;
  sigwait(&signals_, &signal);
  if (signal != kDone) {
    ask_to_stop(signal);
    sigwait(&signals_, &signal);
    if (signal != kDone) {
      RemoveTemporaryFiles();
      _exit(128 + signal);
    }
  }
  worker.join();
}

}  // namespace gannet::base
