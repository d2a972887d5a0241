#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace gannet::store {

// A constant of the headers under the name that it has there, and as SQL writes it.
struct SqlConstant {
  std::string name;
  std::string text;
};

// Everything that a script may name: limits, outcomes, and sizes of what is stored, so that none of
// them is typed a second time in SQL.
const std::vector<SqlConstant>& SqlConstants();

// The script with the value of the constant in place of each ${NAME}.
// Returns: INTERNAL - SqlConstants has no such name, or a "${" is not closed.
absl::StatusOr<std::string> FillSqlConstants(absl::string_view script);

}  // namespace gannet::store
