#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/base/csv.h"
#include "libs/base/printable.h"

namespace gannet::cli {

// Characters that `text` occupies in a terminal, when each has the width of one.
int DisplayWidth(absl::string_view text);

// "3 min 20 s", "2 h 5 min", "45 s".
std::string ShortDuration(absl::Duration duration);

// Rows in columns, two spaces apart; `rows[0]` is the heading. Texts are aligned to the left,
// numbers to the right; every cell is made printable.
std::string TextTable(const std::vector<std::vector<std::string>>& rows);

// Every line of `text` made printable: messages that quote others.
std::string PrintableLines(absl::string_view text);

}  // namespace gannet::cli
