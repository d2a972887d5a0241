#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace gannet {

// Bytes of the character that `text` begins with: one code point of well-formed UTF-8 (RFC 3629)
// that is no control character. 0 when it begins with anything else, or is empty.
size_t PrintableCharBytes(absl::string_view text);

// Text of somebody else (names of files and people, reasons) as it may be shown, logged and stored:
// each byte that is part of no such character becomes "?", and what is beyond `max_chars`
// characters is cut off.
std::string Printable(absl::string_view text, size_t max_chars = absl::string_view::npos);

}  // namespace gannet
