#include "libs/pg/sql_json.h"

#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/clock.h"
#include "libs/base/philox.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/pg/connection_params.h"
#include "libs/pg/pg_pool.h"
#include "libs/store/testing/test_postgres.h"

namespace gannet::pg {
namespace {

using ::testing::ElementsAre;

uint64_t BitsOf(double value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

double FromBits(uint64_t bits) {
  double value = 0;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

class PgJsonTest : public ::testing::Test {
 protected:
  PgJsonTest() {
    PgConnectionOptions options;
    options.url = url_;
    pool_ = std::make_unique<PgPool>(*MakeConnectionParams(options), BoundedPoolOptions{"test", 1},
                                     clock_, metrics_);
  }
  ~PgJsonTest() override {
    pool_.reset();
    store::TestPostgres::Get().DropDatabase(url_);
  }

  // `columns` of the object, as SQL takes it apart.
  SqlRows TakeApart(const SqlJson& json, const std::string& columns) {
    const std::string name = absl::StrCat("take_apart_", ++count_);
    const std::string sql =
        absl::StrCat("SELECT * FROM jsonb_to_record($1::jsonb) AS r(", columns, ")");
    SqlParams params;
    params.Text(json.text());
    const absl::StatusOr<SqlRows> rows = pool_->Execute({name.c_str(), sql.c_str(), true}, params);
    EXPECT_OK(rows);
    return rows.ok() ? *rows : SqlRows();
  }

  const std::string url_ = store::TestPostgres::Get().CreateEmptyDatabase();
  base::RealClock clock_;
  telemetry::Metrics metrics_;
  std::unique_ptr<PgPool> pool_;
  int count_ = 0;
};

TEST(SqlJsonTest, TextIsWrittenAsJson) {
  EXPECT_EQ(SqlJson().text(), "{}");
  EXPECT_EQ(SqlJson()
                .Int("i", -7)
                .Bool("b", true)
                .Text("t", "\"a\\b\"\n\x01 é")
                .IntArray("a", {1, -2})
                .Json("o", SqlJson().Int("x", 1).text())
                .text(),
            R"({"i":-7,"b":true,"t":"\"a\\b\"\u000a\u0001 é","a":"{1,-2}","o":{"x":1}})");
  EXPECT_EQ(SqlJsonArray({}), "[]");
  EXPECT_EQ(SqlJsonArray({SqlJson().Int("x", 1), SqlJson()}), R"([{"x":1},{}])");
}

TEST_F(PgJsonTest, ADoubleKeepsEveryBit) {
  using Limits = std::numeric_limits<double>;
  std::vector<double> values = {0.0,
                                -0.0,
                                0.1,
                                1.0 / 3,
                                -2.718281828459045,
                                Limits::denorm_min(),
                                -Limits::denorm_min(),
                                FromBits(0x000fffffffffffff),  // the largest denormal
                                Limits::min(),
                                Limits::max(),
                                Limits::lowest(),
                                Limits::epsilon(),
                                9007199254740993.0,
                                Limits::infinity(),
                                -Limits::infinity()};
  base::PhiloxStream stream(1, base::RandomPurpose::kNoise, 0, 0);
  while (values.size() < 2000) {
    const double value = FromBits(uint64_t{stream.Next32()} << 32 | stream.Next32());
    if (value == value) values.push_back(value);
  }
  for (size_t i = 0; i < 200; ++i) values.push_back(FromBits(stream.Next32()));  // denormal ones

  SqlJson json;
  std::string columns;
  for (size_t begin = 0; begin < values.size(); begin += 100) {
    const size_t end = std::min(values.size(), begin + 100);
    json = SqlJson();
    columns.clear();
    for (size_t i = begin; i < end; ++i) {
      json.Double(absl::StrCat("d", i), values[i]);
      absl::StrAppend(&columns, i == begin ? "d" : ", d", i, " double precision");
    }
    const SqlRows rows = TakeApart(json, columns);
    SqlRow row(rows, 0);
    for (size_t i = begin; i < end; ++i) {
      const double read = row.Double(absl::StrCat("d", i).c_str());
      EXPECT_EQ(BitsOf(read), BitsOf(values[i])) << values[i];
    }
    EXPECT_OK(row.status());
  }
}

TEST_F(PgJsonTest, NotANumberStaysOne) {
  const SqlRows rows =
      TakeApart(SqlJson().Double("d", std::numeric_limits<double>::quiet_NaN()), "d float8");

  SqlRow row(rows, 0);
  EXPECT_EQ(row.Text("d"), "NaN");
}

TEST_F(PgJsonTest, AnIntegerBeyondThoseOfADoubleIsExact) {
  constexpr int64_t kOdd = (int64_t{1} << 53) + 1;
  constexpr auto kMost = std::numeric_limits<int64_t>::max();
  constexpr auto kLeast = std::numeric_limits<int64_t>::min();
  constexpr auto kMostUnsigned = std::numeric_limits<uint64_t>::max();
  const SqlRows rows = TakeApart(SqlJson()
                                     .Int("odd", kOdd)
                                     .Int("most", kMost)
                                     .Int("least", kLeast)
                                     .UInt("unsigned", kMostUnsigned)
                                     .IntArray("array", {kOdd, kMost, kLeast}),
                                 "odd bigint, most bigint, least bigint, \"unsigned\" numeric, "
                                 "\"array\" bigint[]");

  SqlRow row(rows, 0);
  EXPECT_EQ(row.Int("odd"), kOdd);
  EXPECT_EQ(row.Int("most"), kMost);
  EXPECT_EQ(row.Int("least"), kLeast);
  EXPECT_EQ(row.UInt("unsigned"), kMostUnsigned);
  EXPECT_THAT(row.IntArray("array"), ElementsAre(kOdd, kMost, kLeast));
  EXPECT_OK(row.status());
}

TEST_F(PgJsonTest, TextArrivesAsItWas) {
  const std::string text = "\"quoted\" \\back\\ \n\t\x1f é 名 🎨 {\"a\":1}";

  const SqlRows rows = TakeApart(SqlJson().Text("t", text), "t text");

  SqlRow row(rows, 0);
  EXPECT_EQ(row.Text("t"), text);
}

}  // namespace
}  // namespace gannet::pg
