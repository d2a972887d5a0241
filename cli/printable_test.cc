#include "cli/printable.h"

#include "gtest/gtest.h"

namespace gannet::cli {
namespace {

TEST(PrintableTextTest, WidthCountsCharactersNotBytes) {
  EXPECT_EQ(DisplayWidth("Gr\u00fcn"), 4);
  EXPECT_EQ(DisplayWidth(""), 0);
}

TEST(PrintableTextTest, DurationsHaveTwoUnitsAtMost) {
  EXPECT_EQ(ShortDuration(absl::ZeroDuration()), "0 s");
  EXPECT_EQ(ShortDuration(absl::Seconds(-5)), "0 s");
  EXPECT_EQ(ShortDuration(absl::Milliseconds(59'900)), "59 s");
  EXPECT_EQ(ShortDuration(absl::Seconds(60)), "1 min 0 s");
  EXPECT_EQ(ShortDuration(absl::Seconds(3599)), "59 min 59 s");
  EXPECT_EQ(ShortDuration(absl::Minutes(125)), "2 h 5 min");
}

TEST(PrintableTextTest, TablesAlignNumbersToTheRight) {
  EXPECT_EQ(TextTable({{"name", "units", "id"}, {"Gr\u00fcn", "7", "x1"}, {"Bob", "123", "x2"}}),
            "name  units  id\n"
            "Gr\u00fcn      7  x1\n"
            "Bob     123  x2\n");
}

TEST(PrintableTextTest, ATableMayHaveNoRowsOrShortOnes) {
  EXPECT_EQ(TextTable({{"a", "b"}}), "a  b\n");
  EXPECT_EQ(TextTable({{"a", "b"}, {"1"}}), "a  b\n1\n");
  EXPECT_EQ(TextTable({}), "");
}

TEST(PrintableTextTest, NamesOfOthersCannotTurnATableAround) {
  EXPECT_EQ(TextTable({{"name", "units"}, {"Ada\u202E\u200B", "7"}, {"a\u2028b", "8"}}),
            "name   units\n"
            "Ada??      7\n"
            "a?b        8\n");
}

TEST(PrintableTextTest, MessagesKeepTheirLinesOnly) {
  EXPECT_EQ(PrintableLines("one\ntwo \u202E\x1b[2J"), "one\ntwo ??[2J");
}

}  // namespace
}  // namespace gannet::cli
