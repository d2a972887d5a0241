#include "libs/store/sql_names.h"

#include "absl/strings/str_cat.h"

namespace gannet {

absl::StatusOr<RunState> RunStateFromName(const std::string& name) {
  for (const RunState state :
       {RunState::kRunning, RunState::kPaused, RunState::kFinished, RunState::kStopped}) {
    if (name == RunStateName(state)) return state;
  }
  return absl::InternalError(absl::StrCat("the database names an unknown run state: ", name));
}

}  // namespace gannet
