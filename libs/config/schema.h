#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/base/setting.h"
#include "libs/config/config.h"

namespace gannet::config {

// One row of the table that parsing, environment, flags, dump and documentation derive from, with
// where its value is kept in a Config.
struct KeySpec : base::Setting {
  std::function<base::SettingValue(const Config&)> get;
  // `value` holds the alternative that `get` gives.
  std::function<void(Config&, const base::SettingValue& value)> set;
};

// The table: the settings of a run (libs/domain/run_settings.h), and then those of data set,
// database, services and log. The defaults are those of Config.
const std::vector<KeySpec>& Schema();

// The row of that name, or former name, or null.
const KeySpec* FindKey(absl::string_view name);

// The names of all rows, and of all sections, in order.
const std::vector<std::string>& KeyNames();
const std::vector<std::string>& SectionNames();

// "GANNET_TRAINING_LEARNING_RATE", of the name or former name of a key.
std::string EnvironmentName(absl::string_view name);

// Parses `given` and sets the value.
// Returns: as ParseSetting.
absl::Status SetValue(const KeySpec& key, absl::string_view given, Config& config);

// The value in the form that SetValue reads.
std::string ValueText(const KeySpec& key, const Config& config);

// What is wrong with a class code or token, to follow its name; empty: nothing.
std::string CheckToken(absl::string_view text);

// Finds what is wrong with the values together.
std::vector<base::SettingMistake> CrossCheck(const Config& config);

}  // namespace gannet::config
