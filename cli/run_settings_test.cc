// Takes every setting of a run through everything that carries settings. It walks the rows of
// libs/domain/run_settings.h and the fields of gannet.v1.RunConfig, so that a setting which is
// forgotten somewhere fails here, whoever adds it.
#include "libs/domain/run_settings.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/resume.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "libs/base/testing/child_process.h"
#include "libs/base/testing/setting_values.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/checkpoint/checkpoint.h"
#include "libs/checkpoint/weights_metadata.h"
#include "libs/config/config_docs.h"
#include "libs/config/flags.h"
#include "libs/config/schema.h"
#include "libs/exchange/proto_conversion.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/image/testing/image_files.h"
#include "libs/rpc/server.h"
#include "libs/store/testing/pg_fixture.h"
#include "services/coordinator/coordinator_config.h"
#include "services/coordinator/grpc_admin_service.h"
#include "services/coordinator/run_admin.h"

namespace gannet::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// Small networks, which a database takes quickly; every setting is at its default otherwise.
domain::RunConfig PlainRun() {
  domain::RunConfig run;
  run.model.latent_dim = 2;
  run.model.base_width = 1;
  run.data = {"procedural", 123, std::string(64, 'a'), "faces"};
  return run;
}

// Every setting has another value than its default.
domain::RunConfig OtherRun() {
  domain::RunConfig run = PlainRun();
  for (const domain::RunSetting& row : domain::RunSettings()) row.set(run, base::OtherThan(row));
  return run;
}

// "section.key=value" of every row.
std::vector<std::string> OtherSettings() {
  std::vector<std::string> settings;
  for (const domain::RunSetting& row : domain::RunSettings()) {
    settings.push_back(absl::StrCat(row.name, "=", base::SettingText(row, base::OtherThan(row))));
  }
  return settings;
}

// Expects the settings of OtherRun, naming the first row that differs.
void ExpectOther(const domain::RunConfig& run) {
  for (const domain::RunSetting& row : domain::RunSettings()) {
    EXPECT_EQ(base::SettingText(row, row.get(run)), base::SettingText(row, base::OtherThan(row)))
        << row.name;
  }
}

TEST(EveryRunSettingTest, TheOtherValuesMakeAValidRun) {
  EXPECT_OK(domain::ValidateRunConfig(PlainRun()));
  EXPECT_OK(domain::ValidateRunConfig(OtherRun()));
}

TEST(EveryRunSettingTest, ComesFromAFilePlainOrQuoted) {
  const image::TempFolder folder;
  for (const char* quote : {"", "\"", "'"}) {
    std::string yaml;
    std::string section;
    for (const domain::RunSetting& row : domain::RunSettings()) {
      const std::vector<std::string> name = absl::StrSplit(row.name, '.');
      if (name[0] != section) absl::StrAppend(&yaml, name[0], ":\n");
      section = name[0];
      absl::StrAppend(&yaml, "  ", name[1], ": ", quote,
                      base::SettingText(row, base::OtherThan(row)), quote, "\n");
    }
    ASSERT_OK_AND_ASSIGN(const config::Config config,
                         config::LoadConfig({folder.Write("c.yaml", yaml), {}}, {}));
    ExpectOther(config.run);
  }
}

TEST(EveryRunSettingTest, ComesFromFlags) {
  std::vector<std::string> words = {"gannet-coordinator"};
  for (const domain::RunSetting& row : domain::RunSettings()) {
    words.push_back(absl::StrCat("--", row.name));
    words.push_back(base::SettingText(row, base::OtherThan(row)));
  }
  std::vector<const char*> argv;
  argv.reserve(words.size());
  for (const std::string& word : words) argv.push_back(word.c_str());

  ASSERT_OK_AND_ASSIGN(
      const config::ServiceFlags flags,
      config::ParseServiceFlags(static_cast<int>(argv.size()), argv.data(), "p", "Does."));
  ASSERT_OK_AND_ASSIGN(const config::Config config, config::LoadConfig(flags.command_line, {}));
  ExpectOther(config.run);
}

