#include "libs/pg/sql_values.h"

#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::pg {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

SqlRows OneRow(const std::string& column, std::optional<std::string> value) {
  SqlRows rows;
  rows.columns = {column};
  rows.rows = {{std::move(value)}};
  return rows;
}

TEST(SqlValuesTest, ParametersKeepTheirOrderAndText) {
  SqlParams params;
  params.Null()
      .Int(-7)
      .UInt(std::numeric_limits<uint64_t>::max())
      .Bool(true)
      .Text("it's")
      .IntArray({1, 2, 3});

  ASSERT_EQ(params.values().size(), 6u);
  EXPECT_TRUE(params.values()[0].null);
  EXPECT_EQ(params.values()[1].text, "-7");
  EXPECT_EQ(params.values()[2].text, "18446744073709551615");
  EXPECT_EQ(params.values()[3].text, "t");
  EXPECT_EQ(params.values()[4].text, "it's");
  EXPECT_EQ(params.values()[5].text, "{1,2,3}");
}

TEST(SqlValuesTest, DoublesKeepEveryBit) {
  for (const double value : {0.1, -1.0 / 3.0, 5e-324, 1.7976931348623157e308}) {
    SqlParams params;
    params.Double(value);
    const SqlRows rows = OneRow("x", params.values()[0].text);
    SqlRow row(rows, 0);

    EXPECT_EQ(row.Double("x"), value);
    EXPECT_OK(row.status());
  }
}

TEST(SqlValuesTest, ValuesAreReadByColumn) {
  SqlRows rows;
  rows.columns = {"i", "u", "b", "t", "y", "a", "e", "n"};
  rows.rows = {{"-3", "18446744073709551615", "f", "text", "\\x00ff", "{4,5}", "{}", std::nullopt}};
  SqlRow row(rows, 0);

  EXPECT_EQ(row.Int("i"), -3);
  EXPECT_EQ(row.UInt("u"), std::numeric_limits<uint64_t>::max());
  EXPECT_FALSE(row.Bool("b"));
  EXPECT_EQ(row.Text("t"), "text");
  EXPECT_EQ(row.Bytes("y"), std::string("\0\xff", 2));
  EXPECT_THAT(row.IntArray("a"), ElementsAre(4, 5));
  EXPECT_THAT(row.IntArray("e"), IsEmpty());
  EXPECT_TRUE(row.IsNull("n"));
  EXPECT_OK(row.status());
}

TEST(SqlValuesTest, WhatCannotBeReadIsZeroAndSaid) {
  const SqlRows rows = OneRow("x", "seven");

  SqlRow number(rows, 0);
  EXPECT_EQ(number.Int("x"), 0);
  EXPECT_THAT(number.status(), base::StatusIs(absl::StatusCode::kInternal, HasSubstr("x")));

  SqlRow missing(rows, 0);
  EXPECT_EQ(missing.Text("y"), "");
  EXPECT_THAT(missing.status(), base::StatusIs(absl::StatusCode::kInternal, HasSubstr("y")));

  SqlRow no_row(rows, 1);
  EXPECT_EQ(no_row.Text("x"), "");
  EXPECT_THAT(no_row.status(), base::StatusIs(absl::StatusCode::kInternal));

  const SqlRows null = OneRow("x", std::nullopt);
  SqlRow null_row(null, 0);
  EXPECT_EQ(null_row.Int("x"), 0);
  EXPECT_THAT(null_row.status(), base::StatusIs(absl::StatusCode::kInternal));
}

TEST(SqlValuesTest, TheFirstFailureIsKept) {
  const SqlRows rows = OneRow("x", "seven");
  SqlRow row(rows, 0);

  row.Int("x");
  row.Text("y");

  EXPECT_THAT(row.status(), base::StatusIs(absl::StatusCode::kInternal, HasSubstr("column x")));
}

TEST(SqlValuesTest, MalformedBytesAndArraysAreSaid) {
  for (const char* text : {"00ff", "\\xzz", "\\x0"}) {
    const SqlRows rows = OneRow("x", text);
    SqlRow row(rows, 0);
    row.Bytes("x");
    EXPECT_THAT(row.status(), base::StatusIs(absl::StatusCode::kInternal)) << text;
  }
  for (const char* text : {"", "1,2", "{1,a}"}) {
    const SqlRows rows = OneRow("x", text);
    SqlRow row(rows, 0);
    row.IntArray("x");
    EXPECT_THAT(row.status(), base::StatusIs(absl::StatusCode::kInternal)) << text;
  }
}

}  // namespace
}  // namespace gannet::pg
