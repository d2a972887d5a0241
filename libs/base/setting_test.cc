#include "libs/base/setting.h"

#include <limits>
#include <vector>

#include "libs/base/testing/setting_values.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::base {
namespace {

using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

Setting Flag() { return {.name = "a.flag", .description = "A flag.", .default_value = false}; }

// A codec: a word for people, a number within.
Setting NamedNumber() {
  return {.name = "a.codec",
          .description = "A codec.",
          .choices = {{"fp32", 1}, {"fp16", 2}},
          .default_value = 1};
}

Setting ZeroOrMore() {
  return {.name = "a.factor",
          .range = {.low = 1, .high = 1000, .or_zero = true},
          .description = "A factor.",
          .default_value = 3.0};
}

TEST(SettingTest, AFlagIsTrueOrFalseAndNothingElse) {
  EXPECT_THAT(ParseSetting(Flag(), "true"), IsOkAndHolds(SettingValue(true)));
  EXPECT_THAT(ParseSetting(Flag(), "false"), IsOkAndHolds(SettingValue(false)));
  EXPECT_EQ(SettingText(Flag(), true), "true");
  EXPECT_EQ(TypeName(Flag()), "true or false");
  for (const char* text : {"", "True", "yes", "1", " true"}) {
    EXPECT_THAT(ParseSetting(Flag(), text),
                StatusIs(kInvalid, HasSubstr("a.flag must be true or false, got '")))
        << text;
  }
}

TEST(SettingTest, ANumberMayBeChosenByName) {
  EXPECT_THAT(ParseSetting(NamedNumber(), "fp16"), IsOkAndHolds(SettingValue(2)));
  EXPECT_EQ(SettingText(NamedNumber(), 2), "fp16");
  EXPECT_OK(CheckSetting(NamedNumber(), 2));
  EXPECT_THAT(ParseSetting(NamedNumber(), "2"),
              StatusIs(kInvalid, HasSubstr("a.codec must be one of fp32, fp16, got '2'")));
  EXPECT_THAT(CheckSetting(NamedNumber(), 3),
              StatusIs(kInvalid, HasSubstr("a.codec must be one of fp32, fp16, got '3'")));
}

TEST(SettingTest, ARangeMayLeaveAGapAboveZero) {
  EXPECT_EQ(RangeName(ZeroOrMore()), "0, or 1 to 1000");
  for (const char* text : {"0", "1", "2.5", "1000"}) {
    EXPECT_OK(ParseSetting(ZeroOrMore(), text)) << text;
  }
  for (const char* text : {"0.5", "-1", "1000.5", "nan"}) {
    EXPECT_THAT(ParseSetting(ZeroOrMore(), text),
                StatusIs(kInvalid, HasSubstr("a.factor must be a number, 0, or 1 to 1000, got")))
        << text;
  }
}

TEST(SettingTest, AValueIsCheckedAsItsTextIs) {
  EXPECT_OK(CheckSetting(ZeroOrMore(), 0.0));
  EXPECT_THAT(
      CheckSetting(ZeroOrMore(), 0.5),
      StatusIs(kInvalid, HasSubstr("a.factor must be a number, 0, or 1 to 1000, got '0.5'")));
  EXPECT_THAT(CheckSetting(ZeroOrMore(), std::numeric_limits<double>::quiet_NaN()),
              StatusIs(kInvalid, HasSubstr("got 'nan'")));
}

TEST(SettingTest, NumbersAreWrittenShortAndWithEveryBit) {
  EXPECT_EQ(NumberText(2e-4), "0.0002");
  EXPECT_EQ(NumberText(1e-5), "1e-05");
  EXPECT_EQ(NumberText(0.1 + 0.2), "0.30000000000000004");
  EXPECT_EQ(NumberText(0.9990000000000001), "0.9990000000000001");
}

TEST(SettingTest, TheValuesForTestsAreWhatTheySay) {
  for (const Setting& setting : {Flag(), NamedNumber(), ZeroOrMore()}) {
    EXPECT_NE(OtherThan(setting), setting.default_value) << setting.name;
    EXPECT_OK(CheckSetting(setting, OtherThan(setting))) << setting.name;
    if (const auto wrong = WrongFor(setting); wrong.has_value()) {
      EXPECT_THAT(CheckSetting(setting, *wrong), StatusIs(kInvalid)) << setting.name;
    }
  }
}

}  // namespace
}  // namespace gannet::base
