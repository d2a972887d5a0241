#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace gannet::base {

// The value of a setting; which alternative it holds is the setting's type.
using SettingValue =
    std::variant<bool, int, int64_t, uint64_t, double, absl::Duration, std::string>;

enum class SettingUnit { kNone, kBytes };

// Limits of a number, of a duration in seconds, or of a text's length in bytes. Both ends are
// allowed unless open.
struct SettingRange {
  double low = 0;
  double high = 0;
  bool low_open = false;
  bool high_open = false;
  bool or_zero = false;  // 0 is allowed as well, though it is below `low`
};

// One of the values that a setting may have, as people write it. A setting that is an integer holds
// `number`, one that is a text holds `name`.
struct SettingChoice {
  std::string name;
  int number = 0;
};

// What is known of a setting apart from where its value is kept: one row of a table from which
// parsing, validation, messages and documentation follow.
struct Setting {
  std::string name;  // "section.key"
  SettingRange range = {};
  std::string description;                  // one or more sentences
  SettingUnit unit = SettingUnit::kNone;    // of an int64_t
  std::vector<SettingChoice> choices = {};  // the allowed values; empty: any in the range
  // Says what is wrong with a text ("must be HOST:PORT"), or nothing. Null: anything goes.
  std::string (*check)(absl::string_view) = nullptr;
  bool secret = false;  // has no flag, and is never shown
  // Turns a text as people paste it into what they mean, before anything is checked. Null: itself.
  std::string (*clean)(absl::string_view) = nullptr;
  SettingValue default_value = {};  // its alternative is the type
  // What it was called until the version before; still read, with a warning. Empty: nothing else.
  std::string former_name = {};
};

// Whether people may call the setting so: by its name, or by its former one.
bool IsNameOf(const Setting& setting, absl::string_view name);

// Says that a setting was given by its former name, and what to call it; empty where it was not.
std::string FormerNameWarning(const Setting& setting, absl::string_view name);

// A mistake in values that may each be right by itself.
struct SettingMistake {
  std::string name;               // the setting at which it is best reported
  std::vector<std::string> also;  // other settings involved
  std::string message;            // names the setting
};

// Names "integer", "number", "duration", "size", "text", "true or false" or "one of a, b".
std::string TypeName(const Setting& setting);

// Describes the allowed values, "1 to 65536" or "more than 0, at most 1"; empty for texts, choices
// and true or false.
std::string RangeName(const Setting& setting);

// Whether the value is text that a person may choose freely (and YAML should quote).
bool IsFreeText(const Setting& setting);

// Reads a value; line breaks around a free text are dropped.
// Returns: INVALID_ARGUMENT - "training.lease must be …, got '…'".
absl::StatusOr<SettingValue> ParseSetting(const Setting& setting, absl::string_view given);

// Returns: INVALID_ARGUMENT - ParseSetting would not have given this value: the same message.
absl::Status CheckSetting(const Setting& setting, const SettingValue& value);

// Writes a value in the form that ParseSetting reads; every bit of a number is kept.
std::string SettingText(const Setting& setting, const SettingValue& value);

// Writes a number in the shortest form that reads back as the same.
std::string NumberText(double value);

// Writes "256MiB": the largest unit that keeps the number whole.
std::string SizeText(int64_t bytes);

// Quotes `text` as it may be shown in a message: short, without control characters.
std::string Shown(absl::string_view text);

}  // namespace gannet::base
