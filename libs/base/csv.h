#pragma once

#include <string>
#include <vector>

namespace gannet::base {

// A line of CSV with its line end, for every table that we write: cells are quoted where needed
// (RFC 4180), text is made Printable, and none is taken for a formula by a spreadsheet, which would
// compute what somebody chose as his name: a text that begins with one of = + - @, a tab or a line
// end gets an apostrophe before it. A cell that is a number altogether, "-1.5e-3", stays one.
std::string CsvLine(const std::vector<std::string>& cells);

}  // namespace gannet::base