TEST(EveryRunSettingTest, ComesFromTheEnvironment) {
  config::Environment environment;
  for (const domain::RunSetting& row : domain::RunSettings()) {
    const config::KeySpec* key = config::FindKey(row.name);
    ASSERT_NE(key, nullptr) << row.name;
    environment[config::EnvironmentName(key->name)] = base::SettingText(row, base::OtherThan(row));
  }
  ASSERT_OK_AND_ASSIGN(const config::Config config, config::LoadConfig({}, environment));
  ExpectOther(config.run);
}

// A setting that was renamed is read under both names for one version.
TEST(EveryRunSettingTest, IsReadByItsFormerNameWithAWarning) {
  const image::TempFolder folder;
  int renamed = 0;
  for (const domain::RunSetting& row : domain::RunSettings()) {
    if (row.former_name.empty()) continue;
    ++renamed;
    SCOPED_TRACE(row.former_name);
    const std::string value = base::SettingText(row, base::OtherThan(row));
    const std::vector<std::string> name = absl::StrSplit(row.former_name, '.');
    const std::string yaml = absl::StrCat(name[0], ":\n  ", name[1], ": ", value, "\n");
    const std::string flag = absl::StrCat("--", row.former_name);
    const std::vector<const char*> argv = {"p", flag.c_str(), value.c_str()};
    ASSERT_OK_AND_ASSIGN(
        const config::ServiceFlags flags,
        config::ParseServiceFlags(static_cast<int>(argv.size()), argv.data(), "p", "Does."));
    const config::Environment environment = {{config::EnvironmentName(row.former_name), value}};
    for (const auto& given : {
             config::LoadConfig({folder.Write("old.yaml", yaml), {}}, {}),
             config::LoadConfig(flags.command_line, {}),
             config::LoadConfig({}, environment),
         }) {
      ASSERT_OK_AND_ASSIGN(const config::Config config, given);
      EXPECT_EQ(row.get(config.run), base::OtherThan(row));
      ASSERT_THAT(config.warnings, SizeIs(1));
      EXPECT_THAT(config.warnings[0],
                  HasSubstr(absl::StrCat(row.former_name, " is called ", row.name, " now")));
    }
    // A mistake says what the setting is called now, and that it was given under its former name.
    EXPECT_THAT(config::LoadConfig({}, {{config::EnvironmentName(row.former_name), "nonsense"}}),
                base::StatusIs(absl::StatusCode::kInvalidArgument,
                               AllOf(HasSubstr(absl::StrCat(row.former_name, " is called")),
                                     HasSubstr(absl::StrCat(row.name, " must be")))));

    // Where both are given, the new name wins, whatever the order.
    const std::string default_text = base::SettingText(row, row.default_value);
    const std::string new_flag = absl::StrCat("--", row.name);
    for (const std::vector<const char*>& both :
         {std::vector<const char*>{"p", flag.c_str(), default_text.c_str(), new_flag.c_str(),
                                   value.c_str()},
          std::vector<const char*>{"p", new_flag.c_str(), value.c_str(), flag.c_str(),
                                   default_text.c_str()}}) {
      ASSERT_OK_AND_ASSIGN(
          const config::ServiceFlags two,
          config::ParseServiceFlags(static_cast<int>(both.size()), both.data(), "p", "Does."));
      ASSERT_OK_AND_ASSIGN(const config::Config config, config::LoadConfig(two.command_line, {}));
      EXPECT_EQ(row.get(config.run), base::OtherThan(row));
    }
    ASSERT_OK_AND_ASSIGN(
        const config::Config of_both,
        config::LoadConfig({}, {{config::EnvironmentName(row.former_name), default_text},
                                {config::EnvironmentName(row.name), value}}));
    EXPECT_EQ(row.get(of_both.run), base::OtherThan(row));

    // What a checkpoint has recorded is nobody's to correct.
    config::CommandLine recorded;
    recorded.recorded = {absl::StrCat(row.former_name, "=", value)};
    recorded.recorded_in = "checkpoint x";
    ASSERT_OK_AND_ASSIGN(const config::Config config, config::LoadConfig(recorded, {}));
    EXPECT_EQ(row.get(config.run), base::OtherThan(row));
    EXPECT_THAT(config.warnings, IsEmpty());

    // Both names are one setting, given twice; only the new one is documented.
    const std::string twice =
        absl::StrCat(yaml, "  ", row.name.substr(row.name.find('.') + 1), ": ", value, "\n");
    EXPECT_THAT(config::LoadConfig({folder.Write("twice.yaml", twice), {}}, {}),
                base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("stands twice")));
    EXPECT_THAT(config::ConfigMarkdown(), Not(HasSubstr(row.former_name)));

    domain::RunConfig run;
    if (row.change != domain::SettingChange::kNever) {
      EXPECT_OK(domain::ChangeSetting(absl::StrCat(row.former_name, "=", value), run));
      EXPECT_EQ(row.get(run), base::OtherThan(row));
    }
  }
  EXPECT_GT(renamed, 0) << "no setting has a former name: this test and what it tests may go";
}

