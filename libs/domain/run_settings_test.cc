#include "libs/domain/run_settings.h"

#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/testing/setting_values.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::domain {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

RunConfig ValidConfig() {
  RunConfig config;
  config.data = {"procedural", 100, std::string(64, '0'), "procedural faces v1, seed 1"};
  return config;
}

// Names the settings with a mistake.
std::vector<std::string> Mistaken(const RunConfig& config) {
  std::vector<std::string> names;
  for (const base::SettingMistake& mistake : FindMistakes(config)) names.push_back(mistake.name);
  return names;
}

TEST(RunSettingsTest, EveryRowIsCompleteAndItsDefaultAllowed) {
  for (const RunSetting& row : RunSettings()) {
    EXPECT_OK(base::CheckSetting(row, row.default_value)) << row.name;
    EXPECT_EQ(row.get(RunConfig()), row.default_value) << row.name;
    EXPECT_FALSE(row.description.empty()) << row.name;
    EXPECT_EQ(FindRunSetting(row.name), &row);
  }
  EXPECT_EQ(FindRunSetting("run.nothing"), nullptr);
}

TEST(RunSettingsTest, NoTwoRowsShareAMember) {
  for (const RunSetting& row : RunSettings()) {
    RunConfig config;
    row.set(config, base::OtherThan(row));
    for (const RunSetting& other : RunSettings()) {
      EXPECT_EQ(other.get(config) != other.default_value, &other == &row)
          << row.name << " " << other.name;
    }
  }
}

TEST(RunSettingsTest, AWrongValueIsNamedByEveryRow) {
  for (const RunSetting& row : RunSettings()) {
    const std::optional<base::SettingValue> wrong = base::WrongFor(row);
    if (!wrong.has_value()) continue;
    RunConfig config = ValidConfig();
    row.set(config, *wrong);

    EXPECT_THAT(Mistaken(config), ElementsAre(row.name));
    EXPECT_THAT(ValidateRunConfig(config),
                base::StatusIs(kInvalid, HasSubstr(absl::StrCat(row.name, " must "))));
  }
}

TEST(RunSettingsTest, EveryRowIsNamedWhereItDiffers) {
  for (const RunSetting& row : RunSettings()) {
    RunConfig other;
    row.set(other, base::OtherThan(row));

    EXPECT_EQ(DescribeDifference(RunConfig(), other),
              absl::StrCat(row.name, " ", base::SettingText(row, row.default_value), " -> ",
                           base::SettingText(row, base::OtherThan(row))));
    EXPECT_NE(RunConfig(), other) << row.name;
  }
}

TEST(RunSettingsTest, WhatMayChangeInMidRunIsSaidByTheRow) {
  for (const RunSetting& row : RunSettings()) {
    const std::string text = base::SettingText(row, base::OtherThan(row));
    const std::string setting = absl::StrCat(row.name, "=", text);
    RunConfig config;
    const absl::Status status = ChangeSetting(setting, config);
    RunConfig changed;
    row.set(changed, base::OtherThan(row));
    if (row.change == SettingChange::kNever) {
      EXPECT_THAT(status,
                  base::StatusIs(kInvalid, HasSubstr("cannot change while a run is under way")));
      EXPECT_EQ(config, RunConfig()) << setting;
      EXPECT_THAT(CheckOnlyChangeable(RunConfig(), changed),
                  base::StatusIs(kInvalid, HasSubstr(absl::StrCat(row.name, " "))));
    } else {
      EXPECT_OK(status) << setting;
      EXPECT_EQ(config, changed) << setting;
      EXPECT_OK(CheckOnlyChangeable(RunConfig(), changed)) << setting;
      EXPECT_THAT(ChangeableSettings(), HasSubstr(row.name));
    }
  }
}

TEST(RunSettingsTest, AChangeThatIsNoneIsRefused) {
  RunConfig config;
  EXPECT_THAT(ChangeSetting("training.lease", config),
              base::StatusIs(kInvalid, HasSubstr("training.lease=VALUE")));
  EXPECT_THAT(ChangeSetting("training.lease=5", config),
              base::StatusIs(kInvalid, HasSubstr("training.lease must be a duration")));
  EXPECT_THAT(ChangeSetting("gateway.listen=h:1", config),
              base::StatusIs(kInvalid, HasSubstr("unknown setting of a run 'gateway.listen'")));
  EXPECT_EQ(config, RunConfig());
}

TEST(RunSettingsTest, ValuesThatDoNotFitTogetherAreFound) {
  RunConfig config;
  config.policy.quorum = 4;
  EXPECT_THAT(Mistaken(config), ElementsAre("training.quorum"));
  config.policy = {.quorum = 0, .round_deadline = absl::Seconds(1), .stale_weight = 0.5};
  EXPECT_THAT(Mistaken(config), ElementsAre("training.round_deadline", "training.stale_weight"));
  config = RunConfig();
  config.objective = {.loss = "hinge", .real_label = 0.9};
  EXPECT_THAT(Mistaken(config), ElementsAre("training.real_label"));
  // What is out of range is blamed once.
  config.objective.real_label = 2;
  EXPECT_THAT(Mistaken(config), ElementsAre("training.real_label"));
}

}  // namespace
}  // namespace gannet::domain
