#pragma once

#include <optional>
#include <string>

namespace gannet {

// Asks a person for what cannot be undone. False: the answer is not "yes", or nobody can answer.
bool Confirm(const std::string& question);

// Columns of the terminal that stdout is; unset when it is none that can be written over.
std::optional<int> TerminalWidth();

}  // namespace gannet