TEST(EveryRunSettingTest, IsShownDocumentedAndLoadedBack) {
  ASSERT_OK_AND_ASSIGN(const config::Config config, config::LoadConfig({"", OtherSettings()}, {}));
  const image::TempFolder folder;
  ASSERT_OK_AND_ASSIGN(
      const config::Config back,
      config::LoadConfig({folder.Write("shown.yaml", config::DumpConfig(config)), {}}, {}));
  ExpectOther(back.run);
  for (const domain::RunSetting& row : domain::RunSettings()) {
    EXPECT_THAT(config::ConfigMarkdown(),
                HasSubstr(absl::StrCat("| `", row.name, "` | ", base::TypeName(row))));
    EXPECT_THAT(config::ConfigTable(), HasSubstr(row.description));
  }
}

TEST(EveryRunSettingTest, BecomesThatOfTheRunAndOfOneThatIsResumed) {
  const domain::RunConfig run = OtherRun();
  config::CommandLine recorded;
  recorded.recorded = SettingsOf(run);
  recorded.recorded_in = "checkpoint x";
  ASSERT_OK_AND_ASSIGN(const config::Config config, config::LoadConfig(recorded, {}));
  EXPECT_EQ(config.data.count, run.data.image_count);

  const domain::RunConfig made =
      coordinator::MakeRunConfig(config, {.kind = run.data.kind,
                                          .image_count = run.data.image_count,
                                          .digest = run.data.digest,
                                          .description = run.data.description});

  EXPECT_EQ(domain::DescribeDifference(run, made), "");
  EXPECT_TRUE(run == made);
}

// The fields of a message, and of the messages in it, as "field" to text.
std::map<std::string, std::string> FieldsOf(const google::protobuf::Message& message) {
  std::map<std::string, std::string> fields;
  const google::protobuf::Descriptor& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const google::protobuf::FieldDescriptor& field = *type.field(i);
    if (field.message_type() != nullptr) {
      const auto& part = message.GetReflection()->GetMessage(message, &field);
      for (const auto& [name, value] : FieldsOf(part)) {
        fields[absl::StrCat(field.name(), ".", name)] = value;
      }
      continue;
    }
    google::protobuf::TextFormat::PrintFieldValueToString(message, &field, -1,
                                                          &fields[field.name()]);
  }
  return fields;
}

TEST(EveryRunSettingTest, TravelsInItsFieldAndEveryFieldIsASettings) {
  // Defaults, too: what is read as 0 differs from some of them.
  for (const domain::RunConfig& run : {OtherRun(), PlainRun()}) {
    v1::RunConfig proto;
    ASSERT_TRUE(proto.ParseFromString(exchange::ToProto(run).SerializeAsString()));
    ASSERT_OK_AND_ASSIGN(const domain::RunConfig back, exchange::FromProto(proto));
    EXPECT_EQ(domain::DescribeDifference(run, back), "");
    EXPECT_EQ(back, run);
    ASSERT_OK_AND_ASSIGN(const domain::RunConfig from_json,
                         exchange::RunConfigFromJson(exchange::RunConfigToJson(run)));
    EXPECT_EQ(domain::DescribeDifference(run, from_json), "");
    EXPECT_EQ(from_json, run);
  }
  // A field that no row has changed belongs to a member without a row.
  domain::RunConfig defaults;
  defaults.data = PlainRun().data;
  const std::map<std::string, std::string> other = FieldsOf(exchange::ToProto(OtherRun()));
  const std::map<std::string, std::string> before = FieldsOf(exchange::ToProto(defaults));
  for (const auto& [field, value] : before) {
    // Nobody sets these: see RunConfig.
    if (absl::StartsWith(field, "data.") || absl::StartsWith(field, "plan_origin_")) continue;
    EXPECT_NE(other.at(field), value) << "no row of run_settings.cc is kept in " << field;
  }
}

