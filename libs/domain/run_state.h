#pragma once

#include "absl/status/status.h"

namespace gannet::domain {

// The life of a run; values equal gannet.v1.RunState.
//
//   kRunning <-> kPaused          by the instructor, or when a unit has failed permanently
//   kRunning, kPaused -> kStopped permanently
//   kRunning -> kFinished         with the publication of the last round
enum class RunState { kRunning = 1, kPaused = 2, kFinished = 3, kStopped = 4 };

// Whether no more work will come.
bool HasEnded(RunState state);

// FAILED_PRECONDITION - the run has ended; INVALID_ARGUMENT - nobody may ask for `to` (kFinished).
// Asking for the current state is OK.
absl::Status CheckRunTransition(RunState from, RunState to);

// "running", "paused", "finished", "stopped".
const char* RunStateName(RunState state);

}  // namespace gannet::domain
