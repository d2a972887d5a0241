#include "cli/duration_option.h"

#include "CLI/App.hpp"

namespace gannet::cli {

void AddDurationOption(CLI::App& command, const std::string& name, absl::Duration* value,
                       const std::string& description) {
  command
      .add_option_function<std::string>(
          name,
          [name, value](const std::string& text) {
            absl::Duration parsed;
            if (!absl::ParseDuration(text, &parsed) || parsed < absl::ZeroDuration() ||
                parsed > absl::Hours(24)) {
              throw CLI::ValidationError(
                  name, "must be a duration such as 30s or 5m, 0s to 24h, got '" + text + "'");
            }
            *value = parsed;
          },
          description)
      ->type_name("DURATION");
}

}  // namespace gannet::cli
