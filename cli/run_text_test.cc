#include "cli/run_text.h"

#include "cli/printable.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace gannet::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

client::RunReport SampleReport() {
  client::RunReport report;
  report.run = base::RunId(1);
  report.config.name = "demo";
  report.config.round_count = 200;
  report.config.units_per_round = 2;
  report.config.images_per_unit = 16;
  report.config.data = {"procedural", 500, "abc", "procedural faces v1, seed 1"};
  report.weights_version = base::WeightsVersion(50);
  report.last_round = exchange::RoundSummary{.round = base::Round(50),
                                             .epoch = 3,
                                             .gradient_count = 2,
                                             .image_count = 32,
                                             .discriminator_loss = 1.306,
                                             .generator_loss = 0.924,
                                             .real_accuracy = 0.71,
                                             .fake_accuracy = 0.8,
                                             .seconds = 0.1};
  report.images_per_second = 48;
  report.worker_count = 2;
  report.latest_sample_path = "out/samples/latest.png";
  return report;
}

TEST(RunTextTest, TheStatusSaysWhatAGatewayRefusesInWordsAndAsLabels) {
  client::RunReport report = SampleReport();
  EXPECT_THAT(StatusText(report), Not(HasSubstr("refusing")));

  report.gateways = {{"lab:50051", {"joins_of_address", "of_a_newer_version"}}};

  EXPECT_THAT(StatusText(report),
              HasSubstr("\nrefusing lab:50051: new workers come too fast from one address; "
                        "of_a_newer_version"));
  const auto json = nlohmann::json::parse(StatusJson(report));
  EXPECT_EQ(json["gateways_refusing"]["lab:50051"][0], "joins_of_address");
}

TEST(RunTextTest, TimeLeftFollowsFromTheSpeed) {
  client::RunReport report = SampleReport();

  EXPECT_EQ(TimeLeft(report), absl::Seconds(150 * 32 / 48));

  report.images_per_second = 0;
  EXPECT_EQ(TimeLeft(report), absl::InfiniteDuration());
  report.weights_version = base::WeightsVersion(200);
  EXPECT_EQ(TimeLeft(report), absl::ZeroDuration());
}

TEST(RunTextTest, TheProgressLineFillsTheTerminal) {
  const std::string line = ProgressLine(SampleReport(), 100);

  EXPECT_LE(DisplayWidth(line), 100);
  EXPECT_THAT(line, AllOf(StartsWith("[===="), HasSubstr("50/200  25 %  48 img/s"),
                          HasSubstr("D 1.31 G 0.92"), HasSubstr("2 workers"),
                          HasSubstr("1 min 40 s left")));
}

TEST(RunTextTest, WorkersForWhomARoundHasNoUnitAreSaidToWait) {
  client::RunReport report = SampleReport();
  report.worker_count = 30;
  report.config.units_per_round = 4;

  EXPECT_THAT(PlainProgressLine(report), HasSubstr("30 workers (26 wait)"));
  EXPECT_THAT(StatusText(report),
              HasSubstr("30 heard from within 30 s, 26 of them wait: a round has 4 units (gannet "
                        "set training.units_per_round=30)"));
  EXPECT_EQ(nlohmann::json::parse(StatusJson(report))["idle_worker_count"], 26);

  report.state = domain::RunState::kPaused;
  EXPECT_THAT(PlainProgressLine(report), Not(HasSubstr("wait")));
  report.state = domain::RunState::kRunning;
  report.worker_count = 4;
  EXPECT_THAT(StatusText(report), Not(HasSubstr("wait")));
}

