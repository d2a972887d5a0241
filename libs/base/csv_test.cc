#include "libs/base/csv.h"

#include "gtest/gtest.h"

namespace gannet::base {
namespace {

TEST(CsvTest, QuotesWhatNeedsIt) {
  EXPECT_EQ(CsvLine({"a", "1.5", ""}), "a,1.5,\n");
  EXPECT_EQ(CsvLine({"a,b", "say \"hi\"", "c"}), "\"a,b\",\"say \"\"hi\"\"\",c\n");
  EXPECT_EQ(CsvLine({}), "\n");
}

TEST(CsvTest, ANameIsNoFormula) {
  EXPECT_EQ(CsvLine({"=1+1", "+49 170", "-cmd", "@SUM(A1)"}), "'=1+1,'+49 170,'-cmd,'@SUM(A1)\n");
  EXPECT_EQ(CsvLine({"=HYPERLINK(\"http://x\",\"Ada\")"}),
            "\"'=HYPERLINK(\"\"http://x\"\",\"\"Ada\"\")\"\n");
  EXPECT_EQ(CsvLine({"\t=1", "\r=1", "\n=1"}), "'?=1,'?=1,'?=1\n");
  EXPECT_EQ(CsvLine({"\uFF1D1"}), "'\uFF1D1\n");
  EXPECT_EQ(CsvLine({"a=b", "Ada-Bob"}), "a=b,Ada-Bob\n");
  EXPECT_EQ(CsvLine({"-1+cmd|' /C calc'!A0"}), "'-1+cmd|' /C calc'!A0\n");
}

TEST(CsvTest, NumbersStayNumbers) {
  EXPECT_EQ(CsvLine({"-1.5e-3", "+2", "-0", "-inf", "1e308"}), "-1.5e-3,+2,-0,-inf,1e308\n");
}

TEST(CsvTest, ALineIsOneLineAndShowsWhatItHolds) {
  EXPECT_EQ(CsvLine({"two\nlines", "Ada\u202Etxt.exe", "\xff"}), "two?lines,Ada?txt.exe,?\n");
}

}  // namespace
}  // namespace gannet::base
