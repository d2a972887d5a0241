#pragma once

#include <optional>
#include <ostream>
#include <string>

namespace gannet::cli {

// Asks a person for what cannot be undone. False: the answer is not "yes", or nobody can answer.
bool Confirm(const std::string& question);

// Where a command that has written `out` says so: stderr when `out` is the standard output itself,
// because what a program reads stands alone there.
std::ostream& ReportStream(const std::string& out);

// Columns of the terminal that stdout is; unset when it is none that can be written over.
std::optional<int> TerminalWidth();

}  // namespace gannet::cli
