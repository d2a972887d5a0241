#include "libs/base/testing/setting_values.h"

#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace gannet::base {
namespace {

// Words, and what a check of some setting asks of a text.
constexpr const char* kTexts[] = {"other", "color", "127.0.0.1:4", "cuda", "postgres://other/db"};

struct Candidates {
  const Setting& setting;

  std::vector<SettingValue> operator()(bool value) const { return {!value}; }
  std::vector<SettingValue> operator()(int value) const { return {value + 1, value - 1}; }
  std::vector<SettingValue> operator()(int64_t value) const { return {value + 1, value - 1}; }
  std::vector<SettingValue> operator()(uint64_t value) const { return {value + 1}; }
  // Thirds and sevenths need all their bits.
  std::vector<SettingValue> operator()(double) const {
    const double low = setting.range.low;
    const double size = setting.range.high - low;
    return {low + size / 3, low + size / 7};
  }
  std::vector<SettingValue> operator()(absl::Duration value) const {
    return {value + absl::Milliseconds(1500), value - absl::Milliseconds(1500)};
  }
  std::vector<SettingValue> operator()(const std::string&) const {
    return {std::begin(kTexts), std::end(kTexts)};
  }
};

struct Beyond {
  const Setting& setting;

  std::optional<SettingValue> operator()(bool) const { return std::nullopt; }
  std::optional<SettingValue> operator()(int) const { return std::numeric_limits<int>::max(); }
  std::optional<SettingValue> operator()(int64_t) const {
    return std::numeric_limits<int64_t>::max();
  }
  std::optional<SettingValue> operator()(uint64_t) const {
    return std::numeric_limits<uint64_t>::max();
  }
  std::optional<SettingValue> operator()(double) const {
    return std::numeric_limits<double>::quiet_NaN();
  }
  std::optional<SettingValue> operator()(absl::Duration) const { return absl::InfiniteDuration(); }
  std::optional<SettingValue> operator()(const std::string&) const { return "\x01"; }
};

}  // namespace

SettingValue OtherThan(const Setting& setting) {
  std::vector<SettingValue> candidates = std::visit(Candidates{setting}, setting.default_value);
  // Numbers from the first, the smallest; names from the last, for those before may rule out what
  // other settings can be (the loss hinge does).
  const bool named = std::holds_alternative<std::string>(setting.default_value);
  for (size_t i = 0; i < setting.choices.size(); ++i) {
    const SettingChoice& choice = setting.choices[named ? setting.choices.size() - 1 - i : i];
    candidates.push_back(named ? SettingValue(choice.name) : SettingValue(choice.number));
  }
  for (const SettingValue& value : candidates) {
    if (value != setting.default_value && CheckSetting(setting, value).ok()) return value;
  }
  ADD_FAILURE() << "no value but the default is known of " << setting.name;
  return setting.default_value;
}

std::optional<SettingValue> WrongFor(const Setting& setting) {
  return std::visit(Beyond{setting}, setting.default_value);
}

}  // namespace gannet::base
