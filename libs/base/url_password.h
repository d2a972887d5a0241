#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace gannet::base {

// Whether a PostgreSQL URL ("postgres://USER:PASSWORD@HOST/DB", "…?password=…") or connection
// string
// ("host=… password=…") carries a password. When in doubt, it does.
bool CarriesPassword(absl::string_view url);

// The URL as it may be shown: everything that may be a password replaced by "***".
std::string MaskPassword(absl::string_view url);

}  // namespace gannet::base
