#include "libs/base/setting.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "libs/base/status_macros.h"
#include "libs/base/url_password.h"

namespace gannet::base {
namespace {

// The largest that could ever be set: older programs read it with a sign.
constexpr uint64_t kMaxUnsigned = std::numeric_limits<int64_t>::max();

struct SizeUnit {
  const char* name;
  int64_t bytes;
};
constexpr SizeUnit kSizeUnits[] = {
    {"TiB", int64_t{1} << 40},
    {"GiB", int64_t{1} << 30},
    {"MiB", int64_t{1} << 20},
    {"KiB", int64_t{1} << 10},
    {"B", 1},
};

template <typename T>
bool Holds(const Setting& setting) {
  return std::holds_alternative<T>(setting.default_value);
}

bool IsSize(const Setting& setting) { return setting.unit == SettingUnit::kBytes; }

// Decimal digits with an optional sign and nothing else: SimpleAtoi alone would allow spaces.
template <typename T>
bool ParseInteger(absl::string_view text, T* value) {
  const absl::string_view digits = absl::StartsWith(text, "-") ? text.substr(1) : text;
  if (digits.empty() || digits.find_first_not_of("0123456789") != absl::string_view::npos) {
    return false;
  }
  return absl::SimpleAtoi(text, value);
}

bool ParseSize(absl::string_view text, int64_t* bytes) {
  int64_t factor = 1;
  for (const SizeUnit& unit : kSizeUnits) {
    if (absl::EndsWith(text, unit.name)) {
      factor = unit.bytes;
      text.remove_suffix(absl::string_view(unit.name).size());
      if (absl::EndsWith(text, " ")) text.remove_suffix(1);
      break;
    }
  }
  int64_t count = 0;
  if (!ParseInteger(text, &count)) return false;
  if (count > std::numeric_limits<int64_t>::max() / factor ||
      count < std::numeric_limits<int64_t>::min() / factor) {
    return false;
  }
  *bytes = count * factor;
  return true;
}

bool ParseNumber(absl::string_view text, double* value) {
  if (text.empty() || text.find_first_not_of("0123456789+-.eE") != absl::string_view::npos) {
    return false;
  }
  return absl::SimpleAtod(text, value) && std::isfinite(*value);
}

// Written so that what is not a number is in no range.
bool InRange(const SettingRange& range, double value) {
  if (range.or_zero && value == 0) return true;
  const bool above = range.low_open ? value > range.low : value >= range.low;
  const bool below = range.high_open ? value < range.high : value <= range.high;
  return above && below;
}

// What a value of the setting's type is called in a message.
std::string KindName(const Setting& setting) {
  if (IsSize(setting)) return "a size in bytes or with KiB, MiB, GiB";
  if (Holds<double>(setting)) return "a number";
  if (Holds<absl::Duration>(setting)) return "a duration such as 300s or 5m";
  return "an integer";
}

std::string ChoiceNames(const Setting& setting) {
  return absl::StrJoin(setting.choices, ", ", [](std::string* out, const SettingChoice& choice) {
    out->append(choice.name);
  });
}

absl::Status Wrong(const Setting& setting, absl::string_view must, absl::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat(setting.name, " ", must, ", got ", Shown(text)));
}

// Says what a value that was given as `text` must be: "must be an integer, 1 to 4096".
absl::Status NotOfType(const Setting& setting, absl::string_view text) {
  if (!setting.choices.empty()) {
    return Wrong(setting, absl::StrCat("must be one of ", ChoiceNames(setting)), text);
  }
  if (Holds<bool>(setting)) return Wrong(setting, "must be true or false", text);
  const std::string range = RangeName(setting);
  return Wrong(setting,
               absl::StrCat("must be ", KindName(setting), range.empty() ? "" : ", ", range), text);
}

absl::Status CheckText(const Setting& setting, absl::string_view text) {
  // A value that may carry a password is never shown.
  const std::string shown = setting.secret ? "***" : MaskPassword(text);
  const auto size = static_cast<double>(text.size());
  if (size < setting.range.low) return Wrong(setting, "must not be empty", shown);
  if (size > setting.range.high) {
    return Wrong(setting, absl::StrCat("must have at most ", setting.range.high, " bytes"), shown);
  }
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return Wrong(setting, "must not contain control characters", shown);
    }
  }
  if (setting.check != nullptr) {
    const std::string problem = setting.check(text);
    if (!problem.empty()) return Wrong(setting, problem, shown);
  }
  return absl::OkStatus();
}

