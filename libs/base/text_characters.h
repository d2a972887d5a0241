#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace gannet::base {

// One character of a text that others wrote: a code point of well-formed UTF-8 (RFC 3629), or a
// byte that belongs to none.
struct TextCharacter {
  size_t bytes = 0;
  uint32_t code_point = 0;
  bool is_well_formed = false;
  // Whether it may be shown where it stands: the one rule for all text for people, names above all.
  // The same rule is gannet.is_plain_text in SQL (R__plain_text.sql); a test compares them.
  //
  // It refuses what is invisible, or changes how its neighbours are shown. By general category
  // (Unicode 14): Cc (controls), Zl and Zp (line ends), Cs (surrogates), Co (private use: what they
  // look like hangs on the reader's font), noncharacters, and Cf (format: direction, byte order
  // mark, tags), but for the number signs of Arabic and others, which are seen; by property what
  // else is Default_Ignorable (fillers, variation selectors); and the blank of Braille. Marks (Mn,
  // Mc, Me) are part of writing behind another character; at the beginning of a text they would
  // change what is printed before it.
  //
  // Where writing needs them, these are let through:
  //   - zero width joiners (U+200C, U+200D) between letters of scripts that join (Arabic to Thai,
  //     Mongolian, ...) or between pictographs;
  //   - the selectors U+FE0E and U+FE0F behind a pictograph, and in a keycap;
  //   - Mongolian selectors behind Mongolian letters.
  bool is_plain = false;
};

// The character that begins at `text[at]`; `at` must be within the text and where a character
// begins.
TextCharacter CharacterAt(absl::string_view text, size_t at);

}  // namespace gannet::base
