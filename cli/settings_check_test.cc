#include "cli/settings_check.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/config/config_flags.h"
#include "libs/config/flags.h"
#include "libs/config/schema.h"
#include "libs/image/testing/image_files.h"
#include "libs/pg/connection_params.h"
#include "services/coordinator/coordinator_config.h"
#include "services/gateway/gateway_config.h"
#include "services/worker/worker_server.h"

namespace gannet::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

absl::StatusOr<config::Config> Load(const std::vector<std::string>& overrides,
                                    const config::Environment& environment = {}) {
  config::CommandLine command_line;
  command_line.overrides = overrides;
  return config::LoadConfig(command_line, environment);
}

// What the programs themselves say at their start: migrate, coordinator and train-local, gateway,
// worker.
std::vector<absl::Status> ProgramsSay(const config::Config& config) {
  return {pg::CheckDatabaseUrl("database.url", config.database.url),
          coordinator::MakeCoordinatorServerOptions(config).status(),
          gateway::GatewayOptionsFrom(config, absl::Now()).status(),
          worker::CheckWorkerFiles(config)};
}

TEST(SettingsCheckTest, TheDefaultsAreGoodForEveryProgram) {
  ASSERT_OK_AND_ASSIGN(const config::Config config, Load({}));
  EXPECT_OK(CheckSettings(config, /*files=*/true));
  for (const absl::Status& status : ProgramsSay(config)) EXPECT_OK(status);
}

// A value that no setting of its type may have.
std::string NonsenseFor(const config::KeySpec& key) {
  if (base::IsFreeText(key) && key.check == nullptr && key.clean == nullptr) return "a\x01z";
  return "\x02nonsense = value";
}

TEST(SettingsCheckTest, EverySettingRefusesNonsenseAndNamesWhereItCameFrom) {
  for (const config::KeySpec& key : config::Schema()) {
    if (key.name == "worker.ca") continue;  // judged by CheckSettings, below
    const std::string variable = config::EnvironmentName(key.name);
    EXPECT_THAT(
        Load({}, {{variable, NonsenseFor(key)}}),
        base::StatusIs(kInvalid, AllOf(HasSubstr(absl::StrCat("environment ", variable, ": ")),
                                       HasSubstr(key.name))))
        << key.name;
    if (key.secret) continue;
    EXPECT_THAT(Load({absl::StrCat(key.name, "=", NonsenseFor(key))}),
                base::StatusIs(kInvalid, AllOf(HasSubstr(absl::StrCat("flag --", key.name, ": ")),
                                               HasSubstr(key.name))))
        << key.name;
    EXPECT_THAT(Load({key.name}), base::StatusIs(kInvalid, HasSubstr("a value must follow")))
        << key.name;
  }
}

TEST(SettingsCheckTest, AFlagWithoutItsValueIsNamedByEveryProgram) {
  for (const config::KeySpec& key : config::Schema()) {
    if (key.secret) continue;
    const std::string flag = absl::StrCat("--", key.name);
    for (const std::vector<const char*>& argv :
         {std::vector<const char*>{"p", flag.c_str()},
          std::vector<const char*>{"p", flag.c_str(), "--log.level", "info"}}) {
      const int argc = static_cast<int>(argv.size());
      const auto named =
          base::StatusIs(kInvalid, HasSubstr(absl::StrCat("flag ", flag, ": a value must follow")));
      EXPECT_THAT(config::CheckFlagValues(argc, argv.data()), named);
      EXPECT_THAT(config::ParseServiceFlags(argc, argv.data(), "gannet-worker", "Computes."),
                  named);
    }
  }
}

// Settings that are right each for itself, and that some program refuses.
struct Case {
  std::vector<std::string> settings;
  std::string named;  // the flag that must be blamed
};

std::vector<Case> BadTogether() {
  return {
      {{"training.quorum=9", "training.units_per_round=3"}, "training.quorum"},
      {{"training.round_deadline=10s"}, "training.round_deadline"},
      {{"training.stale_weight=0.5"}, "training.stale_weight"},
      {{"training.speculation_multiplier=0.5"}, "training.speculation_multiplier"},
      {{"model.base_width=512", "model.image_size=128"}, "model.base_width"},
      {{"model.base_width=256", "gateway.max_payload_bytes=1MiB"}, "model.base_width"},
      {{"database.url=postgres://h/d?nonsense=1"}, "database.url"},
      {{"database.url=postgres://h:port/d"}, "database.url"},
      {{"database.url=postgres://h/%zz"}, "database.url"},
      {{"database.url=host=/x dbname=y"}, "database.url"},
      {{"worker.exchange=postgres://h/d?nonsense=1"}, "worker.exchange"},
      {{"worker.exchange=postgres://h/%zz"}, "worker.exchange"},
      {{"worker.ca=aGVsbG8="}, "worker.ca"},
      {{"worker.ca=-----BEGIN CERTIFICATE-----"}, "worker.ca"},
      {{"training.micro_batch=64", "training.images_per_unit=32"}, "training.micro_batch"},
      {{"training.loss=hinge", "training.real_label=0.9"}, "training.real_label"},
      {{"gateway.listen=0.0.0.0:1"}, "gateway.listen"},
      {{"coordinator.admin_listen=0.0.0.0:1"}, "coordinator.admin_listen"},
      {{"data.kind=folder"}, "data.kind"},
      {{"data.path=/images"}, "data.path"},
  };
}

