#pragma once

#include <signal.h>

#include <functional>

namespace gannet::base {

// How the programs of this project end: the first SIGINT, SIGTERM or SIGHUP (the terminal is gone;
// not under nohup) asks, the second one ends at once.
//
//   int main() {
//     ProcessSignals signals;  // before any other thread exists
//     signals.RunUntilDone([&] { server.Run(); }, [&](int signal) { server.RequestStop(); });
//
// Thread safety: none; of the main thread.
class ProcessSignals {
 public:
  // Blocks the signals, so that threads started from here on inherit the mask and only
  // RunUntilDone sees them.
  ProcessSignals();

  // Runs `work` in a thread of its own and returns when it has returned. Meanwhile calls
  // `ask_to_stop` with the first signal; exits with 128 + the second.
  void RunUntilDone(const std::function<void()>& work,
                    const std::function<void(int signal)>& ask_to_stop);

 private:
  sigset_t signals_;
};

}  // namespace gannet::base