TEST(RunTextTest, HowMuchOfAUnitGoesIntoTheNetworkIsTold) {
  client::RunReport report = SampleReport();
  EXPECT_THAT(StatusText(report), Not(HasSubstr("network"))) << "nothing is known of it yet";

  report.unit_seconds = 12;
  report.unit_compute_seconds = 3;

  EXPECT_THAT(StatusText(report),
              HasSubstr("network  a unit takes 12.0 s, 3.00 s of that computing; 75 % goes into "
                        "sending, receiving and waiting"));
  EXPECT_THAT(PlainProgressLine(report), HasSubstr("75 % on the way"));
  EXPECT_EQ(nlohmann::json::parse(StatusJson(report))["unit_compute_seconds"], 3);

  report.unit_seconds = 1200;
  report.unit_compute_seconds = 0.042;
  EXPECT_THAT(StatusText(report),
              HasSubstr("a unit takes 1200 s, 0.042 s of that computing; 100 % goes into"));

  report.unit_seconds = 12;
  report.unit_compute_seconds = 11;
  EXPECT_THAT(PlainProgressLine(report), Not(HasSubstr("on the way")));
}

TEST(RunTextTest, TheBarIsAsFullAsTheRun) {
  client::RunReport report = SampleReport();
  report.weights_version = base::WeightsVersion(0);
  EXPECT_THAT(ProgressLine(report, 200), StartsWith("[> "));
  report.weights_version = base::WeightsVersion(200);
  EXPECT_THAT(ProgressLine(report, 200), StartsWith("[" + std::string(40, '=') + "]"));
}

TEST(RunTextTest, ANarrowTerminalGetsNoBarAndNothingTooLong) {
  for (int width = 0; width < 100; ++width) {
    EXPECT_LE(DisplayWidth(ProgressLine(SampleReport(), width)), width);
  }
  EXPECT_THAT(ProgressLine(SampleReport(), 30), StartsWith("50/200"));
}

TEST(RunTextTest, NothingKnownYetIsSaidAsSuch) {
  client::RunReport report;
  report.config.round_count = 10;

  EXPECT_EQ(PlainProgressLine(report),
            "round 0/10  0 %  - img/s  D - G -  0 workers  waits for a worker");
}

TEST(RunTextTest, OneProcessHasUpdatesAndNoWorkers) {
  client::RunReport report = SampleReport();
  report.worker_count = 0;

  EXPECT_EQ(PlainProgressLine(report, Trainer::kOneProcess),
            "update 50/200  25 %  48 img/s  D 1.31 G 0.92  1 min 40 s left");
  EXPECT_THAT(ProgressLine(report, 100, Trainer::kOneProcess), Not(HasSubstr("worker")));
}

TEST(RunTextTest, APausedRunShowsItsStateInsteadOfATime) {
  client::RunReport report = SampleReport();
  report.state = domain::RunState::kPaused;
  report.state_reason = "lunch\x1b[2J";

  EXPECT_THAT(PlainProgressLine(report), HasSubstr("paused"));
  EXPECT_THAT(StatusText(report), AllOf(HasSubstr("paused: lunch?[2J"), Not(HasSubstr(" left"))));
}

TEST(RunTextTest, TheStatusNamesWhatMatters) {
  EXPECT_THAT(
      StatusText(SampleReport()),
      AllOf(HasSubstr("demo (id 1)"), HasSubstr("50 of 200 (25.0 %), epoch 3"),
            HasSubstr("discriminator 1.306, generator 0.924"), HasSubstr("71 % of real images"),
            HasSubstr("procedural faces v1, seed 1"), HasSubstr("out/samples/latest.png")));
}

TEST(RunTextTest, TheJsonHoldsTheSame) {
  const nlohmann::json json = nlohmann::json::parse(StatusJson(SampleReport()));

  EXPECT_EQ(json["state"], "running");
  EXPECT_EQ(json["rounds_done"], 50);
  EXPECT_EQ(json["round_count"], 200);
  EXPECT_EQ(json["seconds_left"], 100);
  EXPECT_EQ(json["last_round"]["discriminator_loss"], 1.306);
  EXPECT_EQ(json["data"]["image_count"], 500);
}

TEST(RunTextTest, WhatIsNotKnownIsNullInJson) {
  client::RunReport report;
  report.config.round_count = 10;
  report.config.name = "\xff";

  const nlohmann::json json = nlohmann::json::parse(StatusJson(report));

  EXPECT_TRUE(json["seconds_left"].is_null());
  EXPECT_TRUE(json["last_round"].is_null());
}

}  // namespace
}  // namespace gannet::cli