// Reads a text as a value of the type that `*value` has; limits are judged by CheckSetting.
struct Parser {
  const Setting& setting;
  absl::string_view text;

  bool operator()(bool& value) const {
    value = text == "true";
    return value || text == "false";
  }
  bool operator()(int& value) const { return ParseInteger(text, &value); }
  bool operator()(int64_t& value) const {
    return IsSize(setting) ? ParseSize(text, &value) : ParseInteger(text, &value);
  }
  bool operator()(uint64_t& value) const {
    return !absl::StartsWith(text, "-") && ParseInteger(text, &value);
  }
  bool operator()(double& value) const { return ParseNumber(text, &value); }
  bool operator()(absl::Duration& value) const {
    return absl::ParseDuration(std::string(text), &value);
  }
  bool operator()(std::string& value) const {
    value = std::string(text);
    return true;
  }
};

struct RangeCheck {
  const Setting& setting;

  bool operator()(bool) const { return true; }
  bool operator()(int value) const { return InRange(setting.range, value); }
  bool operator()(int64_t value) const {
    return InRange(setting.range, static_cast<double>(value));
  }
  bool operator()(uint64_t value) const { return value <= kMaxUnsigned; }
  bool operator()(double value) const { return InRange(setting.range, value); }
  bool operator()(absl::Duration value) const {
    return InRange(setting.range, absl::ToDoubleSeconds(value));
  }
  bool operator()(const std::string&) const { return true; }  // see CheckText
};

struct Writer {
  const Setting& setting;

  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(int value) const {
    for (const SettingChoice& choice : setting.choices) {
      if (choice.number == value) return choice.name;
    }
    return absl::StrCat(value);
  }
  std::string operator()(int64_t value) const {
    return IsSize(setting) ? SizeText(value) : absl::StrCat(value);
  }
  std::string operator()(uint64_t value) const { return absl::StrCat(value); }
  std::string operator()(double value) const { return NumberText(value); }
  std::string operator()(absl::Duration value) const { return absl::FormatDuration(value); }
  std::string operator()(const std::string& value) const { return value; }
};

const SettingChoice* FindChoice(const Setting& setting, const SettingValue& value) {
  for (const SettingChoice& choice : setting.choices) {
    const bool is_it = std::holds_alternative<int>(value) ? choice.number == std::get<int>(value)
                                                          : SettingValue(choice.name) == value;
    if (is_it) return &choice;
  }
  return nullptr;
}

}  // namespace

bool IsNameOf(const Setting& setting, absl::string_view name) {
  return name == setting.name || (!name.empty() && name == setting.former_name);
}

std::string FormerNameWarning(const Setting& setting, absl::string_view name) {
  if (name == setting.name || !IsNameOf(setting, name)) return "";
  return absl::StrCat(name, " is called ", setting.name,
                      " now; the old name is still read, but not by the next version");
}

std::string TypeName(const Setting& setting) {
  if (!setting.choices.empty()) return absl::StrCat("one of ", ChoiceNames(setting));
  if (IsSize(setting)) return "size";
  if (Holds<bool>(setting)) return "true or false";
  if (Holds<double>(setting)) return "number";
  if (Holds<absl::Duration>(setting)) return "duration";
  if (Holds<std::string>(setting)) return "text";
  return "integer";
}

