#include "libs/config/schema.h"

#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/setting_values.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/domain/run_settings.h"

namespace gannet::config {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

size_t KeysOf(absl::string_view section) {
  size_t count = 0;
  for (const std::string& name : KeyNames()) {
    if (absl::StartsWith(name, absl::StrCat(section, "."))) ++count;
  }
  return count;
}

absl::Status Set(absl::string_view name, absl::string_view text, Config& config) {
  const KeySpec* key = FindKey(name);
  return key == nullptr ? absl::NotFoundError(name) : SetValue(*key, text, config);
}

absl::Status Set(absl::string_view name, absl::string_view text) {
  Config config;
  return Set(name, text, config);
}

// A field added to Config breaks one of these lines: then it needs a row in the table too.
TEST(SchemaTest, EveryFieldHasAKey) {
  const Config config;
  const auto& [run, data, database, coordinator, gateway, worker, log, origins, warnings] = config;
  EXPECT_TRUE(origins.empty() && warnings.empty());
  EXPECT_EQ(SectionNames().size(), 9U);
  // cli/run_settings_test.cc sees to the rows of RunConfig.
  EXPECT_EQ(KeysOf("run") + KeysOf("model") + KeysOf("training"), domain::RunSettings().size());
  {
    [[maybe_unused]] const auto& [a, b, c, d, e] = data;
    EXPECT_EQ(KeysOf("data"), 5U);
  }
  {
    [[maybe_unused]] const auto& [a, b, c] = database;
    EXPECT_EQ(KeysOf("database"), 3U);
  }
  {
    [[maybe_unused]] const auto& [a, b, c, d, e, f, g, h, i, j, k, l] = coordinator;
    EXPECT_EQ(KeysOf("coordinator"), 12U);
  }
  {
    [[maybe_unused]] const auto& [a, b, c, d, e, f, g, h, i, j] = gateway;
    EXPECT_EQ(KeysOf("gateway"), 10U);
  }
  {
    [[maybe_unused]] const auto& [a, b, c, d, e, f, g, h, i, j, k, l, m] = worker;
    EXPECT_EQ(KeysOf("worker"), 13U);
  }
  {
    [[maybe_unused]] const auto& [a, b] = log;
    EXPECT_EQ(KeysOf("log"), 2U);
  }
}

TEST(SchemaTest, NoTwoKeysShareAFieldANameOrAVariable) {
  std::set<std::string> names;
  std::set<std::string> variables;
  for (const KeySpec& key : Schema()) {
    // What is set by one is seen by no other.
    Config config;
    const base::SettingValue other = base::OtherThan(key);
    key.set(config, other);
    for (const KeySpec& seen : Schema()) {
      EXPECT_EQ(seen.get(config), seen.name == key.name ? other : seen.default_value)
          << key.name << " " << seen.name;
    }
    EXPECT_TRUE(names.insert(key.name).second) << key.name;
    EXPECT_TRUE(variables.insert(EnvironmentName(key.name)).second) << key.name;
  }
}

TEST(SchemaTest, EveryDefaultIsAllowedAndReadsBackAsItself) {
  for (const KeySpec& key : Schema()) {
    const std::string text = ValueText(key, Config());
    Config config;
    EXPECT_OK(SetValue(key, text, config)) << key.name;
    EXPECT_EQ(ValueText(key, config), text) << key.name;
    EXPECT_FALSE(key.description.empty()) << key.name;
  }
}

TEST(SchemaTest, VariablesAreUpperCaseWithUnderscores) {
  EXPECT_EQ(EnvironmentName("training.learning_rate"), "GANNET_TRAINING_LEARNING_RATE");
}

TEST(SchemaTest, IntegersAreStrict) {
  Config config;
  ASSERT_OK(Set("run.rounds", "42", config));
  EXPECT_EQ(config.run.round_count, 42);
  for (const char* text : {"", " 1", "1 ", "+1", "1.0", "1e3", "0x10", "ten",
                           "99999999999999999999", "-1", "0", "1000000001", "--1", "1\n"}) {
    EXPECT_THAT(Set("run.rounds", text),
                base::StatusIs(kInvalid, AllOf(HasSubstr("run.rounds must be an integer"),
                                               HasSubstr("1 to 1000000000"))))
        << text;
  }
}

TEST(SchemaTest, SeedsFitTheDatabase) {
  Config config;
  ASSERT_OK(Set("run.seed", "9223372036854775807", config));
  EXPECT_EQ(config.run.seed, 9223372036854775807U);
  EXPECT_OK(Set("run.seed", "0"));
  EXPECT_THAT(Set("run.seed", "9223372036854775808"), base::StatusIs(kInvalid));
  EXPECT_THAT(Set("run.seed", "-1"),
              base::StatusIs(kInvalid, HasSubstr("0 to 9223372036854775807")));
}

TEST(SchemaTest, NumbersRespectOpenAndClosedLimits) {
  EXPECT_OK(Set("training.learning_rate", "1"));
  EXPECT_OK(Set("training.learning_rate", "2e-4"));
  EXPECT_THAT(Set("training.learning_rate", "0"),
              base::StatusIs(kInvalid, HasSubstr("more than 0, at most 1")));
  for (const char* own :
       {"training.learning_rate_generator", "training.learning_rate_discriminator"}) {
    EXPECT_OK(Set(own, "0"));
    EXPECT_OK(Set(own, "1"));
    EXPECT_THAT(Set(own, "-1e-9"), base::StatusIs(kInvalid, HasSubstr("0 to 1")));
    EXPECT_THAT(Set(own, "1.01"), base::StatusIs(kInvalid, HasSubstr("0 to 1")));
  }
  EXPECT_OK(Set("training.beta1", "0"));
  EXPECT_THAT(Set("training.beta1", "1"),
              base::StatusIs(kInvalid, HasSubstr("at least 0, less than 1")));
  for (const char* text : {"", "nan", "inf", "1e999", "0.1x", "0,1", " 0.1", "0x1p-3"}) {
    EXPECT_THAT(Set("training.beta1", text), base::StatusIs(kInvalid)) << text;
  }
}

TEST(SchemaTest, NumbersKeepEveryBit) {
  Config config;
  config.run.adam.learning_rate = 0.1 + 0.2;
  const std::string text = ValueText(*FindKey("training.learning_rate"), config);

  Config back;
  ASSERT_OK(Set("training.learning_rate", text, back));

  EXPECT_EQ(back.run.adam.learning_rate, 0.1 + 0.2);
}

TEST(SchemaTest, DurationsNeedAUnit) {
  Config config;
  ASSERT_OK(Set("training.lease", "1h30m", config));
  EXPECT_EQ(config.run.lease, absl::Minutes(90));
  ASSERT_OK(Set("training.lease", "300s", config));
  EXPECT_EQ(config.run.lease, absl::Minutes(5));
  for (const char* text : {"", "300", "5 minutes", "-5m", "inf", "0", "500ms", "25h"}) {
    EXPECT_THAT(Set("training.lease", text),
                base::StatusIs(kInvalid, HasSubstr("a duration such as 300s or 5m, 1s to 24h")))
        << text;
  }
}

TEST(SchemaTest, SizesTakeBinaryUnits) {
  Config config;
  ASSERT_OK(Set("gateway.max_payload_bytes", "64MiB", config));
  EXPECT_EQ(config.gateway.max_payload_bytes, 64 << 20);
  ASSERT_OK(Set("gateway.max_payload_bytes", "4 GiB", config));
  EXPECT_EQ(config.gateway.max_payload_bytes, int64_t{4} << 30);
  ASSERT_OK(Set("gateway.max_payload_bytes", "1025", config));
  EXPECT_EQ(ValueText(*FindKey("gateway.max_payload_bytes"), config), "1025B");
  for (const char* text : {"", "MiB", "64MB", "64M", "64mib", "1.5GiB", "-1MiB", "5GiB", "1",
                           "9223372036854775807TiB"}) {
    EXPECT_THAT(Set("gateway.max_payload_bytes", text),
                base::StatusIs(kInvalid, HasSubstr("1KiB to 4GiB")))
        << text;
  }
}

TEST(SchemaTest, ChoicesAreListedWhenNoneIsMet) {
  EXPECT_OK(Set("model.image_size", "32"));
  EXPECT_THAT(Set("model.image_size", "48"), base::StatusIs(kInvalid, HasSubstr("one of 32, 64")));
  EXPECT_THAT(
      Set("log.level", "INFO"),
      base::StatusIs(kInvalid, HasSubstr("one of debug, info, warning, error, got 'INFO'")));
}

TEST(SchemaTest, TextsHaveALimitAndNoControlCharacters) {
  EXPECT_OK(Set("worker.name", "Gr\u00fcn's laptop"));
  EXPECT_THAT(Set("worker.name", std::string(65, 'x')),
              base::StatusIs(kInvalid, HasSubstr("at most 64")));
  EXPECT_THAT(Set("worker.name", "YOUR-NAME"), base::StatusIs(kInvalid, HasSubstr("your own name")))
      << "the place for it in the line that students are given";
  EXPECT_THAT(Set("worker.name", "a\nb"), base::StatusIs(kInvalid, Not(HasSubstr("\n"))));
  EXPECT_THAT(Set("worker.name", "Ada\u202E"), base::StatusIs(kInvalid, HasSubstr("direction")));
  EXPECT_THAT(Set("run.name", ""), base::StatusIs(kInvalid, HasSubstr("must not be empty")));
}

TEST(SchemaTest, ListenAddressesNeedHostAndPort) {
  for (const char* text : {"127.0.0.1:0", "[::1]:9101", "0.0.0.0:65535", "localhost:1"}) {
    EXPECT_OK(Set("gateway.listen", text)) << text;
  }
  for (const char* text : {"", "9101", ":9101", "::1:9101", "host:", "host:x", "host:65536",
                           "host:-1", "http://host:80", "a b:1", "u@h:1"}) {
    EXPECT_THAT(Set("gateway.listen", text), base::StatusIs(kInvalid, HasSubstr("HOST:PORT")))
        << text;
  }
}

TEST(SchemaTest, TheExchangeIsAGatewayOrADatabase) {
  for (const char* text : {"gateway.example.org:50051", "postgres://alice@db/gannet",
                           "postgresql:///gannet", "[::1]:50051"}) {
    EXPECT_OK(Set("worker.exchange", text)) << text;
  }
  for (const char* text : {"", "gateway", "gateway:0", "http://gateway:80", "mysql://x"}) {
    EXPECT_THAT(Set("worker.exchange", text), base::StatusIs(kInvalid)) << text;
  }
}

TEST(SchemaTest, ADatabaseIsNamedByAUrl) {
  EXPECT_OK(Set("database.url", "postgresql:///gannet?host=/run/postgresql"));
  for (const char* text : {"host=/run/postgresql dbname=gannet", "gannet", "mysql://x/y"}) {
    EXPECT_THAT(Set("database.url", text), base::StatusIs(kInvalid, HasSubstr("must be a URL")))
        << text;
  }
}

TEST(SchemaTest, PastedTextsLoseTheLineBreaksAroundThem) {
  Config config;
  ASSERT_OK(Set("worker.class_code", " abc-def\r\n", config));
  EXPECT_EQ(config.worker.class_code, "abc-def");
  ASSERT_OK(Set("worker.exchange", "gateway:50051\r", config));
  EXPECT_EQ(config.worker.exchange, "gateway:50051");
  EXPECT_THAT(Set("worker.class_code", "abc def"), base::StatusIs(kInvalid));
}

TEST(SchemaTest, AnAuthorityMayBePastedInAnyForm) {
  for (const char* text :
       {"-----BEGIN CERTIFICATE-----\nQUJD\nREVG\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\r\nQUJD\r\nREVG\r\n-----END CERTIFICATE-----\r\n",
        "-----BEGIN CERTIFICATE-----\\nQUJD\\nREVG\\n-----END CERTIFICATE-----\\n",
        "-----BEGIN CERTIFICATE----- QUJD REVG -----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----QUJDREVG-----END CERTIFICATE-----", "QUJD\nREVG\n",
        " QUJD REVG", "QUJDREVG"}) {
    Config config;
    ASSERT_OK(Set("worker.ca", text, config)) << text;
    EXPECT_EQ(config.worker.ca, "QUJDREVG") << text;
  }
}

TEST(SchemaTest, APasswordInAUrlIsRefusedAndNotShown) {
  for (const char* key : {"database.url", "worker.exchange"}) {
    EXPECT_THAT(Set(key, "postgres://alice:geheim@db/gannet"),
                base::StatusIs(kInvalid, AllOf(HasSubstr("database.password_file"),
                                               HasSubstr("PGPASSFILE"), Not(HasSubstr("geheim")))))
        << key;
  }
  EXPECT_THAT(Set("database.url", "postgres://a:geheim@db/" + std::string(5000, 'x')),
              base::StatusIs(kInvalid, Not(HasSubstr("geheim"))));
  EXPECT_THAT(Set("database.url", "postgres://a:geheim\x01@db/x"),
              base::StatusIs(kInvalid, Not(HasSubstr("geheim"))));
}

TEST(SchemaTest, LongAndStrangeValuesAreShownShortAndClean) {
  EXPECT_EQ(base::Shown("a'\n\x01"), "'a\\'\\n\\001'");
  EXPECT_THAT(base::Shown(std::string(1000, 'x')), HasSubstr("...' (1000 bytes)"));
}

TEST(SchemaTest, ValuesThatDoNotFitTogetherAreFound) {
  EXPECT_TRUE(CrossCheck(Config()).empty());

  Config config;
  config.run.micro_batch = 64;
  config.run.images_per_unit = 32;
  config.data.kind = "folder";
  config.coordinator.admin_listen = "0.0.0.0:50052";
  config.gateway.max_inflight_bytes = 1024;
  EXPECT_EQ(CrossCheck(config).size(), 4U);

  config.run.micro_batch = 32;
  config.data.path = "faces";
  config.coordinator.admin_token_file = "/run/secrets/token";
  config.gateway.max_inflight_bytes = config.gateway.max_payload_bytes;
  EXPECT_TRUE(CrossCheck(config).empty());
}

TEST(SchemaTest, OnlyLoopbackIsSafeWithoutAToken) {
  for (const char* listen : {"127.0.0.1:1", "127.8.9.1:1", "[::1]:1", "localhost:1"}) {
    Config config;
    config.coordinator.admin_listen = listen;
    EXPECT_TRUE(CrossCheck(config).empty()) << listen;
  }
  for (const char* listen : {"0.0.0.0:1", "10.0.0.1:1", "[::]:1", "example.org:1"}) {
    Config config;
    config.coordinator.admin_listen = listen;
    EXPECT_EQ(CrossCheck(config).size(), 1U) << listen;
  }
}

}  // namespace
}  // namespace gannet::config
