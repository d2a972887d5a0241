#pragma once

#include <string>

namespace gannet::config {

// docs/configuration.md: every key with type, range, default and meaning, and how values are found.
std::string ConfigMarkdown();

// The same keys as a table for a terminal.
std::string ConfigTable();

}  // namespace gannet::config
