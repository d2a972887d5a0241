// The rule for text is written twice: for workers behind a gateway in C++, for those in direct mode
// in SQL. Both must say the same of every character, wherever it stands.
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "libs/base/printable.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/store/testing/test_postgres.h"

namespace gannet::store {
namespace {

constexpr uint32_t kLastCodePoint = 0x10FFFF;

std::string Utf8(uint32_t code_point) {
  const auto byte = [](uint32_t value) { return static_cast<char>(value); };
  if (code_point < 0x80) return {byte(code_point)};
  if (code_point < 0x800) return {byte(0xC0 | code_point >> 6), byte(0x80 | (code_point & 0x3F))};
  if (code_point < 0x10000) {
    return {byte(0xE0 | code_point >> 12), byte(0x80 | (code_point >> 6 & 0x3F)),
            byte(0x80 | (code_point & 0x3F))};
  }
  return {byte(0xF0 | code_point >> 18), byte(0x80 | (code_point >> 12 & 0x3F)),
          byte(0x80 | (code_point >> 6 & 0x3F)), byte(0x80 | (code_point & 0x3F))};
}

class PgTextTest : public ::testing::Test {
 protected:
  ~PgTextTest() override { TestPostgres::Get().DropDatabase(url_); }

  // "1" or "0" for each text that the query gives as t, in order of n.
  std::string InSql(const std::string& texts) {
    const absl::StatusOr<pg::SqlRows> rows = TestPostgres::Get().Query(
        url_, absl::StrCat("SELECT string_agg(gannet.is_plain_text(t)::integer::text, '' ORDER BY "
                           "n) FROM (",
                           texts, ") AS texts"));
    EXPECT_OK(rows);
    return rows.ok() ? rows->rows[0][0].value_or("") : "";
  }

  // Texts with each of the code points from..to, which SQL and C++ put together by themselves.
  void Compare(const std::string& before, const std::string& after, uint32_t from, uint32_t to) {
    const std::string sql = InSql(absl::StrCat("SELECT n, '", before, "' || chr(n) || '", after,
                                               "' AS t FROM generate_series(", from, ", ", to,
                                               ") AS n WHERE n NOT BETWEEN 55296 AND 57343"));
    size_t place = 0;
    int differences = 0;
    for (uint32_t c = from; c <= to && differences < 10; ++c) {
      if (c >= 0xD800 && c <= 0xDFFF) continue;  // no text in UTF8 holds one
      const bool is_plain =
          base::CountPlainCharacters(absl::StrCat(before, Utf8(c), after)).has_value();
      ASSERT_LT(place, sql.size());
      if ((sql[place++] == '1') != is_plain) {
        ++differences;
        ADD_FAILURE() << "U+" << std::hex << c << " between '" << before << "' and '" << after
                      << "': C++ says " << is_plain;
      }
    }
    EXPECT_EQ(place, sql.size());
  }

  const std::string url_ = TestPostgres::Get().CreateDatabase();
};

TEST_F(PgTextTest, SqlAndCppSayTheSameOfEveryCharacterAmongLetters) {
  Compare("a", "b", 1, kLastCodePoint);
}

TEST_F(PgTextTest, SqlAndCppSayTheSameOfEveryCharacterAtTheBeginning) {
  Compare("", "b", 1, kLastCodePoint);
}

// What stands beside a joiner or a selector decides on it.
TEST_F(PgTextTest, SqlAndCppSayTheSameOfWhatMayStandBesideAJoiner) {
  for (const char* joiner : {"\u200C", "\u200D"}) {
    Compare(absl::StrCat("\u0628", joiner), "", 1, 0x2FFFF);
    Compare("", absl::StrCat(joiner, "\u0628"), 1, 0x2FFFF);
  }
  for (const char* selector : {"\uFE0E", "\uFE0F", "\uFE0F\u20E3", "\u180B", "\u180F"}) {
    Compare("a", selector, 1, 0x2FFFF);
  }
}

TEST_F(PgTextTest, SqlAndCppSayTheSameOfTextsAtRandom) {
  const std::vector<std::string> pieces = {
      "a",      "7",      "#",      " ",      "\u0301",     "\u0628",     "\u064E",     "\u200D",
      "\u200C", "\uFE0F", "\uFE0E", "\u2764", "\u20E3",     "\u180B",     "\u1820",     "\u0915",
      "\u094D", "\u202E", "\u4E00", "\u00A9", "\U0001F468", "\U0001F3FD", "\U000E0041", "\u0410"};
  std::mt19937 random(18);
  std::vector<std::string> texts;
  std::vector<std::string> literals;
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    const size_t length = 1 + random() % 6;
    for (size_t k = 0; k < length; ++k) text += pieces[random() % pieces.size()];
    texts.push_back(text);
    literals.push_back(absl::StrCat("'", text, "'"));
  }

  const std::string sql =
      InSql(absl::StrCat("SELECT t, n FROM unnest(ARRAY[", absl::StrJoin(literals, ","),
                         "]::text[]) WITH ORDINALITY AS u (t, n)"));

  ASSERT_EQ(sql.size(), texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(sql[i] == '1', base::CountPlainCharacters(texts[i]).has_value()) << texts[i];
  }
}

TEST_F(PgTextTest, TheRuleHangsOnNoLocale) {
  EXPECT_EQ(InSql("SELECT 1 AS n, U&'a\\0085b' AS t UNION SELECT 2, U&'Gr\\00FCn'"), "01");
}

}  // namespace
}  // namespace gannet::store
