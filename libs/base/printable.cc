#include "libs/base/printable.h"

#include <cstdint>

namespace gannet {

size_t PrintableCharBytes(absl::string_view text) {
  if (text.empty()) return 0;
  const auto lead = static_cast<unsigned char>(text[0]);
  size_t length = 1;
  uint32_t code_point = lead;
  uint32_t smallest = 0;  // of this length: a longer form than needed is not well-formed
  if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4, code_point = lead & 0x07u, smallest = 0x10000;
  } else if (lead >= 0xE0 && lead < 0xF0) {
    length = 3, code_point = lead & 0x0Fu, smallest = 0x800;
  } else if (lead >= 0xC2 && lead < 0xE0) {
    length = 2, code_point = lead & 0x1Fu, smallest = 0x80;
  } else if (lead >= 0x80) {
    return 0;
  }
  if (length > text.size()) return 0;
  for (size_t k = 1; k < length; ++k) {
    const auto next = static_cast<unsigned char>(text[k]);
    if ((next & 0xC0u) != 0x80u) return 0;
    code_point = (code_point << 6) | (next & 0x3Fu);
  }
  const bool surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
  const bool control = code_point < 0x20 || (code_point >= 0x7F && code_point < 0xA0);
  return code_point < smallest || code_point > 0x10FFFF || surrogate || control ? 0 : length;
}

std::string Printable(absl::string_view text, size_t max_chars) {
  std::string shown;
  for (size_t at = 0, chars = 0; at < text.size() && chars < max_chars; ++chars) {
    const size_t length = PrintableCharBytes(text.substr(at));
    if (length == 0) {
      shown.push_back('?');
      ++at;
    } else {
      shown.append(text.data() + at, length);
      at += length;
    }
  }
  return shown;
}

}  // namespace gannet
