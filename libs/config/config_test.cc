#include "libs/config/config.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/config/config_docs.h"

namespace gannet::config {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

class ConfigTest : public ::testing::Test {
 protected:
  ConfigTest() {
    std::string name = ::testing::TempDir() + "/gannet_config_XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  ~ConfigTest() override { std::filesystem::remove_all(folder_); }

  std::string PathOf(const std::string& name) const { return folder_ + "/" + name; }

  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(PathOf(name), std::ios::binary) << text;
    return PathOf(name);
  }

  absl::StatusOr<Config> Load(const std::string& yaml, const Environment& environment = {},
                              const std::vector<std::string>& overrides = {}) const {
    return LoadConfig({Write("c.yaml", yaml), overrides}, environment);
  }

  // The mistakes of a file, a line each, without the folder.
  std::vector<std::string> Mistakes(const std::string& yaml, const Environment& environment = {},
                                    const std::vector<std::string>& overrides = {}) const {
    const auto config = Load(yaml, environment, overrides);
    if (config.ok()) return {};
    EXPECT_THAT(config, base::StatusIs(kInvalid));
    const std::string message(config.status().message());
    return absl::StrSplit(absl::StrReplaceAll(message, {{folder_ + "/", ""}}), '\n');
  }

 private:
  std::string folder_;
};

TEST_F(ConfigTest, WithoutAnythingEverythingHasItsDefault) {
  ASSERT_OK_AND_ASSIGN(const Config config, LoadConfig({}, {}));

  EXPECT_EQ(DumpConfig(config), DumpConfig(Config()));
  EXPECT_EQ(config.run.adam.learning_rate, 2e-4);
  EXPECT_EQ(config.run.lease, absl::Minutes(5));
}

TEST_F(ConfigTest, AnEmptyFileIsValid) {
  EXPECT_OK(Load(""));
  EXPECT_OK(Load("\n\n# nothing but a comment\n"));
  EXPECT_OK(Load("---\n"));
  EXPECT_OK(Load("training:\n# lease: 5m\n"));
}

TEST_F(ConfigTest, EveryTypeIsReadFromTheFile) {
  ASSERT_OK_AND_ASSIGN(const Config config, Load(R"(
run: {name: faces, seed: 7}
training:
  learning_rate: 1.0e-3
  lease: 90s
  gradient_codec: fp16
data:
  count: 500
gateway:
  max_payload_bytes: 64MiB
worker:
  name: "two words"
)"));

  EXPECT_EQ(config.run.name, "faces");
  EXPECT_EQ(config.run.seed, 7U);
  EXPECT_EQ(config.run.adam.learning_rate, 1e-3);
  EXPECT_EQ(config.run.lease, absl::Seconds(90));
  EXPECT_EQ(config.run.gradient_codec, 2);
  EXPECT_EQ(config.data.count, 500);
  EXPECT_EQ(config.gateway.max_payload_bytes, 64 << 20);
  EXPECT_EQ(config.worker.name, "two words");
}

TEST_F(ConfigTest, FlagWinsOverEnvironmentOverFileOverDefault) {
  const std::string yaml =
      "training:\n  micro_batch: 2\n  units_per_round: 2\n  images_per_unit: 2\n";
  const Environment environment = {{"GANNET_TRAINING_UNITS_PER_ROUND", "3"},
                                   {"GANNET_TRAINING_IMAGES_PER_UNIT", "3"}};

  ASSERT_OK_AND_ASSIGN(const Config config,
                       Load(yaml, environment, {"training.images_per_unit=4"}));

  EXPECT_EQ(config.run.micro_batch, 2);
  EXPECT_EQ(config.run.units_per_round, 3);
  EXPECT_EQ(config.run.images_per_unit, 4);
  EXPECT_EQ(config.run.round_count, 1000);
}

TEST_F(ConfigTest, AllMistakesAreReportedAtOnceInTheOrderOfTheFile) {
  EXPECT_THAT(
      Mistakes("trainning:\n"
               "  lease: 5m\n"
               "training:\n"
               "  lease: 5\n"
               "  micro_batch: [1]\n"
               "  leas: 6m\n"
               "modell: {}\n"
               "log:\n"
               "  level: loud\n"),
      ElementsAre(
          "c.yaml:2: unknown key 'trainning.lease', did you mean 'training.lease'?",
          "c.yaml:4: training.lease must be a duration such as 300s or 5m, 1s to 24h, got '5'",
          "c.yaml:5: training.micro_batch must be one value, got a list",
          "c.yaml:6: unknown key 'training.leas', did you mean 'training.lease'?",
          "c.yaml:7: unknown section 'modell', did you mean 'model'?",
          "c.yaml:9: log.level must be one of debug, info, warning, error, got 'loud'"));
}

TEST_F(ConfigTest, FileEnvironmentAndFlagsAreReportedTogether) {
  EXPECT_THAT(Mistakes("run:\n  rounds: x\n", {{"GANNET_RUN_SEED", "y"}}, {"run.nam=z"}),
              ElementsAre(HasSubstr("c.yaml:2: run.rounds"),
                          HasSubstr("environment GANNET_RUN_SEED: run.seed"),
                          "flag --run.nam: unknown key 'run.nam', did you mean 'run.name'?"));
}

TEST_F(ConfigTest, DuplicatesNameBothLines) {
  EXPECT_THAT(Mistakes("run:\n  name: a\n  name: b\n"),
              ElementsAre("c.yaml:3: key 'run.name' stands twice, first in line 2"));
  EXPECT_THAT(Mistakes("run:\n  name: a\ndata:\n  count: 5\nrun:\n  seed: 2\n"),
              ElementsAre("c.yaml:5: section 'run' stands twice, first in line 1"));
}

TEST_F(ConfigTest, WrongNestingIsExplained) {
  EXPECT_THAT(Mistakes("training: 5\n"),
              ElementsAre("c.yaml:1: section 'training' must hold keys below it, got a value"));
  EXPECT_THAT(Mistakes("training: [1, 2]\n"), ElementsAre(HasSubstr("got a list")));
  EXPECT_THAT(Mistakes("training:\n  lease: {unit: 5}\n"),
              ElementsAre("c.yaml:2: training.lease must be one value, got keys below it"));
  EXPECT_THAT(
      Mistakes("lease: 5m\n"),
      ElementsAre("c.yaml:1: key 'lease' stands outside a section, did you mean 'lease' below "
                  "'training:'?"));
  EXPECT_THAT(Mistakes("training.lease: 5m\n"),
              ElementsAre(HasSubstr("did you mean 'lease' below 'training:'?")));
  EXPECT_THAT(Mistakes("- a\n- b\n"), ElementsAre(HasSubstr("must hold sections")));
  EXPECT_THAT(Mistakes("just text\n"), ElementsAre(HasSubstr("must hold sections")));
  EXPECT_THAT(Mistakes("[a]: 5\n"), ElementsAre(HasSubstr("must be a plain word")));
  EXPECT_THAT(Mistakes("zebra: {a: 1}\n"), ElementsAre("c.yaml:1: unknown key 'zebra.a'"));
  EXPECT_THAT(Mistakes("zebra:\n"), ElementsAre(HasSubstr("there are run, model, training")));
}

TEST_F(ConfigTest, AKeyWithoutAValueIsAMistake) {
  EXPECT_THAT(Mistakes("run:\n  name:\n  seed: ~\n"),
              ElementsAre("c.yaml:2: run.name has no value: give one (\"\" for an empty text) or "
                          "remove it",
                          HasSubstr("c.yaml:3: run.seed has no value")));
  EXPECT_OK(Load("worker:\n  name: \"\"\n"));
}

TEST_F(ConfigTest, BrokenYamlNamesItsLine) {
  EXPECT_THAT(Mistakes("run:\n  name: 'it''s \"fine\" \n"), ElementsAre(HasSubstr("c.yaml:2")));
  EXPECT_THAT(Mistakes("run:\n  name: \"open \\\" \n  seed: 2\n"),
              ElementsAre("c.yaml:2: not valid YAML: the quote is never closed"));
  EXPECT_THAT(Mistakes("run:\n  name: a\n bad: [\n"),
              ElementsAre(AllOf(HasSubstr("c.yaml:3"), HasSubstr("not valid YAML"))));
  EXPECT_THAT(Mistakes("run: {}\n---\ndata: {}\n"), ElementsAre(HasSubstr("one document")));
  EXPECT_THAT(Mistakes(std::string(100'000, '[')), ElementsAre(HasSubstr("not valid YAML")));
}

// yaml-cpp's LoadAll returns documents of this text without end.
TEST_F(ConfigTest, AFileThatBeginsWithACommaIsRefused) {
  EXPECT_THAT(Mistakes(",run: {name: a}\n"),
              ElementsAre(AllOf(HasSubstr("c.yaml:1"), HasSubstr("not valid YAML"))));
}

TEST_F(ConfigTest, AliasesCannotHangTheReader) {
  EXPECT_THAT(Mistakes("run: &r\n  name: *r\n"), ElementsAre(HasSubstr("run.name")));
}

TEST_F(ConfigTest, NoFileOfAnyContentCrashesTheReader) {
  const std::string valid = "run: {name: a, seed: 1}\ntraining:\n  lease: 5m\n  beta1: \"0.5\"\n";
  const std::string alphabet = "{}[]:,&*!|>'\"%@`#-?~ \n\t$a0\\\xff";
  std::mt19937 random(
      20'260'102);  // NOLINT(bugprone-random-generator-seed): the same texts each time
  for (int i = 0; i < 500; ++i) {
    std::string text = valid;
    for (int edits = 0; edits < 4; ++edits) {
      text[random() % text.size()] = alphabet[random() % alphabet.size()];
    }
    const auto config = Load(text);
    EXPECT_TRUE(config.ok() || absl::IsInvalidArgument(config.status())) << text;
  }
}

TEST_F(ConfigTest, AMissingFileIsNotFound) {
  EXPECT_THAT(LoadConfig({PathOf("none.yaml"), {}}, {}),
              base::StatusIs(absl::StatusCode::kNotFound, HasSubstr("none.yaml")));
}

TEST_F(ConfigTest, ADirectoryOrAHugeFileIsRefused) {
  EXPECT_THAT(LoadConfig({PathOf(""), {}}, {}), base::StatusIs(kInvalid, HasSubstr("directory")));
  EXPECT_THAT(Load(std::string(2 << 20, '#')), base::StatusIs(kInvalid, HasSubstr("larger than")));
}

TEST_F(ConfigTest, MistakesAreCapped) {
  std::string yaml = "run:\n";
  for (int i = 0; i < 200; ++i) absl::StrAppend(&yaml, "  key_", i, ": 1\n");

  const std::vector<std::string> mistakes = Mistakes(yaml);

  EXPECT_EQ(mistakes.size(), 51U);
  EXPECT_EQ(mistakes.back(), "and 150 more mistakes");
}

TEST_F(ConfigTest, VariablesAreSubstitutedInTheFile) {
  const Environment environment = {{"DIR", "/data"}, {"N", "5"}, {"EMPTY", ""}};

  ASSERT_OK_AND_ASSIGN(const Config config,
                       Load("data:\n  kind: folder\n  path: ${DIR}/x-${N}${EMPTY}\n  count: ${N}\n"
                            "worker:\n  name: $${DIR} costs 5$\n",
                            environment));

  EXPECT_EQ(config.data.path, "/data/x-5");
  EXPECT_EQ(config.data.count, 5);
  EXPECT_EQ(config.worker.name, "${DIR} costs 5$");
}

TEST_F(ConfigTest, AVariableThatIsNotSetIsNamed) {
  EXPECT_THAT(Mistakes("data:\n  path: ${NOPE}/x\n  kind: folder\n"),
              ElementsAre("c.yaml:2: data.path: the environment variable 'NOPE' is not set"));
  EXPECT_THAT(Mistakes("data:\n  path: ${NOPE\n"), ElementsAre(HasSubstr("no closing '}'")));
}

TEST_F(ConfigTest, ASubstitutedValueIsNotSubstitutedAgain) {
  ASSERT_OK_AND_ASSIGN(const Config config,
                       Load("data:\n  kind: folder\n  path: ${A}\n", {{"A", "${B}"}, {"B", "x"}}));

  EXPECT_EQ(config.data.path, "${B}");
}

TEST_F(ConfigTest, PasswordsAreRefusedWhereverTheyComeFrom) {
  const std::string url = "postgres://alice:geheim@db/gannet";
  EXPECT_THAT(Load("database:\n  url: " + url + "\n"),
              base::StatusIs(kInvalid, AllOf(HasSubstr("password"), Not(HasSubstr("geheim")))));
  EXPECT_THAT(LoadConfig({}, {{"GANNET_WORKER_EXCHANGE", url}}),
              base::StatusIs(kInvalid, Not(HasSubstr("geheim"))));
  EXPECT_THAT(LoadConfig({"", {"database.url=" + url}}, {}),
              base::StatusIs(kInvalid, Not(HasSubstr("geheim"))));
  EXPECT_THAT(Load("database:\n  url: postgres://a:${P}@db/x\n", {{"P", "geheim"}}),
              base::StatusIs(kInvalid, Not(HasSubstr("geheim"))));
}

TEST_F(ConfigTest, AnEmptyVariableCountsAsNotSet) {
  EXPECT_OK(LoadConfig({}, {{"GANNET_RUN_ROUNDS", ""}}));
}

TEST_F(ConfigTest, AMistypedVariableIsAMistakeWithTheNearestName) {
  EXPECT_THAT(LoadConfig({}, {{"GANNET_TRAINNING_LEASE", "5m"}}),
              base::StatusIs(kInvalid,
                             "environment GANNET_TRAINNING_LEASE: unknown variable "
                             "'GANNET_TRAINNING_LEASE', did you mean 'GANNET_TRAINING_LEASE'?"));
  EXPECT_THAT(LoadConfig({}, {{"GANNET_WORKER_COLOUR_OF_THE_BIKE_SHED", "red"}}),
              base::StatusIs(kInvalid, HasSubstr("unknown variable")));
}

TEST_F(ConfigTest, VariablesOfOthersAreLeftAlone) {
  EXPECT_OK(LoadConfig({}, {{"GANNET_TEST_DATABASE_URL", "x"},
                            {"GANNET_DEMO", "1"},
                            {"GANNET_GATEWAY_SERVICE_HOST", "10.0.0.1"},
                            {"GANNET_GATEWAY_SERVICE_PORT", "50051"},
                            {"GANNET_GATEWAY_SERVICE_PORT_GRPC", "50051"},
                            {"GANNET_GATEWAY_PORT", "tcp://10.0.0.1:50051"},
                            {"GANNET_GATEWAY_PORT_50051_TCP_ADDR", "10.0.0.1"},
                            {"PATH", "/bin"}}));
}

TEST_F(ConfigTest, ValuesThatDoNotFitTogetherNameTheirPlace) {
  EXPECT_THAT(
      Mistakes("training:\n  images_per_unit: 8\n"),
      ElementsAre("c.yaml:2: training.micro_batch must be at most training.images_per_unit, got "
                  "32 and 8"));
  EXPECT_THAT(Mistakes("coordinator:\n  admin_listen: 0.0.0.0:50052\n"),
              ElementsAre(HasSubstr("c.yaml:2: coordinator.admin_token_file")));
}

TEST_F(ConfigTest, ARefusedValueIsNotBlamedTwice) {
  EXPECT_THAT(Mistakes("training:\n  images_per_unit: 8\n  micro_batch: x\n"),
              ElementsAre(HasSubstr("c.yaml:3: training.micro_batch must be an integer")));
}

TEST_F(ConfigTest, TheDumpLoadsBackToTheSameSettings) {
  Config config;
  config.run.name = "0.10";
  config.run.seed = 9223372036854775807U;
  config.run.adam.learning_rate = 1.0 / 3;
  config.run.lease = absl::Milliseconds(90'500);
  config.data.kind = "folder";
  config.data.path = "/gr\u00fcn/x y";
  config.gateway.max_inflight_bytes = (1 << 30) + 1;
  config.worker.name = "odd: \"name\" # \\ with ${X} and 'quotes'";
  config.log.level = "debug";

  const std::string dump = DumpConfig(config);
  ASSERT_OK_AND_ASSIGN(const Config back, Load(dump));

  EXPECT_EQ(DumpConfig(back), dump);
  EXPECT_EQ(back.run.name, config.run.name);
  EXPECT_EQ(back.worker.name, config.worker.name);
  EXPECT_EQ(back.run.adam.learning_rate, config.run.adam.learning_rate);
  EXPECT_EQ(back.run.lease, config.run.lease);
}

TEST_F(ConfigTest, TheDumpMasksPasswords) {
  Config config;
  config.database.url = "postgres://alice:geheim@db/gannet";

  EXPECT_THAT(DumpConfig(config),
              AllOf(HasSubstr("postgres://alice:***@db/gannet"), Not(HasSubstr("geheim"))));
}

TEST_F(ConfigTest, ASecretIsReadWithoutWhatAnEditorPutsAroundIt) {
  for (const char* text :
       {"geheim\n", "geheim\r\n", "geheim\n\n", " geheim", "geheim\t", "\xEF\xBB\xBFgeheim\r\n"}) {
    EXPECT_THAT(ReadTokenFile("key", Write("s", text)), base::IsOkAndHolds("geheim")) << text;
  }
  EXPECT_THAT(ReadTokenFile("key", Write("s", "!~09azAZ")), base::IsOkAndHolds("!~09azAZ"));
}

TEST_F(ConfigTest, ASecretThatNoHeaderCarriesIsRefusedAndNotRepeated) {
  for (const char* secret : {"two words", "a\ngeheim",
                             "\xc3\x9c"
                             "bung geheim",
                             "geheim\x7f"}) {
    EXPECT_THAT(
        ReadTokenFile("gateway.class_code_file", Write("s", secret)),
        base::StatusIs(kInvalid, AllOf(HasSubstr("gateway.class_code_file"),
                                       HasSubstr("printable ASCII"), Not(HasSubstr("geheim")))))
        << secret;
  }
  EXPECT_THAT(
      LoadConfig({}, {{"GANNET_WORKER_CLASS_CODE", "ge heim"}}),
      base::StatusIs(kInvalid, AllOf(HasSubstr("worker.class_code"), HasSubstr("printable ASCII"),
                                     Not(HasSubstr("ge heim")))));
}

TEST_F(ConfigTest, FilesThatKeysNameAreTried) {
  Config config;
  EXPECT_OK(CheckNamedFiles(config));
  config.database.password_file = Write("password", "any thing\n");
  config.gateway.class_code_file = Write("code", "otter");
  EXPECT_OK(CheckNamedFiles(config));
  config.gateway.class_code_file = Write("code", "two otters");
  EXPECT_OK(CheckNamedFiles(config, {"database.password_file"}));
  EXPECT_THAT(CheckNamedFiles(config),
              base::StatusIs(kInvalid, HasSubstr("gateway.class_code_file")));
  config.database.password_file = PathOf("none");
  EXPECT_THAT(CheckNamedFiles(config),
              base::StatusIs(absl::StatusCode::kNotFound, HasSubstr("database.password_file")));
}

TEST_F(ConfigTest, AnUnusableSecretFileIsNamed) {
  EXPECT_THAT(ReadTokenFile("key", PathOf("none")),
              base::StatusIs(absl::StatusCode::kNotFound, HasSubstr("none")));
  EXPECT_THAT(ReadTokenFile("key", Write("s", "\n")),
              base::StatusIs(kInvalid, HasSubstr("is empty")));
  EXPECT_THAT(ReadTokenFile("key", PathOf("")), base::StatusIs(kInvalid, HasSubstr("directory")));
}

TEST_F(ConfigTest, ASecretThatMayNotBeReadIsPermissionDenied) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read every file";
  const std::string path = Write("s", "geheim");
  chmod(path.c_str(), 0);

  EXPECT_THAT(ReadTokenFile("key", path),
              base::StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr(path)));
}

TEST_F(ConfigTest, KeysCarryEverythingDocumentationNeeds) {
  for (const ConfigKey& key : ConfigKeys()) {
    EXPECT_THAT(key.name, HasSubstr("."));
    EXPECT_FALSE(key.type.empty()) << key.name;
    EXPECT_THAT(key.description, EndsWith(".")) << key.name;
    EXPECT_TRUE(absl::StartsWith(key.environment, "GANNET_")) << key.name;
    EXPECT_THAT(key.description, Not(HasSubstr("|"))) << "would break the table: " << key.name;
  }
}

TEST_F(ConfigTest, TheCommittedDocumentationIsUpToDate) {
  std::ifstream in(GANNET_SOURCE_DIR "/docs/configuration.md", std::ios::binary);
  const std::string committed((std::istreambuf_iterator<char>(in)),
                              std::istreambuf_iterator<char>());

  EXPECT_EQ(committed, ConfigMarkdown())
      << "run: gannet config keys --markdown > docs/configuration.md";
}

TEST(LoopbackTest, LoopbackIsThisMachineOnly) {
  for (const char* address : {"localhost:1", "127.0.0.1:0", "127.8.9.1:1", "[::1]:1"}) {
    EXPECT_TRUE(IsLoopbackAddress(address)) << address;
  }
  for (const char* address : {"0.0.0.0:1", "[::]:1", "10.0.0.1:1", "128.0.0.1:1",
                              "localhost.example:1", "127.example.org:1", ":1", "127.0.0.1", ""}) {
    EXPECT_FALSE(IsLoopbackAddress(address)) << address;
  }
}

}  // namespace
}  // namespace gannet::config
