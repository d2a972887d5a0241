#include "libs/base/printable.h"

#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace gannet::base {
namespace {

TEST(PrintableTest, TextOfOthersCannotSteerATerminal) {
  EXPECT_EQ(Printable("Ada's laptop"), "Ada's laptop");
  EXPECT_EQ(Printable("Gr\u00fcn \U0001f600"), "Gr\u00fcn \U0001f600");
  EXPECT_EQ(Printable("a\x1b[2Jb\nc\x7f"), "a?[2Jb?c?");
  EXPECT_EQ(Printable("\u009b2J"), "?2J");
}

TEST(PrintableTest, WhatIsNotUtf8IsReplaced) {
  EXPECT_EQ(Printable("\xff\xc3"), "??");
  EXPECT_EQ(Printable("\xc0\xaf"), "??");            // a longer form of "/"
  EXPECT_EQ(Printable("\xed\xa0\x80"), "???");       // a surrogate
  EXPECT_EQ(Printable("\xf4\x90\x80\x80"), "????");  // beyond the last code point
}

TEST(PrintableTest, IsCutBetweenCharacters) {
  EXPECT_EQ(Printable("Gr\u00fcn", 3), "Gr\u00fc");
  EXPECT_EQ(Printable("Gr\u00fcn", 2), "Gr");
  EXPECT_EQ(Printable("Gr\u00fcn", 0), "");
}

TEST(PrintableTest, WhatIsInvisibleOrTurnsTextAroundIsReplaced) {
  for (const char* hidden :
       {"\u00AD",     "\u034F",     "\u061C",     "\u115F",    "\u180E", "\u200B",     "\u200C",
        "\u200D",     "\u200E",     "\u200F",     "\u2028",    "\u2029", "\u202A",     "\u202B",
        "\u202C",     "\u202D",     "\u202E",     "\u2060",    "\u2066", "\u2067",     "\u2068",
        "\u2069",     "\u2800",     "\u3164",     "\uE000",    "\uFDD0", "\uFE00",     "\uFE0F",
        "\uFEFF",     "\uFFA0",     "\uFFF9",     "\uFFFE",    "\uFFFF", "\U0001FFFF", "\U000E0001",
        "\U000E0041", "\U000E0100", "\U000F0000", "\U0010FFFF"}) {
    const std::string text = std::string("Ada") + hidden + "Bob";
    EXPECT_EQ(CountPlainCharacters(text), std::nullopt) << text;
    EXPECT_EQ(Printable(text), "Ada?Bob");
  }
}

TEST(PrintableTest, EveryScriptMayBeWritten) {
  for (const char* name :
       {"\u00C5sa", "A\u030Asa", "\u0391\u03B4\u03B1", "\u0410\u0434\u0430", "\u05E2\u05D3\u05D4",
        "\u0639\u0628\u062F\u0627\u0644\u0644\u0647\u064F",
        "\u0645\u06CC\u200C\u062E\u0648\u0627\u0647\u0645",            // Persian, with its joiner
        "\u0936\u094D\u0930\u0940", "\u0DC1\u0DCA\u200D\u0DBB\u0DD3",  // Sinhala, too
        "\u0E2A\u0E21\u0E0A\u0E31\u0E22", "\u5C0F\u660E \u3042\u30AD", "\uBBFC\uC218",
        "\u1820\u180B\u1828", "\u0600\u0661"}) {
    const std::string text = name;
    EXPECT_NE(CountPlainCharacters(text), std::nullopt) << text;
    EXPECT_EQ(Printable(text), text);
  }
}

TEST(PrintableTest, PicturesMayBeJoined) {
  for (const char* name : {"\u2764\uFE0F", "\u2764\uFE0F\u200D\U0001F525",  // on fire
                           "\U0001F468\u200D\U0001F469\u200D\U0001F467",    // a family
                           "\U0001F44D\U0001F3FD", "\U0001F1E9\U0001F1EA",  // skin, flag
                           "1\uFE0F\u20E3", "\u00A9\uFE0E"}) {              // keycap
    EXPECT_EQ(Printable(name), name);
  }
  EXPECT_EQ(Printable("1\uFE0F"), "1?");
  EXPECT_EQ(Printable("\u2764\uFE0F\uFE0F"), "\u2764\uFE0F?");
  EXPECT_EQ(Printable("\U0001F468\u200D"), "\U0001F468?");
  EXPECT_EQ(Printable("\U0001F468\u200D\u200D\U0001F469"), "\U0001F468??\U0001F469");
  EXPECT_EQ(Printable("\u0410\u200D\u0434"), "\u0410?\u0434") << "would be a second \u0410\u0434";
}

TEST(PrintableTest, AMarkNeedsACharacterThatItStandsOn) {
  EXPECT_EQ(Printable("\u0301a"), "?a");
  EXPECT_EQ(Printable("\u064Ea"), "?a");
  EXPECT_EQ(Printable("a\u0301\u0302"), "a\u0301\u0302");
}

TEST(PrintableTest, WhatWasMadePrintableIsPlain) {
  std::mt19937 random(7);
  const std::vector<std::string> pieces = {
      "a",      "\u0301", "\u0628", "\u064E", "\u200D",     "\u200C", "\uFE0F", "\u2764",
      "\u180B", "\u1820", "\u20E3", "1",      "\U0001F468", "\u202E", "\xff",   "\xe2\x80"};
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (int k = 0; k < 6; ++k) text += pieces[random() % pieces.size()];
    const std::string shown = Printable(text, 1 + random() % 6);
    EXPECT_NE(CountPlainCharacters(shown), std::nullopt) << text;
    EXPECT_EQ(Printable(shown), shown) << text;
  }
}

}  // namespace
}  // namespace gannet::base
