#include "cli/duration_option.h"

#include "CLI/App.hpp"
#include "absl/strings/str_cat.h"

namespace gannet::cli {

void AddDurationOption(CLI::App& command, const std::string& name, absl::Duration* value,
                       const std::string& description, absl::Duration min) {
  command
      .add_option_function<std::string>(
          name,
          [name, value, min](const std::string& text) {
            absl::Duration parsed;
            if (!absl::ParseDuration(text, &parsed) || parsed < min || parsed > absl::Hours(24)) {
              throw CLI::ValidationError(
                  name, absl::StrCat("must be a duration such as 30s or 5m, ",
                                     absl::FormatDuration(min), " to 24h, got '", text, "'"));
            }
            *value = parsed;
          },
          description)
      ->type_name("DURATION");
}

}  // namespace gannet::cli
