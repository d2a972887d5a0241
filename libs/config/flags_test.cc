#include "libs/config/flags.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/config/version.h"

namespace gannet::config {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

absl::StatusOr<ServiceFlags> Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "gannet_worker");
  return ParseServiceFlags(static_cast<int>(arguments.size()), arguments.data(), "gannet_worker",
                           "Computes gradients.");
}

TEST(FlagsTest, NothingIsFine) {
  ASSERT_OK_AND_ASSIGN(const ServiceFlags flags, Parse({}));

  EXPECT_EQ(flags.command_line.config_path, "");
  EXPECT_THAT(flags.command_line.overrides, IsEmpty());
  EXPECT_EQ(flags.print, "");
}

TEST(FlagsTest, FileAndKeysAreTaken) {
  ASSERT_OK_AND_ASSIGN(const ServiceFlags flags,
                       Parse({"--config", "c.yaml", "--run.name=a=b c", "--training.beta1", "-1"}));

  EXPECT_EQ(flags.command_line.config_path, "c.yaml");
  EXPECT_THAT(flags.command_line.overrides, ElementsAre("run.name=a=b c", "training.beta1=-1"));
}

TEST(FlagsTest, TheLastOfAFlagCounts) {
  ASSERT_OK_AND_ASSIGN(const ServiceFlags flags, Parse({"--config", "a.yaml", "--run.name", "first",
                                                        "--config=b.yaml", "--run.name=second"}));

  EXPECT_EQ(flags.command_line.config_path, "b.yaml");
  EXPECT_THAT(flags.command_line.overrides, ElementsAre("run.name=second"));
}

TEST(FlagsTest, AnEmptyValueCanBeGiven) {
  ASSERT_OK_AND_ASSIGN(const ServiceFlags flags, Parse({"--worker.name", ""}));

  EXPECT_THAT(flags.command_line.overrides, ElementsAre("worker.name="));
}

TEST(FlagsTest, HelpListsEveryKey) {
  ASSERT_OK_AND_ASSIGN(const ServiceFlags flags, Parse({"--help"}));

  EXPECT_THAT(flags.print, AllOf(HasSubstr("Computes gradients."), HasSubstr("--config FILE"),
                                 HasSubstr("GANNET_TRAINING_LEASE"), HasSubstr("Exit codes")));
  for (const ConfigKey& key : ConfigKeys()) {
    EXPECT_THAT(flags.print, HasSubstr("--" + key.name)) << key.name;
  }
}

TEST(FlagsTest, VersionNamesTheProgram) {
  ASSERT_OK_AND_ASSIGN(const ServiceFlags flags, Parse({"--version"}));

  EXPECT_EQ(flags.print, std::string("gannet_worker ") + GannetVersion() + "\n");
}

TEST(FlagsTest, EveryUnknownFlagIsNamedWithTheNearest) {
  EXPECT_THAT(Parse({"--trainning.lease", "5m", "--confg=x", "--zebra", "word"}),
              base::StatusIs(kInvalid,
                             "unknown flag '--trainning.lease', did you mean "
                             "'--training.lease'?\n"
                             "unknown flag '--confg', did you mean '--config'?\n"
                             "unknown flag '--zebra'"));
}

TEST(FlagsTest, TheValueOfAnUnknownFlagIsNotShown) {
  EXPECT_THAT(
      Parse({"--database.password=geheim"}),
      base::StatusIs(kInvalid, AllOf(HasSubstr("database.password"), Not(HasSubstr("geheim")))));
  EXPECT_THAT(Parse({"--database.password", "geheim"}),
              base::StatusIs(kInvalid, Not(HasSubstr("geheim"))));
}

TEST(FlagsTest, SurplusWordsAreRefused) {
  EXPECT_THAT(Parse({"start", "now"}), base::StatusIs(kInvalid,
                                                      "unexpected argument 'start'\n"
                                                      "unexpected argument 'now'"));
}

TEST(FlagsTest, AFlagWithoutItsValueIsRefused) {
  EXPECT_THAT(Parse({"--run.name"}), base::StatusIs(kInvalid, HasSubstr("--run.name")));
}

TEST(FlagsTest, FailureSaysWhereToLook) {
  testing::internal::CaptureStderr();

  const int code = FailUsage(absl::InvalidArgumentError("c.yaml:1: wrong"));

  EXPECT_EQ(code, 2);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              AllOf(HasSubstr("c.yaml:1: wrong\n"), HasSubstr("gannet config keys")));
}

}  // namespace
}  // namespace gannet::config
