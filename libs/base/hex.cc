#include "libs/base/hex.h"

#include <sys/random.h>

#include "libs/base/check.h"

namespace gannet::base {

std::string HexEncode(absl::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto b = static_cast<unsigned char>(c);
    out += kDigits[b >> 4];
    out += kDigits[b & 15];
  }
  return out;
}

bool IsHex(absl::string_view text, size_t digits) {
  if (text.size() != digits) return false;
  for (const char c : text) {
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  }
  return true;
}

std::string HexDecode(absl::string_view digits) {
  GANNET_CHECK(digits.size() % 2 == 0 && IsHex(digits, digits.size()));
  const auto value = [](char digit) { return digit <= '9' ? digit - '0' : digit - 'a' + 10; };
  std::string bytes(digits.size() / 2, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(value(digits[2 * i]) << 4 | value(digits[2 * i + 1]));
  }
  return bytes;
}

std::string RandomHex(size_t byte_count) {
  std::string bytes(byte_count, '\0');
  // getrandom never returns less than asked for up to 256 bytes.
  GANNET_CHECK(byte_count <= 256);
  GANNET_CHECK(getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(byte_count));
  return HexEncode(bytes);
}

}  // namespace gannet::base
