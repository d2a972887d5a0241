#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace gannet::data {

// A line of a table that has something in it.
struct TextRow {
  int64_t line = 0;  // the one it begins on, from 1
  std::vector<std::string> fields;
};

// Splits a table as people and spreadsheets save it: fields between semicolons, tabs or commas,
// whichever of them (in that order) stands outside quotes in the first row, or the second where the
// first has none; where neither has, between spaces. Fields may be in double quotes, with two of
// them for one inside (RFC 4180), and have separators and line breaks in them then; spaces around
// fields do not count. Lines end in LF, CR LF or CR; a byte order mark is passed over, and so are
// rows without anything in them. Returns: FAILED_PRECONDITION - a quote that is not closed, naming
// its line; text in UTF-16.
absl::StatusOr<std::vector<TextRow>> SplitDelimitedText(absl::string_view text);

}  // namespace gannet::data
