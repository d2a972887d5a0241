#include "libs/data/delimited_text.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::vector<std::string>> Fields(absl::string_view text) {
  std::vector<std::vector<std::string>> fields;
  const absl::StatusOr<std::vector<TextRow>> rows = SplitDelimitedText(text);
  if (!rows.ok()) return {{rows.status().ToString()}};
  for (const TextRow& row : *rows) fields.push_back(row.fields);
  return fields;
}

TEST(DelimitedTextTest, EverySeparatorOfSpreadsheetsIsKnown) {
  for (const char* text : {"a,b,c\n1,-1,0\n", "a;b;c\n1;-1;0\n", "a\tb\tc\n1\t-1\t0\n",
                           "a b  c\n1  -1 0 \n", " a , b,c\r\n1,-1, 0", "a;b;c\r1;-1;0\r",
                           "\xef\xbb\xbf\"a\",\"b\",\"c\"\r\n\"1\",\"-1\",\"0\"\r\n"}) {
    EXPECT_THAT(Fields(text), ElementsAre(ElementsAre("a", "b", "c"), ElementsAre("1", "-1", "0")))
        << text;
  }
}

TEST(DelimitedTextTest, TheNumberOfImagesMayStandAlone) {
  EXPECT_THAT(Fields("2\na b\nx.jpg 1 -1\n"), ElementsAre(ElementsAre("2"), ElementsAre("a", "b"),
                                                          ElementsAre("x.jpg", "1", "-1")));
  EXPECT_THAT(Fields("2\na b\nx,y.jpg 1 -1\n").back(), ElementsAre("x,y.jpg", "1", "-1"))
      << "a comma in a name separates nothing";
}

TEST(DelimitedTextTest, QuotedFieldsHoldSeparatorsQuotesAndLineBreaks) {
  EXPECT_THAT(
      Fields("\"a,b\",\"say \"\"hi\"\"\",c\n\"two\nlines\",,\"\"\n"),
      ElementsAre(ElementsAre("a,b", "say \"hi\"", "c"), ElementsAre("two\nlines", "", "")));
  EXPECT_THAT(Fields("\"x;y\",b\n"), ElementsAre(ElementsAre("x;y", "b")));
}

TEST(DelimitedTextTest, RowsWithoutAnythingAreNone) {
  EXPECT_THAT(Fields(""), IsEmpty());
  EXPECT_THAT(Fields("\n \r\n,,\n"), IsEmpty());
  EXPECT_THAT(Fields("a,b\n,,\n\n1,2"), ElementsAre(ElementsAre("a", "b"), ElementsAre("1", "2")));
}

TEST(DelimitedTextTest, RowsKnowTheirLine) {
  ASSERT_OK_AND_ASSIGN(const std::vector<TextRow> rows,
                       SplitDelimitedText("\"a\n\",b\r\n\r\nc,d\n"));

  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].line, 1);
  EXPECT_EQ(rows[1].line, 4);
}

TEST(DelimitedTextTest, WhatCannotBeSplitIsNamed) {
  EXPECT_THAT(SplitDelimitedText("a,b\n1,\"2\n3,4\n"),
              base::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("line 2")));
  EXPECT_THAT(SplitDelimitedText(absl::string_view("\xff\xfe"
                                                   "a\0",
                                                   4)),
              base::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("UTF-16")));
}

}  // namespace
}  // namespace gannet::data
