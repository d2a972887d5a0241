#pragma once

#include <optional>

#include "libs/base/setting.h"

namespace gannet::base {

// Finds an allowed value other than the default, and other than 0 or an empty text, which a
// forgotten copy would give, too. Fails the test when it knows none: then name one in
// setting_values.cc.
SettingValue OtherThan(const Setting& setting);

// Finds a value of the setting's type that is not allowed; none when all of them are.
std::optional<SettingValue> WrongFor(const Setting& setting);

}  // namespace gannet::base
