#include "libs/domain/run_state.h"

#include "absl/strings/str_cat.h"

namespace gannet::domain {

bool HasEnded(RunState state) {
  return state == RunState::kFinished || state == RunState::kStopped;
}

absl::Status CheckRunTransition(RunState from, RunState to) {
  if (to != RunState::kRunning && to != RunState::kPaused && to != RunState::kStopped) {
    return absl::InvalidArgumentError(absl::StrCat(
        "state of a run cannot be asked for: expected running, paused or stopped, got ",
        RunStateName(to)));
  }
  if (from == to) return absl::OkStatus();
  if (HasEnded(from)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the run has ended: it is ", RunStateName(from), ", asked for ", RunStateName(to)));
  }
  return absl::OkStatus();
}

const char* RunStateName(RunState state) {
  switch (state) {
    case RunState::kRunning:
      return "running";
    case RunState::kPaused:
      return "paused";
    case RunState::kFinished:
      return "finished";
    case RunState::kStopped:
      return "stopped";
  }
  return "unknown";
}

}  // namespace gannet::domain