std::string RangeName(const Setting& setting) {
  if (!setting.choices.empty() || Holds<std::string>(setting) || Holds<bool>(setting)) return "";
  if (Holds<uint64_t>(setting)) return absl::StrCat("0 to ", kMaxUnsigned);
  const auto text = [&](double value) {
    if (Holds<absl::Duration>(setting)) return absl::FormatDuration(absl::Seconds(value));
    if (IsSize(setting)) return SizeText(static_cast<int64_t>(value));
    // Limits of integers are integers, and no power of ten.
    return Holds<double>(setting) ? NumberText(value) : absl::StrCat(static_cast<int64_t>(value));
  };
  const SettingRange& range = setting.range;
  const std::string low = text(range.low);
  const std::string high = text(range.high);
  const char* zero = range.or_zero ? "0, or " : "";
  if (!range.low_open && !range.high_open) return absl::StrCat(zero, low, " to ", high);
  return absl::StrCat(zero, range.low_open ? "more than " : "at least ", low,
                      range.high_open ? ", less than " : ", at most ", high);
}

bool IsFreeText(const Setting& setting) {
  return setting.choices.empty() && Holds<std::string>(setting);
}

absl::StatusOr<SettingValue> ParseSetting(const Setting& setting, absl::string_view given) {
  // A line break around a text came along with it, from a file or a clipboard.
  absl::string_view text = given;
  while (IsFreeText(setting) &&
         (absl::ConsumePrefix(&text, "\n") || absl::ConsumePrefix(&text, "\r"))) {
  }
  while (IsFreeText(setting) &&
         (absl::ConsumeSuffix(&text, "\n") || absl::ConsumeSuffix(&text, "\r"))) {
  }
  const std::string cleaned = setting.clean == nullptr ? std::string() : setting.clean(text);
  if (setting.clean != nullptr) text = cleaned;
  SettingValue value = setting.default_value;
  if (!setting.choices.empty() && Holds<int>(setting)) {
    for (const SettingChoice& choice : setting.choices) {
      if (choice.name == text) return choice.number;
    }
    return NotOfType(setting, text);
  }
  if (!std::visit(Parser{setting, text}, value)) return NotOfType(setting, text);
  if (IsFreeText(setting)) {
    GANNET_RETURN_IF_ERROR(CheckText(setting, text));
  } else if (!CheckSetting(setting, value).ok()) {
    return NotOfType(setting, text);  // with the text as it was given
  }
  return value;
}

absl::Status CheckSetting(const Setting& setting, const SettingValue& value) {
  if (!setting.choices.empty()) {
    if (FindChoice(setting, value) != nullptr) return absl::OkStatus();
  } else if (const std::string* text = std::get_if<std::string>(&value)) {
    return CheckText(setting, *text);
  } else if (std::visit(RangeCheck{setting}, value)) {
    return absl::OkStatus();
  }
  return NotOfType(setting, SettingText(setting, value));
}

std::string SettingText(const Setting& setting, const SettingValue& value) {
  return std::visit(Writer{setting}, value);
}

std::string NumberText(double value) {
  for (const int digits : {6, 15, 16}) {
    std::string text = absl::StrFormat("%.*g", digits, value);
    double back = 0;
    if (absl::SimpleAtod(text, &back) && back == value) return text;
  }
  return absl::StrFormat("%.17g", value);
}

std::string SizeText(int64_t bytes) {
  for (const SizeUnit& unit : kSizeUnits) {
    if (bytes >= unit.bytes && bytes % unit.bytes == 0) {
      return absl::StrCat(bytes / unit.bytes, unit.name);
    }
  }
  return absl::StrCat(bytes);
}

std::string Shown(absl::string_view text) {
  constexpr size_t kMax = 80;
  if (text.size() <= kMax) return absl::StrCat("'", absl::Utf8SafeCEscape(text), "'");
  return absl::StrCat("'", absl::Utf8SafeCEscape(text.substr(0, kMax)), "...' (", text.size(),
                      " bytes)");
}

}  // namespace gannet::base
