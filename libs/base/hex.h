#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace gannet::base {

// Lower-case hexadecimal digits of `bytes`.
std::string HexEncode(absl::string_view bytes);

// Whether `text` is exactly `digits` lower-case hexadecimal digits.
bool IsHex(absl::string_view text, size_t digits);

// The bytes that HexEncode turns into `digits`, which must be an even number of lower-case
// hexadecimal digits.
std::string HexDecode(absl::string_view digits);

// `byte_count` bytes from the kernel's random generator, as hexadecimal digits. For identities and
// secrets.
std::string RandomHex(size_t byte_count);

}  // namespace gannet::base
