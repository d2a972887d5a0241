#include "libs/exchange/proto_conversion.h"

#include <cmath>
#include <functional>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "libs/base/sha256.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/exchange/validation.h"

namespace gannet::exchange {
namespace {

using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

// Spoils a good message in one way; FromProto must refuse it and name the field.
template <typename Proto>
struct Flaw {
  const char* field;
  std::function<void(Proto&)> spoil;
};

template <typename Proto>
void ExpectFlawsRefused(const Proto& good, const std::vector<Flaw<Proto>>& flaws) {
  ASSERT_OK(FromProto(good));
  for (const Flaw<Proto>& flaw : flaws) {
    Proto bad = good;
    flaw.spoil(bad);
    EXPECT_THAT(FromProto(bad), base::StatusIs(kInvalid, HasSubstr(flaw.field)))
        << bad.ShortDebugString();
  }
}

void ExpectSameWorker(const WorkerIdentity& a, const WorkerIdentity& b) {
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.secret, b.secret);
  EXPECT_EQ(a.incarnation, b.incarnation);
}

domain::RunConfig UnusualConfig() {
  domain::RunConfig config = TinyRunConfig("unusual-1.0_x");
  config.seed = std::numeric_limits<int64_t>::max();
  config.adam.learning_rate = 1.0 / 3.0;
  config.adam.learning_rate_generator = 1.0 / 7.0;
  config.adam.learning_rate_discriminator = 1.0 / 11.0;
  config.adam.epsilon = 1e-300;
  config.objective.real_label = 0.1 + 0.2;
  config.round_count = 1'000'000'000;
  config.lease = absl::Milliseconds(1501);
  config.gradient_codec = 2;
  config.data.description = "\xC3\xA9 \"quoted\" \\";
  return config;
}

WorkUnit SomeUnit() {
  WorkUnit unit;
  unit.run = base::RunId(3);
  unit.unit = base::UnitId(int64_t{1} << 50);
  unit.attempt = base::Attempt(2);
  unit.round = base::Round(7);
  unit.slot = base::Slot(1);
  unit.weights_version = base::WeightsVersion(6);
  unit.weights_sha256 = std::string(32, '\xff');
  unit.image_indices = {5, 0, int64_t{1} << 40};
  unit.micro_batch = 2;
  unit.seed = std::numeric_limits<uint64_t>::max();
  unit.lease = absl::Seconds(60) + absl::Nanoseconds(1);
  return unit;
}

RoundSummary SomeRound() {
  RoundSummary summary;
  summary.round = base::Round(5);
  summary.epoch = 2;
  summary.gradient_count = 3;
  summary.image_count = 960;
  summary.discriminator_loss = 1.0 / 3.0;
  summary.generator_loss = -0.5;
  summary.real_accuracy = 0.75;
  summary.fake_accuracy = 0.25;
  summary.seconds = 1.5;
  return summary;
}

TEST(ProtoConversionTest, EnumsKeepTheirMeaning) {
  EXPECT_EQ(ToProto(domain::RunState::kRunning), v1::RUN_STATE_RUNNING);
  EXPECT_EQ(ToProto(domain::RunState::kPaused), v1::RUN_STATE_PAUSED);
  EXPECT_EQ(ToProto(domain::RunState::kFinished), v1::RUN_STATE_FINISHED);
  EXPECT_EQ(ToProto(domain::RunState::kStopped), v1::RUN_STATE_STOPPED);
  EXPECT_EQ(ToProto(domain::SubmitOutcome::kAccepted), v1::SUBMIT_OUTCOME_ACCEPTED);
  EXPECT_EQ(ToProto(domain::SubmitOutcome::kLate), v1::SUBMIT_OUTCOME_LATE);
  EXPECT_EQ(ToProto(domain::SubmitOutcome::kAlreadyAccepted), v1::SUBMIT_OUTCOME_ALREADY_ACCEPTED);
  EXPECT_EQ(ToProto(domain::SubmitOutcome::kSuperseded), v1::SUBMIT_OUTCOME_SUPERSEDED);
  EXPECT_EQ(ToProto(domain::SubmitOutcome::kClosed), v1::SUBMIT_OUTCOME_CLOSED);
  EXPECT_EQ(v1::Codec_descriptor()->value_count(),
            static_cast<int>(std::size(base::kCodecNumbers)) + 1);
  for (const int number : base::kCodecNumbers) {
    const auto codec = static_cast<tensor::Codec>(number);
    EXPECT_THAT(FromProto(ToProto(codec)), base::IsOkAndHolds(codec));
    EXPECT_EQ(v1::Codec_Name(ToProto(codec)),
              absl::StrCat("CODEC_", absl::AsciiStrToUpper(base::CodecName(number))));
  }
  EXPECT_EQ(ToProto(tensor::Codec::kFp32), v1::CODEC_FP32);
  EXPECT_EQ(ToProto(tensor::Codec::kFp16), v1::CODEC_FP16);
}

TEST(ProtoConversionTest, UnknownEnumValuesAreRefused) {
  for (const int value : {-1, 0, 99}) {
    EXPECT_THAT(FromProto(static_cast<v1::RunState>(value)), base::StatusIs(kInvalid));
    EXPECT_THAT(FromProto(static_cast<v1::SubmitOutcome>(value)), base::StatusIs(kInvalid));
    EXPECT_THAT(FromProto(static_cast<v1::Codec>(value)), base::StatusIs(kInvalid));
  }
  EXPECT_THAT(FromProto(v1::RUN_STATE_STOPPED), base::IsOkAndHolds(domain::RunState::kStopped));
  EXPECT_THAT(FromProto(v1::SUBMIT_OUTCOME_CLOSED),
              base::IsOkAndHolds(domain::SubmitOutcome::kClosed));
  EXPECT_THAT(FromProto(v1::CODEC_FP16), base::IsOkAndHolds(tensor::Codec::kFp16));
}

TEST(ProtoConversionTest, ConfigsComeBackAsTheyWere) {
  for (const domain::RunConfig& config : {TinyRunConfig(), UnusualConfig()}) {
    ASSERT_OK_AND_ASSIGN(const domain::RunConfig back, FromProto(ToProto(config)));
    EXPECT_EQ(back, config) << domain::DescribeDifference(config, back);
    EXPECT_EQ(back.data.description, config.data.description);
  }
}

TEST(ProtoConversionTest, ConfigsComeBackFromJsonAsTheyWere) {
  for (const domain::RunConfig& config : {TinyRunConfig(), UnusualConfig()}) {
    ASSERT_OK_AND_ASSIGN(const domain::RunConfig back, RunConfigFromJson(RunConfigToJson(config)));
    EXPECT_EQ(back, config) << domain::DescribeDifference(config, back);
    EXPECT_EQ(back.data.description, config.data.description);
  }
}

TEST(ProtoConversionTest, AConfigThatNobodyMayChooseTodayIsStillRead) {
  domain::RunConfig config = TinyRunConfig();
  config.seed = std::numeric_limits<uint64_t>::max();
  config.lease = absl::Milliseconds(100);
  config.images_per_unit = 1 << 20;

  ASSERT_OK_AND_ASSIGN(const domain::RunConfig back, RunConfigFromJson(RunConfigToJson(config)));

  EXPECT_EQ(back, config) << domain::DescribeDifference(config, back);
  EXPECT_THAT(domain::ValidateRunConfig(config), base::StatusIs(kInvalid)) << "to begin a run with";
}

// As the store has them of versions in which the networks could not have rates of their own.
TEST(ProtoConversionTest, AConfigWithoutRatesOfItsNetworksKeepsTheSharedOne) {
  std::string json = RunConfigToJson(TinyRunConfig());
  for (const char* key : {",\"learning_rate_generator\":0", ",\"learning_rate_discriminator\":0"}) {
    const size_t at = json.find(key);
    ASSERT_NE(at, std::string::npos) << json;
    json.erase(at, std::string(key).size());
  }

  ASSERT_OK_AND_ASSIGN(const domain::RunConfig back, RunConfigFromJson(json));

  EXPECT_EQ(back, TinyRunConfig());
  EXPECT_EQ(back.adam.GeneratorRate(), TinyRunConfig().adam.learning_rate);
  EXPECT_EQ(back.adam.DiscriminatorRate(), TinyRunConfig().adam.learning_rate);
}

TEST(ProtoConversionTest, JsonNamesItsKeysAsTheProtoDoes) {
  const std::string json = RunConfigToJson(TinyRunConfig());
  EXPECT_THAT(json, HasSubstr("\"images_per_unit\":4"));
  EXPECT_THAT(json, HasSubstr("\"image_size\":32"));
}

// Databases, archives and checkpoints keep their JSON for years.
TEST(ProtoConversionTest, JsonOfAVersionBeforeARenamingIsRead) {
  domain::RunConfig config = TinyRunConfig();
  config.policy.speculation_multiplier = 7;
  const std::string json = RunConfigToJson(config);
  const std::string old =
      absl::StrReplaceAll(json, {{"\"speculation_multiplier\":", "\"spare_after\":"}});
  ASSERT_NE(old, json) << "written under its name of now";

  ASSERT_OK_AND_ASSIGN(const domain::RunConfig back, RunConfigFromJson(old));
  EXPECT_EQ(back, config);
}

TEST(ProtoConversionTest, JsonThatIsNoConfigIsRefused) {
  for (const std::string& json :
       {std::string(), std::string("{"), std::string("[]"), std::string("{\"nonsense\":1}"),
        std::string("{}"), std::string("{\"seed\":-1}"), std::string("\xFF")}) {
    EXPECT_THAT(RunConfigFromJson(json), base::StatusIs(kInvalid)) << json;
  }
}

TEST(ProtoConversionTest, FlawsOfAConfigAreNamed) {
  ExpectFlawsRefused<v1::RunConfig>(
      ToProto(TinyRunConfig()),
      {
          {"name", [](auto& p) { p.set_name("two\nlines"); }},
          {"image_size", [](auto& p) { p.clear_model(); }},
          {"learning_rate", [](auto& p) { p.set_learning_rate(std::nan("")); }},
          {"learning_rate_generator must", [](auto& p) { p.set_learning_rate_generator(-1); }},
          {"learning_rate_discriminator must",
           [](auto& p) { p.set_learning_rate_discriminator(HUGE_VAL); }},
          {"lease", [](auto& p) { p.set_lease_seconds(std::nan("")); }},
          {"lease", [](auto& p) { p.set_lease_seconds(-1); }},
          {"lease", [](auto& p) { p.set_lease_seconds(HUGE_VAL); }},
          {"images_per_unit", [](auto& p) { p.set_images_per_unit(-1); }},
          {"gradient_codec", [](auto& p) { p.set_gradient_codec(9); }},
          {"data.kind", [](auto& p) { p.clear_data(); }},
          {"data.digest", [](auto& p) { p.mutable_data()->set_digest("DEADBEEF"); }},
          {"data.image_count", [](auto& p) { p.mutable_data()->set_image_count(-1); }},
      });
}

TEST(ProtoConversionTest, FlawsOfAnIdentityAreNamed) {
  ExpectFlawsRefused<v1::WorkerIdentity>(
      ToProto(TestWorker(1)), {
                                  {"worker_id", [](auto& p) { p.set_worker_id(""); }},
                                  {"worker_id", [](auto& p) { p.set_worker_id("0x12"); }},
                                  {"secret", [](auto& p) { p.set_secret("short"); }},
                                  {"incarnation", [](auto& p) { p.set_incarnation(0); }},
                                  {"incarnation", [](auto& p) { p.set_incarnation(-5); }},
                              });
}

TEST(ProtoConversionTest, WorkUnitsComeBackAsTheyWere) {
  EXPECT_THAT(FromProto(ToProto(SomeUnit())), base::IsOkAndHolds(SomeUnit()));
  WorkUnit expired = SomeUnit();
  expired.lease = absl::ZeroDuration();
  EXPECT_THAT(FromProto(ToProto(expired)), base::IsOkAndHolds(expired));
}

TEST(ProtoConversionTest, FlawsOfAWorkUnitAreNamed) {
  ExpectFlawsRefused<v1::WorkUnit>(
      ToProto(SomeUnit()),
      {
          {"unit.run_id", [](auto& p) { p.set_run_id(0); }},
          {"unit.unit_id", [](auto& p) { p.set_unit_id(-1); }},
          {"unit.attempt", [](auto& p) { p.set_attempt(0); }},
          {"unit.round", [](auto& p) { p.set_round(0); }},
          {"unit.slot", [](auto& p) { p.set_slot(-1); }},
          {"unit.weights_version", [](auto& p) { p.set_weights_version(-1); }},
          {"unit.weights_sha256", [](auto& p) { p.set_weights_sha256("short"); }},
          {"unit.micro_batch", [](auto& p) { p.set_micro_batch(0); }},
          {"unit.image_indices", [](auto& p) { p.clear_image_indices(); }},
          {"unit.image_indices", [](auto& p) { p.set_image_indices(0, -1); }},
          {"unit.lease_duration", [](auto& p) { p.mutable_lease_duration()->set_seconds(-1); }},
          {"unit.lease_duration",
           [](auto& p) { p.mutable_lease_duration()->set_nanos(1'000'000'000); }},
          {"unit.lease_duration",
           [](auto& p) {
             p.mutable_lease_duration()->set_seconds(std::numeric_limits<int64_t>::max());
           }},
      });
}

TEST(ProtoConversionTest, StatisticsComeBackAsTheyWere) {
  GradientStats stats = TestStats(TinyRunConfig());
  stats.discriminator_loss = 0.1 + 0.2;
  stats.compute_seconds = std::numeric_limits<double>::denorm_min();
  EXPECT_THAT(FromProto(ToProto(stats)), base::IsOkAndHolds(stats));
  ExpectFlawsRefused<v1::GradientStats>(
      ToProto(stats),
      {
          {"stats.image_count", [](auto& p) { p.set_image_count(-4); }},
          {"stats.micro_batch_count", [](auto& p) { p.set_micro_batch_count(0); }},
          {"stats.generator_loss", [](auto& p) { p.set_generator_loss(std::nan("")); }},
          {"stats.compute_seconds", [](auto& p) { p.set_compute_seconds(HUGE_VAL); }},
      });
}

TEST(ProtoConversionTest, RoundsComeBackAsTheyWere) {
  EXPECT_THAT(FromProto(ToProto(SomeRound())), base::IsOkAndHolds(SomeRound()));
  ExpectFlawsRefused<v1::RoundSummary>(
      ToProto(SomeRound()), {
                                {"round", [](auto& p) { p.set_round(0); }},
                                {"epoch", [](auto& p) { p.set_epoch(-1); }},
                                {"gradient_count", [](auto& p) { p.set_gradient_count(-1); }},
                                {"image_count", [](auto& p) { p.set_image_count(-1); }},
                                {"seconds", [](auto& p) { p.set_seconds(std::nan("")); }},
                            });
}

TEST(ProtoConversionTest, WorkersComeBackAsTheyWere) {
  WorkerSummary summary;
  summary.removed_reason = "plays";
  summary.worker = TestWorker(1).id;
  summary.display_name = "ada";
  summary.hardware = "cpu";
  summary.accepted_unit_count = 3;
  summary.accepted_image_count = 960;
  for (const absl::Time last_seen :
       {absl::FromUnixMillis(1'700'000'000'123), absl::FromUnixMillis(-1)}) {
    summary.last_seen = last_seen;
    ASSERT_OK_AND_ASSIGN(const WorkerSummary back, FromProto(ToProto(summary)));
    EXPECT_EQ(back.worker, summary.worker);
    EXPECT_EQ(back.display_name, summary.display_name);
    EXPECT_EQ(back.hardware, summary.hardware);
    EXPECT_EQ(back.accepted_unit_count, summary.accepted_unit_count);
    EXPECT_EQ(back.accepted_image_count, summary.accepted_image_count);
    EXPECT_EQ(back.last_seen, summary.last_seen);
    EXPECT_EQ(back.removed_reason, summary.removed_reason);
  }
  ExpectFlawsRefused<v1::WorkerSummary>(
      ToProto(summary),
      {
          {"worker_id", [](auto& p) { p.set_worker_id("me"); }},
          {"accepted_unit_count", [](auto& p) { p.set_accepted_unit_count(-1); }},
          {"accepted_image_count", [](auto& p) { p.set_accepted_image_count(-1); }},
      });
}

TEST(ProtoConversionTest, JoinsComeBackAsTheyWere) {
  JoinRequest request = TestJoin(TestWorker(1, 77), TinyRunConfig());
  ASSERT_OK_AND_ASSIGN(const JoinRequest back, FromProto(ToProto(request)));
  ExpectSameWorker(back.worker, request.worker);
  EXPECT_EQ(back.run_name, request.run_name);
  EXPECT_EQ(back.display_name, request.display_name);
  EXPECT_EQ(back.hardware, request.hardware);
  EXPECT_EQ(back.protocol_version, request.protocol_version);
  EXPECT_EQ(back.data, request.data);

  request.data.reset();
  request.run_name = "";
  ASSERT_OK_AND_ASSIGN(const JoinRequest describing, FromProto(ToProto(request)));
  EXPECT_FALSE(describing.data.has_value());

  request.protocol_version = 0;
  EXPECT_THAT(FromProto(ToProto(request)), base::StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST(ProtoConversionTest, FlawsOfAJoinAreNamed) {
  ExpectFlawsRefused<v1::JoinRequest>(
      ToProto(TestJoin(TestWorker(1), TinyRunConfig())),
      {
          {"worker_id", [](auto& p) { p.clear_worker(); }},
          {"display_name", [](auto& p) { p.set_display_name(std::string(65, 'x')); }},
          {"hardware", [](auto& p) { p.set_hardware(std::string(201, 'x')); }},
          {"run_name", [](auto& p) { p.set_run_name("\x01"); }},
          {"data.digest", [](auto& p) { p.mutable_data()->clear_digest(); }},
      });
}

TEST(ProtoConversionTest, AnswersToJoinComeBackAsTheyWere) {
  JoinResult result;
  result.run = base::RunId(4);
  result.config = UnusualConfig();
  result.state = domain::RunState::kPaused;
  result.heartbeat_interval = absl::Milliseconds(2500);
  ASSERT_OK_AND_ASSIGN(const JoinResult back, FromProto(ToProto(result)));
  EXPECT_EQ(back.run, result.run);
  EXPECT_EQ(back.config, result.config);
  EXPECT_EQ(back.state, result.state);
  EXPECT_EQ(back.heartbeat_interval, result.heartbeat_interval);
  ExpectFlawsRefused<v1::JoinResponse>(
      ToProto(result), {
                           {"run_id", [](auto& p) { p.set_run_id(-1); }},
                           {"state", [](auto& p) { p.clear_state(); }},
                           {"data.kind", [](auto& p) { p.clear_config(); }},
                           {"heartbeat_interval", [](auto& p) { p.clear_heartbeat_interval(); }},
                       });
}

TEST(ProtoConversionTest, ClaimsComeBackAsTheyWere) {
  const ClaimRequest request{TestWorker(1), base::RunId(2), std::string(32, 'a'),
                             absl::Milliseconds(1500)};
  ASSERT_OK_AND_ASSIGN(const ClaimRequest back, FromProto(ToProto(request)));
  ExpectSameWorker(back.worker, request.worker);
  EXPECT_EQ(back.run, request.run);
  EXPECT_EQ(back.request_id, request.request_id);
  EXPECT_EQ(back.wait, request.wait);
  ExpectFlawsRefused<v1::ClaimRequest>(
      ToProto(request),
      {
          {"run_id", [](auto& p) { p.set_run_id(0); }},
          {"request_id", [](auto& p) { p.set_request_id("again"); }},
          {"wait", [](auto& p) { p.mutable_wait_duration()->set_seconds(31); }},
          {"wait", [](auto& p) { p.mutable_wait_duration()->set_seconds(-1); }},
          {"wait_duration", [](auto& p) { p.mutable_wait_duration()->set_nanos(-1); }},
      });
}

TEST(ProtoConversionTest, AnswersToClaimComeBackAsTheyWere) {
  ClaimResult result;
  result.state = domain::RunState::kFinished;
  ASSERT_OK_AND_ASSIGN(ClaimResult back, FromProto(ToProto(result)));
  EXPECT_FALSE(back.unit.has_value());
  EXPECT_EQ(back.state, domain::RunState::kFinished);

  result.unit = SomeUnit();
  ASSERT_OK_AND_ASSIGN(back, FromProto(ToProto(result)));
  EXPECT_EQ(back.unit, result.unit);
  ExpectFlawsRefused<v1::ClaimResponse>(
      ToProto(result), {
                           {"state", [](auto& p) { p.clear_state(); }},
                           {"unit.round", [](auto& p) { p.mutable_unit()->set_round(-1); }},
                       });
}

TEST(ProtoConversionTest, FetchesOfWeightsComeBackAsTheyWere) {
  const FetchWeightsRequest request{TestWorker(1), base::RunId(2), base::WeightsVersion(0),
                                    std::string(32, 'w')};
  ASSERT_OK_AND_ASSIGN(const FetchWeightsRequest back, FromProto(ToProto(request)));
  ExpectSameWorker(back.worker, request.worker);
  EXPECT_EQ(back.run, request.run);
  EXPECT_EQ(back.version, request.version);
  EXPECT_EQ(back.sha256, request.sha256);
  ExpectFlawsRefused<v1::FetchWeightsRequest>(
      ToProto(request), {
                            {"run_id", [](auto& p) { p.set_run_id(-1); }},
                            {"weights_version", [](auto& p) { p.set_weights_version(-1); }},
                            {"weights_sha256", [](auto& p) { p.set_weights_sha256("short"); }},
                        });
}

TEST(ProtoConversionTest, SubmissionsAreAnnouncedAsTheyAre) {
  const domain::RunConfig config = TinyRunConfig();
  WorkUnit unit = SomeUnit();
  const SubmitRequest request = TestSubmit(config, TestWorker(1), unit, 2.0f);

  ASSERT_OK_AND_ASSIGN(const SubmitAnnouncement back, FromProto(SubmitHeaderOf(request)));

  ExpectSameWorker(back.worker, request.worker);
  EXPECT_EQ(back.run, request.run);
  EXPECT_EQ(back.unit, request.unit);
  EXPECT_EQ(back.attempt, request.attempt);
  EXPECT_EQ(back.stats, request.stats);
  EXPECT_EQ(back.payload.codec, request.payload.codec);
  EXPECT_EQ(back.payload.total_bytes, static_cast<int64_t>(request.payload.bytes->size()));
  EXPECT_EQ(back.payload.sha256, request.payload.sha256);
  ExpectFlawsRefused<v1::SubmitHeader>(
      SubmitHeaderOf(request),
      {
          {"worker_id", [](auto& p) { p.mutable_worker()->clear_worker_id(); }},
          {"run_id", [](auto& p) { p.set_run_id(0); }},
          {"unit_id", [](auto& p) { p.set_unit_id(0); }},
          {"attempt", [](auto& p) { p.set_attempt(0); }},
          {"stats.image_count", [](auto& p) { p.clear_stats(); }},
          {"codec", [](auto& p) { p.mutable_payload()->clear_codec(); }},
          {"codec", [](auto& p) { p.mutable_payload()->set_codec(static_cast<v1::Codec>(7)); }},
          {"total_bytes", [](auto& p) { p.mutable_payload()->set_total_bytes(0); }},
          {"total_bytes", [](auto& p) { p.mutable_payload()->set_total_bytes(-1); }},
          {"sha256", [](auto& p) { p.mutable_payload()->set_sha256("abc"); }},
      });
}

TEST(ProtoConversionTest, HeartbeatsComeBackAsTheyWere) {
  const HeartbeatCall call{
      TestWorker(1),
      base::RunId(2),
      {{base::UnitId(5), base::Attempt(1), 0}, {base::UnitId(4), base::Attempt(3), 9}}};
  ASSERT_OK_AND_ASSIGN(const HeartbeatCall back, FromProto(ToProto(call)));
  ExpectSameWorker(back.worker, call.worker);
  EXPECT_EQ(back.run, call.run);
  ASSERT_EQ(back.held.size(), 2u);
  EXPECT_EQ(back.held[1].unit, base::UnitId(4));
  EXPECT_EQ(back.held[1].attempt, base::Attempt(3));
  EXPECT_EQ(back.held[1].micro_batches_done, 9);
  ExpectFlawsRefused<v1::HeartbeatRequest>(
      ToProto(call),
      {
          {"run_id", [](auto& p) { p.set_run_id(-1); }},
          {"progress.unit_id", [](auto& p) { p.mutable_progress(0)->set_unit_id(0); }},
          {"progress.attempt", [](auto& p) { p.mutable_progress(0)->set_attempt(0); }},
          {"progress.micro_batches_done",
           [](auto& p) { p.mutable_progress(0)->set_micro_batches_done(-1); }},
          {"progress names a unit twice", [](auto& p) { *p.mutable_progress(0) = p.progress(1); }},
          {"progress must name at most",
           [](auto& p) {
             for (int i = 0; i < kMaxHeldUnits; ++i) p.add_progress()->CopyFrom(p.progress(0));
           }},
      });
}

TEST(ProtoConversionTest, AnswersToHeartbeatsComeBackAsTheyWere) {
  HeartbeatResult result;
  result.dropped = {base::UnitId(3), base::UnitId(8)};
  result.state = domain::RunState::kStopped;
  ASSERT_OK_AND_ASSIGN(const HeartbeatResult back, FromProto(ToProto(result)));
  EXPECT_EQ(back.dropped, result.dropped);
  EXPECT_EQ(back.state, result.state);
  ExpectFlawsRefused<v1::HeartbeatResponse>(
      ToProto(result), {
                           {"dropped_unit_ids", [](auto& p) { p.set_dropped_unit_ids(0, 0); }},
                           {"state", [](auto& p) { p.clear_state(); }},
                       });
}

TEST(ProtoConversionTest, GivingBackComesBackAsItWas) {
  const ReleaseCall release{TestWorker(1), base::RunId(2), base::UnitId(3), base::Attempt(4)};
  ASSERT_OK_AND_ASSIGN(const ReleaseCall released, FromProto(ToProto(release)));
  ExpectSameWorker(released.worker, release.worker);
  EXPECT_EQ(released.run, release.run);
  EXPECT_EQ(released.unit, release.unit);
  EXPECT_EQ(released.attempt, release.attempt);
  ExpectFlawsRefused<v1::ReleaseRequest>(ToProto(release),
                                         {{"attempt", [](auto& p) { p.set_attempt(-1); }}});

  const FailCall fail{TestWorker(1), base::RunId(2), base::UnitId(3), base::Attempt(4),
                      "unreadable: \xC3\xA9.jpg"};
  ASSERT_OK_AND_ASSIGN(const FailCall failed, FromProto(ToProto(fail)));
  ExpectSameWorker(failed.worker, fail.worker);
  EXPECT_EQ(failed.run, fail.run);
  EXPECT_EQ(failed.unit, fail.unit);
  EXPECT_EQ(failed.attempt, fail.attempt);
  EXPECT_EQ(failed.reason, fail.reason);
  ExpectFlawsRefused<v1::FailRequest>(
      ToProto(fail), {
                         {"unit_id", [](auto& p) { p.set_unit_id(0); }},
                         {"reason", [](auto& p) { p.set_reason(std::string(501, 'x')); }},
                     });

  const DescribeCall describe{TestWorker(1), base::RunId(2)};
  ASSERT_OK_AND_ASSIGN(const DescribeCall asked, FromProto(ToProto(describe)));
  ExpectSameWorker(asked.worker, describe.worker);
  EXPECT_EQ(asked.run, describe.run);
  ExpectFlawsRefused<v1::DescribeRequest>(ToProto(describe),
                                          {{"run_id", [](auto& p) { p.set_run_id(0); }}});
  const RunDescription description{base::RunId(2), TinyRunConfig(), domain::RunState::kPaused};
  EXPECT_THAT(FromProto(ToProto(description)), base::IsOkAndHolds(description));
  ExpectFlawsRefused<v1::DescribeResponse>(
      ToProto(description),
      {{"run_id", [](auto& p) { p.set_run_id(0); }}, {"state", [](auto& p) { p.clear_state(); }}});

  const LeaveCall leave{TestWorker(1), base::RunId(2)};
  ASSERT_OK_AND_ASSIGN(const LeaveCall left, FromProto(ToProto(leave)));
  ExpectSameWorker(left.worker, leave.worker);
  EXPECT_EQ(left.run, leave.run);
  ExpectFlawsRefused<v1::LeaveRequest>(ToProto(leave),
                                       {{"run_id", [](auto& p) { p.set_run_id(0); }}});
}

// What a database holds since before the rule for text was what it is.
TEST(ProtoConversionTest, TextThatWasStoredIsShownAndHidesNothingElse) {
  v1::WorkerSummary worker;
  worker.set_worker_id(std::string(32, 'a'));
  worker.set_display_name("Ada\u202E");
  worker.set_hardware("\uFEFFlaptop");
  v1::RunConfig config = ToProto(TinyRunConfig());
  config.mutable_data()->set_description("folder \u200B");

  ASSERT_OK_AND_ASSIGN(const WorkerSummary summary, FromProto(worker));
  EXPECT_EQ(summary.display_name, "Ada?");
  EXPECT_EQ(summary.hardware, "?laptop");
  ASSERT_OK_AND_ASSIGN(const domain::RunConfig read, FromProto(config));
  EXPECT_EQ(read.data.description, "folder ?");
}

}  // namespace
}  // namespace gannet::exchange