TEST(SettingsCheckTest, WhatAProgramRefusesTheCheckRefusesAndBlamesTheFlag) {
  for (const Case& bad : BadTogether()) {
    const absl::StatusOr<config::Config> config = Load(bad.settings);
    // Every program begins with LoadConfig, so what is refused there is refused by all.
    const absl::Status said = config.ok() ? CheckSettings(*config, false) : config.status();
    EXPECT_THAT(said, base::StatusIs(kInvalid, HasSubstr(absl::StrCat("flag --", bad.named, ": "))))
        << bad.settings.front();
    if (!config.ok()) continue;
    bool refused = false;
    for (const absl::Status& status : ProgramsSay(*config)) {
      if (status.ok()) continue;
      refused = true;
      EXPECT_THAT(std::string(said.message()), HasSubstr(std::string(status.message())))
          << bad.settings.front();
    }
    EXPECT_TRUE(refused) << "no program refuses " << bad.settings.front();
  }
}

TEST(SettingsCheckTest, WhatTheCheckAllowsEveryProgramAllows) {
  const std::vector<std::vector<std::string>> good = {
      {"training.quorum=3", "training.units_per_round=3", "training.round_deadline=10s",
       "training.stale_weight=0.5"},
      {"training.speculation_multiplier=1"},
      {"training.speculation_multiplier=0"},
      {"database.url=postgres:///d?host=/run/postgresql"},
      {"worker.exchange=postgresql://alice@db/gannet"},
      {"model.base_width=96", "training.gradient_codec=fp16"},
  };
  for (const auto& settings : good) {
    ASSERT_OK_AND_ASSIGN(const config::Config config, Load(settings));
    EXPECT_OK(CheckSettings(config, false));
    for (const absl::Status& status : ProgramsSay(config)) EXPECT_OK(status) << settings.front();
  }
}

TEST(SettingsCheckTest, AllMistakesAreNamedEachWithItsOrigin) {
  const image::TempFolder folder;
  config::CommandLine command_line;
  command_line.config_path =
      folder.Write("class.yaml", "training:\n  quorum: 9\n  units_per_round: 3\n");
  command_line.overrides = {"training.stale_weight=2"};
  EXPECT_THAT(
      config::LoadConfig(command_line, {{"GANNET_TRAINING_SPECULATION_MULTIPLIER", "0.5"}}),
      base::StatusIs(kInvalid,
                     AllOf(HasSubstr("flag --training.stale_weight: training.stale_weight must be"),
                           HasSubstr("class.yaml:2: training.quorum must be between 0 and 3 "
                                     "(training.units_per_round), got 9"),
                           HasSubstr("environment GANNET_TRAINING_SPECULATION_MULTIPLIER: "
                                     "training.speculation_multiplier must "
                                     "be a number, 0, or 1 to 1000, got '0.5'"))));
}

TEST(SettingsCheckTest, WhatOnlyAProgramFindsIsNamedWithItsOriginToo) {
  ASSERT_OK_AND_ASSIGN(
      const config::Config config,
      Load({"database.url=postgres://h/%zz", "model.base_width=512", "model.image_size=128"}));
  EXPECT_THAT(CheckSettings(config, false),
              base::StatusIs(kInvalid, AllOf(HasSubstr("flag --database.url: database.url"),
                                             HasSubstr("flag --model.base_width: "))));
}

TEST(SettingsCheckTest, SettingsThatChangedAfterTheyWereLoadedAreChecked) {
  config::Config config;
  config.run.policy.quorum = 9;
  EXPECT_THAT(coordinator::CheckCoordinatorSettings(config),
              base::StatusIs(kInvalid, HasSubstr("training.quorum")));
  EXPECT_THAT(coordinator::MakeCoordinatorServerOptions(config).status(),
              base::StatusIs(kInvalid, HasSubstr("training.quorum")));
}

TEST(SettingsCheckTest, EveryMissingFileIsNamed) {
  std::vector<std::string> settings = {"data.kind=folder", "data.path=/nowhere/images"};
  const std::vector<std::string> keys = {"database.password_file",  "coordinator.admin_token_file",
                                         "gateway.tls_cert_file",   "gateway.tls_key_file",
                                         "gateway.class_code_file", "worker.class_code_file",
                                         "worker.ca_file"};
  settings.reserve(settings.size() + keys.size());
  for (const std::string& key : keys) settings.push_back(absl::StrCat(key, "=/nowhere/", key));
  ASSERT_OK_AND_ASSIGN(const config::Config config, Load(settings));
  EXPECT_OK(CheckSettings(config, /*files=*/false));
  const absl::Status said = CheckSettings(config, /*files=*/true);
  EXPECT_THAT(said, Not(base::IsOk()));
  for (const std::string& key : keys) {
    EXPECT_THAT(std::string(said.message()), HasSubstr(absl::StrCat("flag --", key, ": ")));
    EXPECT_THAT(std::string(said.message()), HasSubstr(absl::StrCat("/nowhere/", key)));
  }
  EXPECT_THAT(std::string(said.message()), HasSubstr("/nowhere/images"));
}

TEST(SettingsCheckTest, WhatACheckpointRecordedIsNotBlamedOnAFlag) {
  config::CommandLine command_line;
  command_line.recorded = {"data.kind=folder"};
  command_line.recorded_in = "checkpoint x.safetensors";
  EXPECT_THAT(config::LoadConfig(command_line, {}),
              base::StatusIs(kInvalid, AllOf(HasSubstr("checkpoint x.safetensors: "),
                                             HasSubstr("data.path"), Not(HasSubstr("flag")))));
  command_line.overrides = {"data.path=faces"};
  ASSERT_OK_AND_ASSIGN(const config::Config config, config::LoadConfig(command_line, {}));
  EXPECT_EQ(config.data.kind, "folder");
  EXPECT_EQ(config.data.path, "faces");
}

}  // namespace
}  // namespace gannet::cli
