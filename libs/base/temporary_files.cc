#include "libs/base/temporary_files.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstring>
#include <utility>

namespace gannet::base {
namespace {

// A signal handler may neither allocate nor lock, so the names lie in memory that is always there.
struct Slot {
  enum State { kFree, kFilling, kTaken };
  std::atomic<int> state = kFree;
  char path[PATH_MAX] = {};
};
constexpr int kSlots = 32;
Slot slots[kSlots];
std::atomic<bool> ending = false;

void EndOnSignal(int signal) {
  RemoveTemporaryFiles();
  _exit(128 + signal);
}

}  // namespace

TemporaryName::TemporaryName(std::string path) : path_(std::move(path)) {
  while (ending) pause();
  if (path_.size() >= PATH_MAX) return;
  for (int i = 0; i < kSlots && slot_ < 0; ++i) {
    int expected = Slot::kFree;
    if (!slots[i].state.compare_exchange_strong(expected, Slot::kFilling)) continue;
    std::memcpy(slots[i].path, path_.c_str(), path_.size() + 1);
    slots[i].state = Slot::kTaken;
    slot_ = i;
  }
}

TemporaryName::~TemporaryName() {
  if (slot_ >= 0) slots[slot_].state = Slot::kFree;
}

void RemoveTemporaryFiles() {
  ending = true;
  for (Slot& slot : slots) {
    if (slot.state == Slot::kTaken) unlink(slot.path);
  }
}

void RemoveTemporaryFilesOnSignal() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) {
    struct sigaction before = {};
    // What somebody has ignored on purpose (nohup) stays ignored.
    if (sigaction(signal, nullptr, &before) != 0 || before.sa_handler == SIG_IGN) continue;
    struct sigaction action = {};
    action.sa_handler = &EndOnSignal;
    sigfillset(&action.sa_mask);
    sigaction(signal, &action, nullptr);
  }
}

}  // namespace gannet::base
