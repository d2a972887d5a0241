#pragma once

#include <optional>

namespace gannet {

// Columns of the terminal that stdout is; unset when it is none that can be written over.
std::optional<int> TerminalWidth();

}  // namespace gannet