// The program against a database of its own.
class EveryRunSettingPgTest : public ::testing::Test {
 protected:
  struct Outcome {
    int exit_code = -1;
    std::string out;
    std::string err;
  };

  Outcome Gannet(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), GANNET_BINARY);
    base::ChildProcess gannet({.argv = arguments,
                               .environment = {"PATH=/usr/bin:/bin"},
                               .output_prefix = folder_.path() + "/gannet"});
    const int exit_code = gannet.AwaitExit();
    return {exit_code, gannet.out(), gannet.err()};
  }

  exchange::Store& store() { return pg_.store(); }

  store::PgFixture pg_;
  const image::TempFolder folder_;
};

TEST_F(EveryRunSettingPgTest, IsStoredAndGivenToWorkers) {
  const domain::RunConfig run = OtherRun();
  ASSERT_OK_AND_ASSIGN(const base::RunId id, store().CreateRun(exchange::TestNewRun(run)));

  ASSERT_OK_AND_ASSIGN(const exchange::RunStatus status, store().GetRunStatus(id));
  for (const domain::RunConfig* read :
       {&status.created_config, &status.config, &status.next_config}) {
    ExpectOther(*read);
    EXPECT_EQ(*read, run);
  }
  ASSERT_OK_AND_ASSIGN(const exchange::JoinResult joined,
                       pg_.exchange().Join(exchange::TestJoin(exchange::TestWorker(1), run)));
  ExpectOther(joined.config);
}

TEST_F(EveryRunSettingPgTest, IsArchivedWithItsChangesAndRestored) {
  const domain::RunConfig plain = PlainRun();
  domain::RunConfig changed = plain;
  for (const domain::RunSetting& row : domain::RunSettings()) {
    if (row.change != domain::SettingChange::kNever) row.set(changed, base::OtherThan(row));
  }
  // One run has all settings from its beginning, the other those that can change from a change.
  ASSERT_OK(store().CreateRun(exchange::TestNewRun(OtherRun())));
  ASSERT_OK_AND_ASSIGN(const base::RunId id, store().CreateRun(exchange::TestNewRun(plain)));
  ASSERT_OK(store().ChangeSettings(id, changed, "a try"));
  for (const std::string& name : {OtherRun().name, plain.name}) {
    const std::string file = absl::StrCat(folder_.path(), "/", name, ".safetensors");
    const Outcome exported = Gannet({"export", file, "--run", name, "--database.url", pg_.url()});
    ASSERT_EQ(exported.exit_code, 0) << exported.err;
    const Outcome imported =
        Gannet({"import", file, "--run", name + "-2", "--database.url", pg_.url()});
    ASSERT_EQ(imported.exit_code, 0) << imported.err;

    ASSERT_OK_AND_ASSIGN(const checkpoint::Checkpoint checkpoint,
                         checkpoint::ReadCheckpointFile(file));
    ASSERT_OK_AND_ASSIGN(const exchange::RunStatus original, store().FindRun(name));
    EXPECT_EQ(domain::DescribeDifference(checkpoint.config, original.config), "");
    ASSERT_TRUE(checkpoint.archive.has_value());
    EXPECT_EQ(checkpoint.archive->created_config, original.created_config);
    ASSERT_OK_AND_ASSIGN(exchange::RunStatus restored, store().FindRun(name + "-2"));
    for (domain::RunConfig* config :
         {&restored.created_config, &restored.config, &restored.next_config}) {
      config->name = name;
    }
    EXPECT_EQ(domain::DescribeDifference(original.created_config, restored.created_config), "");
    EXPECT_EQ(domain::DescribeDifference(original.config, restored.config), "");
    EXPECT_EQ(domain::DescribeDifference(original.next_config, restored.next_config), "");
    EXPECT_EQ(restored.next_config, original.next_config);
  }
}

