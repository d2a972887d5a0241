#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/base/setting.h"
#include "libs/domain/run_config.h"

// The settings of a run: one row each, which configuration files, flags, environment variables,
// documentation, checks, messages, checkpoints and `gannet set` follow. A new one is its member of
// RunConfig with its default, its row, its field of gannet.v1.RunConfig (with its two lines in
// libs/exchange/proto_conversion.cc), and its use.

namespace gannet::domain {

// When a change made while the run is under way holds.
enum class SettingChange {
  kNever,      // it is refused: the run would be another one
  kNextRound,  // from the round on whose units are not planned yet
  kAtOnce,     // for every lease given from now on, of units planned before, too
};

struct RunSetting : base::Setting {
  base::SettingValue (*get)(const RunConfig&) = nullptr;
  // `value` holds the alternative that `get` gives.
  void (*set)(RunConfig&, const base::SettingValue& value) = nullptr;
  SettingChange change = SettingChange::kNever;
};

// All rows, those of a section together. The defaults are those of RunConfig.
const std::vector<RunSetting>& RunSettings();

// Returns the row of that name, or former name, or null.
const RunSetting* FindRunSetting(absl::string_view name);

// Finds values that are out of range, and then those that do not fit together.
std::vector<base::SettingMistake> FindMistakes(const RunConfig& config);

// Joins the names of the settings that may change during the run, for messages and help.
std::string ChangeableSettings();

// Puts `setting`, a text KEY=VALUE, into the settings of a run that is under way.
// Returns: INVALID_ARGUMENT - there is no such setting, it cannot change during the run, the value
// is missing or not one of it; then `config` is as before.
absl::Status ChangeSetting(absl::string_view setting, RunConfig& config);

}  // namespace gannet::domain
