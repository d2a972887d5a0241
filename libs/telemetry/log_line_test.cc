#include "libs/telemetry/log_line.h"

#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace gannet::telemetry {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

absl::Time Noon() { return absl::FromUnixMillis(1767323045678); }

std::string Text(absl::string_view message, const std::vector<LogField>& fields = {}) {
  return FormatTextLine(Noon(), LogLevel::kInfo, "coordinator", message, fields);
}

std::string Json(absl::string_view message, const std::vector<LogField>& fields = {}) {
  return FormatJsonLine(Noon(), LogLevel::kInfo, "coordinator", message, fields);
}

// The text line without its fixed beginning.
std::string Field(const LogField& field) {
  return Text("m", {field})
      .substr(std::string("2026-01-02T03:04:05.678Z INFO coordinator m ").size());
}

TEST(LogLineTest, TextHasTimeLevelServiceMessageThenFields) {
  EXPECT_EQ(Text("round published", {{"round", 12}, {"seconds", 0.14}}),
            "2026-01-02T03:04:05.678Z INFO coordinator round published round=12 seconds=0.14");
}

TEST(LogLineTest, EveryLevelHasItsName) {
  EXPECT_THAT(FormatTextLine(Noon(), LogLevel::kDebug, "s", "m", {}), HasSubstr(" DEBUG s m"));
  EXPECT_THAT(FormatTextLine(Noon(), LogLevel::kWarning, "s", "m", {}), HasSubstr(" WARNING s m"));
  EXPECT_THAT(FormatJsonLine(Noon(), LogLevel::kError, "s", "m", {}),
              HasSubstr("\"level\":\"error\""));
}

TEST(LogLineTest, PlainValuesAreNotQuoted) {
  EXPECT_EQ(Field({"path", "/var/lib/x-1.png"}), "path=/var/lib/x-1.png");
  EXPECT_EQ(Field({"n", -3}), "n=-3");
  EXPECT_EQ(Field({"n", uint64_t{18446744073709551615U}}), "n=18446744073709551615");
  EXPECT_EQ(Field({"ok", true}), "ok=true");
  EXPECT_EQ(Field({"wait", absl::Milliseconds(1500)}), "wait=1.5s");
}

TEST(LogLineTest, ValuesThatCouldBeMisreadAreQuoted) {
  EXPECT_EQ(Field({"v", ""}), "v=\"\"");
  EXPECT_EQ(Field({"v", "two words"}), "v=\"two words\"");
  EXPECT_EQ(Field({"v", "a=b"}), "v=\"a=b\"");
  EXPECT_EQ(Field({"v", "say \"hi\""}), "v=\"say \\\"hi\\\"\"");
  EXPECT_EQ(Field({"v", "back\\slash"}), "v=\"back\\\\slash\"");
  EXPECT_EQ(Field({"v", "gr\u00fcn"}), "v=\"gr\u00fcn\"");
  EXPECT_EQ(Field({"status", absl::NotFoundError("no such run")}),
            "status=\"NOT_FOUND: no such run\"");
}

TEST(LogLineTest, AValueCannotStartANewLineOrSteerATerminal) {
  EXPECT_EQ(Field({"v", "a\nb\rc\td"}), "v=\"a\\nb\\rc\\td\"");
  EXPECT_EQ(Field({"v", std::string("\0\x1b[2J\x7f", 6)}), "v=\"\\x00\\x1b[2J\\x7f\"");
  EXPECT_EQ(Field({"v", "\u009b2J"}), "v=\"\\x9b2J\"");
  EXPECT_EQ(Field({"v", "a\u2028b"}), "v=\"a\\u2028b\"");
  EXPECT_EQ(Field({"v", "a\u202Eb"}), "v=\"a\\u202eb\"");
  EXPECT_EQ(Field({"v", "\uFEFFa\U000E0041"}), "v=\"\\ufeffa\\U000e0041\"");
  EXPECT_THAT(Json("m", {{"v", "a\U000E0041"}}), HasSubstr("a\\udb40\\udc41"));
}

TEST(LogLineTest, AMessageCannotStartANewLine) {
  EXPECT_THAT(Text("one\n2026-01-01T00:00:00.000Z ERROR forged"), Not(HasSubstr("\n")));
  EXPECT_THAT(Json("one\ntwo"), Not(HasSubstr("\n")));
}

TEST(LogLineTest, BytesThatAreNotUtf8AreEscaped) {
  EXPECT_EQ(Field({"v", "\xff\xfe"}), "v=\"\\xff\\xfe\"");
  EXPECT_EQ(Field({"v", "\xc0\xaf"}), "v=\"\\xc0\\xaf\"") << "overlong";
  EXPECT_EQ(Field({"v", "\xed\xa0\x80"}), "v=\"\\xed\\xa0\\x80\"") << "surrogate";
  EXPECT_EQ(Field({"v", "\xe2\x82"}), "v=\"\\xe2\\x82\"") << "cut off";
}

TEST(LogLineTest, LongValuesAreCutAndSaySo) {
  const std::string line = Text("m", {{"v", std::string(10'000, 'x')}});

  EXPECT_LT(line.size(), 2200U);
  EXPECT_THAT(line, HasSubstr("... (10000 bytes)"));
}

TEST(LogLineTest, KeysCannotBreakTheLine) {
  EXPECT_EQ(Field({"a b=\n", 1}), "a_b__=1");
  EXPECT_EQ(Field({"", 1}), "_=1");
}

TEST(LogLineTest, JsonParsesBackToWhatWasSaid) {
  const std::string line = Json("loss \"odd\"", {{"round", 12},
                                                 {"seconds", 0.14},
                                                 {"ok", false},
                                                 {"path", "C:\\x\n\x01"},
                                                 {"nan", std::numeric_limits<double>::quiet_NaN()},
                                                 {"bad", "\xff"},
                                                 {"name", "gr\u00fcn"}});

  const nlohmann::json json = nlohmann::json::parse(line);

  EXPECT_EQ(json["time"], "2026-01-02T03:04:05.678Z");
  EXPECT_EQ(json["level"], "info");
  EXPECT_EQ(json["service"], "coordinator");
  EXPECT_EQ(json["message"], "loss \"odd\"");
  EXPECT_EQ(json["round"], 12);
  EXPECT_EQ(json["seconds"], 0.14);
  EXPECT_EQ(json["ok"], false);
  EXPECT_EQ(json["path"], "C:\\x\n\x01");
  EXPECT_EQ(json["nan"], "nan");
  EXPECT_EQ(json["bad"], "\ufffd");
  EXPECT_EQ(json["name"], "gr\u00fcn");
}

TEST(LogLineTest, AJsonFieldCannotReplaceAFixedOne) {
  const nlohmann::json json = nlohmann::json::parse(Json("real", {{"message", "forged"}}));

  EXPECT_EQ(json["message"], "real");
  EXPECT_EQ(json["message_"], "forged");
}

}  // namespace
}  // namespace gannet::telemetry