TEST_F(EveryRunSettingPgTest, IsKeptByACheckpointAndTheNetworksBesideTheirWeights) {
  const domain::RunConfig run = OtherRun();
  ASSERT_OK_AND_ASSIGN(const base::RunId id, store().CreateRun(exchange::TestNewRun(run)));
  ASSERT_OK_AND_ASSIGN(const exchange::Store::Snapshot snapshot, store().LoadSnapshot(id));
  ASSERT_OK_AND_ASSIGN(const checkpoint::Checkpoint checkpoint,
                       checkpoint::CheckpointFromSnapshot(run, snapshot, {}));

  ASSERT_OK_AND_ASSIGN(const checkpoint::Checkpoint back,
                       checkpoint::DecodeCheckpoint(checkpoint::EncodeCheckpoint(checkpoint)));
  ExpectOther(back.config);
  EXPECT_EQ(back.config, run);
  EXPECT_EQ(checkpoint::ModelOfMetadata(checkpoint::WeightsMetadata(run, base::WeightsVersion(3))),
            run.model);
}

TEST_F(EveryRunSettingPgTest, IsSetInMidRunIfItMayChangeAndRefusedWithTheReasonIfNot) {
  const domain::RunConfig plain = PlainRun();
  ASSERT_OK_AND_ASSIGN(const base::RunId id, store().CreateRun(exchange::TestNewRun(plain)));
  base::RealClock clock;
  telemetry::Metrics metrics;
  coordinator::RunAdmin admin(store(), nullptr, [&] {
    coordinator::CoordinatorView view;
    view.run = id;
    return view;
  });
  coordinator::GrpcAdminService service("");
  service.Attach(admin);
  ASSERT_OK_AND_ASSIGN(
      const std::unique_ptr<rpc::RpcServer> server,
      rpc::RpcServer::Start({}, {{&service, "gannet.v1.AdminService"}}, metrics, clock));
  const std::string address = absl::StrCat("127.0.0.1:", server->bound_port());

  std::vector<std::string> set = {"set", "--address", address};
  domain::RunConfig expected = plain;
  domain::RunConfig at_once = plain;
  std::map<std::string, std::string> refusals;  // by KEY=VALUE
  for (const domain::RunSetting& row : domain::RunSettings()) {
    const std::string setting =
        absl::StrCat(row.name, "=", base::SettingText(row, base::OtherThan(row)));
    if (row.change != domain::SettingChange::kNever) {
      set.push_back(setting);
      row.set(expected, base::OtherThan(row));
      if (row.change == domain::SettingChange::kAtOnce) row.set(at_once, base::OtherThan(row));
      continue;
    }
    // The command says so, and so does the store to whoever asks without it.
    const std::string refusal = absl::StrCat("'", row.name, "' cannot change while");
    domain::RunConfig asked = plain;
    EXPECT_THAT(domain::ChangeSetting(setting, asked),
                base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(refusal)));
    row.set(asked, base::OtherThan(row));
    EXPECT_THAT(
        store().ChangeSettings(id, asked, ""),
        base::StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr(absl::StrCat("cannot change while a run is under way, start a "
                                              "new one for it: ",
                                              row.name, " "))));
    refusals[setting] = refusal;
  }
  ASSERT_FALSE(refusals.empty());
  const auto& [setting, refusal] = *refusals.begin();
  const Outcome refused = Gannet({"set", "--address", address, setting});
  EXPECT_EQ(refused.exit_code, config::kExitUsage) << setting;
  EXPECT_THAT(refused.err, HasSubstr(refusal));
  ASSERT_OK_AND_ASSIGN(const exchange::RunStatus before, store().GetRunStatus(id));
  EXPECT_EQ(before.next_config, plain);

  const Outcome changed = Gannet(set);

  ASSERT_EQ(changed.exit_code, 0) << changed.err;
  EXPECT_THAT(changed.out,
              HasSubstr(absl::StrCat("From now on: ", domain::DescribeDifference(plain, at_once))));
  EXPECT_THAT(changed.out, HasSubstr(domain::DescribeDifference(at_once, expected)));
  ASSERT_OK_AND_ASSIGN(const exchange::RunStatus after, store().GetRunStatus(id));
  EXPECT_EQ(after.config, plain);
  expected.plan_origin = after.next_config.plan_origin;
  EXPECT_EQ(domain::DescribeDifference(expected, after.next_config), "");
  EXPECT_EQ(after.next_config, expected);
  server->Stop(absl::ZeroDuration());
}

}  // namespace
}  // namespace gannet::cli
