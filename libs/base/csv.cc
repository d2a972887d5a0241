#include "libs/base/csv.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "libs/base/printable.h"

namespace gannet::base {
namespace {

// The wide forms are the same to a spreadsheet of some languages.
constexpr std::array<absl::string_view, 11> kFormulaBegins = {
    "=", "+", "-", "@", "\t", "\r", "\n", "\uFF1D", "\uFF0B", "\uFF0D", "\uFF20"};

bool IsNumber(const std::string& cell) {
  double value = 0;
  return !absl::ascii_isspace(static_cast<unsigned char>(cell.front())) &&
         absl::SimpleAtod(cell, &value);
}

std::string CsvCell(const std::string& cell) {
  if (cell.empty()) return cell;
  const bool is_formula =
      !IsNumber(cell) &&
      std::any_of(kFormulaBegins.begin(), kFormulaBegins.end(),
                  [&](absl::string_view begin) { return absl::StartsWith(cell, begin); });
  std::string text = absl::StrCat(is_formula ? "'" : "", Printable(cell));
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

}  // namespace

std::string CsvLine(const std::vector<std::string>& cells) {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) {
    absl::StrAppend(&line, i == 0 ? "" : ",", CsvCell(cells[i]));
  }
  line.push_back('\n');
  return line;
}

}  // namespace gannet::base
