#pragma once

#include <string>

#include "absl/time/time.h"

namespace CLI {
class App;
}  // namespace CLI

namespace gannet::cli {

// Adds an option that takes a duration such as 30s or 5m, from `min` to a day; `*value` keeps its
// default when the option is not given.
void AddDurationOption(CLI::App& command, const std::string& name, absl::Duration* value,
                       const std::string& description, absl::Duration min = absl::ZeroDuration());

}  // namespace gannet::cli
