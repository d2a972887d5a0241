#include "libs/pg/sql_values.h"

#include <cstdio>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "libs/base/hex.h"

namespace gannet::pg {
namespace {

const std::string& Empty() {
  static const std::string empty;
  return empty;
}

}  // namespace

SqlParams& SqlParams::Null() {
  values_.emplace_back().null = true;
  return *this;
}

SqlParams& SqlParams::Text(std::string value) {
  values_.emplace_back().text = std::move(value);
  return *this;
}

SqlParams& SqlParams::Int(int64_t value) { return Text(absl::StrCat(value)); }
SqlParams& SqlParams::UInt(uint64_t value) { return Text(absl::StrCat(value)); }
SqlParams& SqlParams::Bool(bool value) { return Text(value ? "t" : "f"); }

SqlParams& SqlParams::Double(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.17g", value);
  return Text(text);
}

SqlParams& SqlParams::IntArray(absl::Span<const int64_t> values) {
  return Text(absl::StrCat("{", absl::StrJoin(values, ","), "}"));
}

SqlParams& SqlParams::Bytes(absl::string_view value) {
  Value& added = values_.emplace_back();
  added.binary = true;
  added.bytes = value;
  return *this;
}

const std::optional<std::string>* SqlRow::Find(const char* column) {
  if (index_ < rows_.rows.size()) {
    for (size_t i = 0; i < rows_.columns.size(); ++i) {
      if (rows_.columns[i] == column) return &rows_.rows[index_][i];
    }
  }
  Fail(column, "a column");
  return nullptr;
}

const std::string& SqlRow::NotNull(const char* column) {
  const std::optional<std::string>* value = Find(column);
  if (value == nullptr) return Empty();
  if (!value->has_value()) {
    Fail(column, "a value");
    return Empty();
  }
  return **value;
}

void SqlRow::Fail(const char* column, const char* expected) {
  if (!status_.ok()) return;
  status_ = absl::InternalError(absl::StrCat("a result of PostgreSQL is not as expected: column ",
                                             column, " is not ", expected));
}

bool SqlRow::IsNull(const char* column) {
  const std::optional<std::string>* value = Find(column);
  return value == nullptr || !value->has_value();
}

int64_t SqlRow::Int(const char* column) {
  int64_t value = 0;
  if (!absl::SimpleAtoi(NotNull(column), &value)) Fail(column, "an integer");
  return value;
}

uint64_t SqlRow::UInt(const char* column) {
  uint64_t value = 0;
  if (!absl::SimpleAtoi(NotNull(column), &value)) Fail(column, "an unsigned integer");
  return value;
}

double SqlRow::Double(const char* column) {
  double value = 0;
  if (!absl::SimpleAtod(NotNull(column), &value)) Fail(column, "a number");
  return value;
}

bool SqlRow::Bool(const char* column) {
  const std::string& text = NotNull(column);
  if (text != "t" && text != "f") Fail(column, "a boolean");
  return text == "t";
}

std::string SqlRow::Text(const char* column) { return NotNull(column); }

std::string SqlRow::Bytes(const char* column) {
  const std::string& text = NotNull(column);
  if (!absl::StartsWith(text, "\\x") || text.size() % 2 != 0 ||
      !base::IsHex(text.substr(2), text.size() - 2)) {
    Fail(column, "a bytea");
    return "";
  }
  return base::HexDecode(absl::string_view(text).substr(2));
}

std::vector<int64_t> SqlRow::IntArray(const char* column) {
  const std::string& text = NotNull(column);
  std::vector<int64_t> values;
  if (text.size() < 2 || text.front() != '{' || text.back() != '}') {
    Fail(column, "an array");
    return values;
  }
  const absl::string_view inner = absl::string_view(text).substr(1, text.size() - 2);
  for (const absl::string_view element : absl::StrSplit(inner, ',', absl::SkipEmpty())) {
    if (!absl::SimpleAtoi(element, &values.emplace_back())) Fail(column, "an array of integers");
  }
  return values;
}

}  // namespace gannet::pg
