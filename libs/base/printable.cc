#include "libs/base/printable.h"

#include "libs/base/text_characters.h"

namespace gannet::base {

std::optional<int> CountPlainCharacters(absl::string_view text) {
  int count = 0;
  for (size_t at = 0; at < text.size(); ++count) {
    const TextCharacter character = CharacterAt(text, at);
    if (!character.is_plain) return std::nullopt;
    at += character.bytes;
  }
  return count;
}

std::string Printable(absl::string_view text, size_t max_chars) {
  // Cut first: what stands behind the end must not decide.
  size_t end = 0;
  for (size_t chars = 0; end < text.size() && chars < max_chars; ++chars) {
    end += CharacterAt(text, end).bytes;
  }
  text = text.substr(0, end);
  std::string shown;
  for (size_t at = 0; at < text.size();) {
    const TextCharacter character = CharacterAt(text, at);
    if (character.is_plain) {
      shown.append(text.data() + at, character.bytes);
    } else {
      shown.push_back('?');
    }
    at += character.bytes;
  }
  // A joiner may have lost the character that it stood behind.
  return CountPlainCharacters(shown).has_value() ? shown : Printable(shown);
}

}  // namespace gannet::base
