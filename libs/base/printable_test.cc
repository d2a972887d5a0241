#include "libs/base/printable.h"

#include "gtest/gtest.h"

namespace gannet {
namespace {

TEST(PrintableTest, TextOfOthersCannotSteerATerminal) {
  EXPECT_EQ(Printable("Ada's laptop"), "Ada's laptop");
  EXPECT_EQ(Printable("Gr\u00fcn \U0001f600"), "Gr\u00fcn \U0001f600");
  EXPECT_EQ(Printable("a\x1b[2Jb\nc\x7f"), "a?[2Jb?c?");
  EXPECT_EQ(Printable("\u009b2J"), "??2J");
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

}  // namespace
}  // namespace gannet
