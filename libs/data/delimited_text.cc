#include "libs/data/delimited_text.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace gannet::data {
namespace {

constexpr char kSpaces = ' ';

// What separates the fields of the whole table.
char SeparatorOf(absl::string_view text) {
  // The number of images may stand in a row of its own before the names of the columns.
  for (size_t at = 0, rows = 0; at < text.size() && rows < 2; ++rows) {
    while (at < text.size() && absl::ascii_isspace(static_cast<unsigned char>(text[at]))) ++at;
    bool has_semicolon = false, has_tab = false, has_comma = false, quoted = false;
    for (; at < text.size(); ++at) {
      const char c = text[at];
      if (c == '"') quoted = !quoted;
      if (quoted) continue;
      if (c == '\n' || c == '\r') break;
      has_semicolon = has_semicolon || c == ';';
      has_tab = has_tab || c == '\t';
      has_comma = has_comma || c == ',';
    }
    ++at;
    if (has_semicolon) return ';';
    if (has_tab) return '\t';
    if (has_comma) return ',';
  }
  return kSpaces;
}

class Splitter {
 public:
  Splitter(absl::string_view text, char separator) : text_(text), separator_(separator) {}

  absl::StatusOr<std::vector<TextRow>> Split() {
    while (at_ < text_.size()) {
      if (const char c = text_[at_]; c == '\n' || c == '\r') {
        EndRow();
        at_ += text_.substr(at_, 2) == "\r\n" ? 2 : 1;
        ++line_;
      } else if (c == separator_ || (separator_ == kSpaces && c == '\t')) {
        if (separator_ != kSpaces || !field_.empty()) EndField();
        ++at_;
      } else if (c == '"' && absl::StripAsciiWhitespace(field_).empty()) {
        if (!TakeQuoted()) {
          return absl::FailedPreconditionError(absl::StrCat(
              "line ", row_.line == 0 ? line_ : row_.line, " has a quote that ends nowhere"));
        }
      } else {
        field_ += c;
        ++at_;
      }
    }
    EndRow();
    return std::move(rows_);
  }

 private:
  // From the opening quote to behind the closing one; false when there is none.
  bool TakeQuoted() {
    Begin();
    field_.clear();
    is_quoted_ = true;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] != '"') {
        if (text_[at_] == '\n') ++line_;
        field_ += text_[at_];
      } else if (text_.substr(at_, 2) == "\"\"") {
        field_ += text_[at_++];
      } else {
        ++at_;
        return true;
      }
    }
    return false;
  }

  void Begin() {
    if (row_.line == 0) row_.line = line_;
  }

  void EndField() {
    Begin();
    row_.fields.emplace_back(absl::StripAsciiWhitespace(field_));
    field_.clear();
    is_quoted_ = false;
  }

  void EndRow() {
    const bool has_text = is_quoted_ || !absl::StripAsciiWhitespace(field_).empty();
    // Between spaces what follows the last one is no field.
    if (has_text || (separator_ != kSpaces && !row_.fields.empty())) EndField();
    field_.clear();
    is_quoted_ = false;
    // Spreadsheets save rows of nothing but separators below what is filled in.
    if (std::any_of(row_.fields.begin(), row_.fields.end(),
                    [](const std::string& field) { return !field.empty(); })) {
      rows_.push_back(std::move(row_));
    }
    row_ = TextRow();
  }

  const absl::string_view text_;
  const char separator_;
  size_t at_ = 0;
  int64_t line_ = 1;
  std::string field_;
  bool is_quoted_ = false;
  TextRow row_;
  std::vector<TextRow> rows_;
};

}  // namespace

absl::StatusOr<std::vector<TextRow>> SplitDelimitedText(absl::string_view text) {
  if (text.substr(0, 2) == "\xff\xfe" || text.substr(0, 2) == "\xfe\xff") {
    return absl::FailedPreconditionError("it is text in UTF-16, save it as CSV in UTF-8");
  }
  absl::ConsumePrefix(&text, "\xef\xbb\xbf");
  return Splitter(text, SeparatorOf(text)).Split();
}

}  // namespace gannet::data
