#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/config/config.h"

namespace gannet {

// Where the value of a key lives in a Config.
using ConfigField =
    std::variant<int& (*)(Config&), int64_t& (*)(Config&), uint64_t& (*)(Config&),
                 double& (*)(Config&), absl::Duration& (*)(Config&), std::string& (*)(Config&)>;

enum class ConfigUnit { kNone, kBytes };

// Limits of a number, of a duration in seconds, or of a text's length. Both ends are allowed unless
// open.
struct ConfigRange {
  double low = 0;
  double high = 0;
  bool low_open = false;
  bool high_open = false;
};

// One row of the table that parsing, environment, flags, dump and documentation derive from.
struct KeySpec {
  std::string name;  // "section.key"
  ConfigField field;
  ConfigRange range;
  std::string description;
  ConfigUnit unit = ConfigUnit::kNone;
  std::vector<std::string> choices = {};  // the allowed values; empty: any in the range
  // Says what is wrong with a text ("must be HOST:PORT"), or nothing. Null: anything goes.
  std::string (*check)(absl::string_view) = nullptr;
  bool secret = false;  // has no flag, and is never shown
  // What is meant by a text as people paste it; applied before anything is checked. Null: itself.
  std::string (*clean)(absl::string_view) = nullptr;
};

// The table.
const std::vector<KeySpec>& Schema();

// The row of that name, or null.
const KeySpec* FindKey(absl::string_view name);

// The names of all rows, and of all sections, in order.
const std::vector<std::string>& KeyNames();
const std::vector<std::string>& SectionNames();

// "GANNET_TRAINING_LEARNING_RATE".
std::string EnvironmentName(const KeySpec& key);

// "integer", "number", "duration", "size", "text" or "one of a, b".
std::string TypeName(const KeySpec& key);

// "1 to 65536", "more than 0, at most 1"; empty for texts and choices.
std::string RangeName(const KeySpec& key);

// Parses `given`, a text without line breaks around it, and sets the value.
// Returns: INVALID_ARGUMENT - "training.lease must be …, got '…'".
absl::Status SetValue(const KeySpec& key, absl::string_view given, Config& config);

// The value in the form SetValue reads.
std::string ValueText(const KeySpec& key, const Config& config);

// Whether the value is text that a person may choose freely (and YAML should quote).
bool IsFreeText(const KeySpec& key);

// `text` as it may be shown in a message: quoted, short, without control characters.
std::string Shown(absl::string_view text);

// What is wrong with a class code or token, to follow its name; empty: nothing.
std::string CheckToken(absl::string_view text);

// What is wrong with the values together, each with the key it is best reported at.
struct CrossMistake {
  std::string key;
  std::vector<std::string> also;  // other keys involved
  std::string message;
};
std::vector<CrossMistake> CrossCheck(const Config& config);

}  // namespace gannet
