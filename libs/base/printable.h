#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace gannet::base {

// The number of characters of a text for people: well-formed UTF-8, each character of which may be
// shown where it stands (TextCharacter::is_plain). Nothing when it is anything else.
std::optional<int> CountPlainCharacters(absl::string_view text);

// Text of somebody else (names of files and people, reasons) as it may be shown, logged and stored,
// whatever it was: each character that may not be shown becomes "?", and what is beyond `max_chars`
// characters is cut off. CountPlainCharacters counts the result.
std::string Printable(absl::string_view text, size_t max_chars = absl::string_view::npos);

}  // namespace gannet::base
