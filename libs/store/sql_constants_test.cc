#include "libs/store/sql_constants.h"

#include <cctype>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/store/embedded_migrations.h"

namespace gannet::store {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// Without "-- …" and "/* … */": nobody executes what a comment says.
std::string WithoutComments(const std::string& sql) {
  std::string code;
  for (size_t i = 0; i < sql.size(); ++i) {
    if (sql.compare(i, 2, "--") == 0) {
      i = sql.find('\n', i);
    } else if (sql.compare(i, 2, "/*") == 0) {
      i = sql.find("*/", i) + 2;
    }
    if (i >= sql.size()) break;
    code += sql[i];
  }
  return code;
}

// Numbers that no constant of ours has.
constexpr const char* kOwnNumbers[] = {
    "* 1000000",  // microseconds of a second
    "percentile_disc(0.5)",
    "'max_connections')::integer / 2",  // half of them
    "settings_version >> 24",           // this and two more: the bits of V0007 that are drawn
    "+ 1 << 24)",
    "1 << 24))",
    "weights_version + 2 <> p_round",  // this and one more: one or two rounds ahead
    "NOT IN (1, 2)",
    "p_attempt - 2",                // the second one is not delayed
    "octet_length(p_sha256) = 32",  // this and one more: what SHA-256 is
    "32 bytes of sha256",
    "worker is 32 hexadecimal digits",  // this and two more: as the pattern above them says
    "secret 64, its in",
    "must be 32 hexadecimal digits",
    "0-9",  // digits, in a pattern
};

// The numbers of a script that are typed as such, each with what stands around it: but for 0 and 1,
// $1, what is part of a word ('10s', GN003, \u00AD) and counts of a pattern ({32}).
std::vector<std::string> TypedNumbers(const std::string& script) {
  std::string code = WithoutComments(script);
  for (const char* own : kOwnNumbers) code = absl::StrReplaceAll(code, {{own, ""}});
  std::vector<std::string> typed;
  for (size_t i = 0; i < code.size();) {
    if (std::isdigit(static_cast<unsigned char>(code[i])) == 0) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < code.size() && (IsWord(code[end]) || code[end] == '.')) ++end;
    while (code[end - 1] == '.') --end;
    const std::string number = code.substr(i, end - i);
    const char before = i == 0 ? ' ' : code[i - 1];
    const bool is_word = IsWord(before) || before == '$' || before == '\\' || before == '{' ||
                         number.find_first_not_of("0123456789.") != std::string::npos;
    if (!is_word && number != "0" && number != "1") {
      typed.push_back(code.substr(i < 30 ? 0 : i - 30, 60));
    }
    i = end;
  }
  return typed;
}

TEST(SqlConstantsTest, AConstantStandsInPlaceOfItsName) {
  EXPECT_THAT(FillSqlConstants("left(t, ${kMaxReasonChars}) || '$1 ${kWorkerLivenessTimeout}'"),
              base::IsOkAndHolds("left(t, 500) || '$1 30 seconds'"));
  EXPECT_THAT(FillSqlConstants("${SubmitOutcome::kLate}${LedgerOutcome::kRevoked}"),
              base::IsOkAndHolds("2105"));
  EXPECT_THAT(FillSqlConstants("nothing"), base::IsOkAndHolds("nothing"));
}

TEST(SqlConstantsTest, ANameThatIsUnknownIsNamed) {
  EXPECT_THAT(FillSqlConstants("SELECT ${kMaxWishes}"),
              base::StatusIs(absl::StatusCode::kInternal, HasSubstr("kMaxWishes")));
  EXPECT_THAT(FillSqlConstants("SELECT ${kMaxReasonChars"),
              base::StatusIs(absl::StatusCode::kInternal, HasSubstr("not closed")));
}

TEST(SqlConstantsTest, EveryScriptNamesOnlyConstantsThatThereAre) {
  for (const pg::Migration& script : MigrationScripts()) {
    if (script.file_name[0] == 'V') {
      EXPECT_FALSE(absl::StrContains(script.sql, "${"))
          << script.file_name << " is never filled in";
    } else {
      EXPECT_OK(FillSqlConstants(script.sql)) << script.file_name;
    }
  }
}

TEST(SqlConstantsTest, EveryConstantIsNamedByAScript) {
  std::string all;
  for (const pg::Migration& script : MigrationScripts()) all += WithoutComments(script.sql);
  std::set<std::string> names;
  for (const SqlConstant& constant : SqlConstants()) {
    EXPECT_TRUE(names.insert(constant.name).second) << constant.name << " is there twice";
    EXPECT_THAT(all, HasSubstr(absl::StrCat("${", constant.name, "}")));
  }
}

TEST(SqlConstantsTest, ATypedNumberIsFound) {
  EXPECT_THAT(TypedNumbers("SELECT left(t, 500) -- 501\n, '10s', E'\\u0041', $1, a[0], 1 /* 2 */"),
              ElementsAre(HasSubstr("left(t, 500)")));
  EXPECT_THAT(TypedNumbers("x > interval '30 seconds'"), ElementsAre(HasSubstr("30 seconds")));
  EXPECT_THAT(TypedNumbers("v < 0.25"), ElementsAre(HasSubstr("0.25")));
}

TEST(SqlConstantsTest, EveryNumberOfItsOwnIsInAScript) {
  std::string all;
  for (const pg::Migration& script : MigrationScripts()) {
    if (script.file_name[0] != 'V') all += WithoutComments(script.sql);
  }
  for (const char* own : kOwnNumbers) EXPECT_THAT(all, HasSubstr(own));
}

// A limit is typed once, in C++. What no constant has is listed above, so that whoever types a
// number into a function thinks of it. Two scripts are left out: the numbers of R__plain_text.sql
// are characters, which pg_text_test compares with those of C++ one by one, and those of
// A__describe_tables.sql stand in prose.
TEST(SqlConstantsTest, NoNumberOfOursIsTypedIntoAFunction) {
  for (const pg::Migration& script : MigrationScripts()) {
    if (script.file_name[0] == 'V' || script.file_name == "R__plain_text.sql" ||
        script.file_name == "A__describe_tables.sql") {
      continue;
    }
    EXPECT_THAT(TypedNumbers(script.sql), IsEmpty()) << script.file_name;
  }
}

}  // namespace
}  // namespace gannet::store
