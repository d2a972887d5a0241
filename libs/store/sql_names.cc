#include "libs/store/sql_names.h"

#include "absl/strings/str_cat.h"

namespace gannet::store {

absl::StatusOr<domain::RunState> RunStateFromName(const std::string& name) {
  for (const domain::RunState state : {domain::RunState::kRunning, domain::RunState::kPaused,
                                       domain::RunState::kFinished, domain::RunState::kStopped}) {
    if (name == domain::RunStateName(state)) return state;
  }
  return absl::InternalError(absl::StrCat("the database names an unknown run state: ", name));
}

}  // namespace gannet::store
