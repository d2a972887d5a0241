// Runs in which nothing breaks.
#include <signal.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/gateway/testing/waiting.h"
#include "tests/e2e/e2e_cluster.h"

namespace gannet::e2e {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr char kPngSignature[] = "\x89PNG";

std::string MetricsOf(base::ChildProcess& program) {
  return gateway::Scrape(E2eCluster::PortOf(program, "metrics_port"));
}

TEST(WholeRunTest, WorkersAreListedWithTheImagesTheyComputedForNothing) {
  E2eCluster cluster(ProgramSettings{{"run.rounds", "1000000"}});
  base::ChildProcess& coordinator = cluster.StartCoordinator();
  cluster.StartGateway();
  cluster.StartWorker("ada");
  ASSERT_TRUE(cluster.AwaitRounds(1));
  cluster.Execute("UPDATE gannet.worker SET wasted_image_count = 417");

  const std::string address =
      absl::StrCat("127.0.0.1:", E2eCluster::PortOf(coordinator, "admin_port"));
  const Outcome table = cluster.Gannet({"workers", "--address", address});
  EXPECT_EQ(table.exit_code, 0) << table.err;
  EXPECT_THAT(table.out, AllOf(HasSubstr("wasted images"), HasSubstr(" 417 ")));
  const Outcome csv = cluster.Gannet({"workers", "--csv", "--address", address});
  EXPECT_EQ(csv.exit_code, 0) << csv.err;
  EXPECT_THAT(csv.out, AllOf(HasSubstr("duplicate_unit_count,wasted_image_count,last_seen_time"),
                             HasSubstr(",0,417,")));
}

TEST(WholeRunTest, TwoWorkersBehindAGatewayFinishARunAndLeaveItsResults) {
  E2eCluster cluster({{"run.rounds", "60"}}, E2eCluster::Schema::kNone);
  const Outcome migrated = cluster.Gannet({"migrate", "--database.url", cluster.superuser_url()});
  ASSERT_EQ(migrated.exit_code, 0) << migrated.err;
  base::ChildProcess& gateway = cluster.StartGateway();
  base::ChildProcess& ada = cluster.StartWorker("ada");
  base::ChildProcess& bob = cluster.StartWorker("bob");
  base::ChildProcess& coordinator = cluster.StartCoordinator();

  ASSERT_TRUE(cluster.AwaitRounds(2));
  EXPECT_THAT(MetricsOf(coordinator),
              AllOf(StartsWith("HTTP/1."), HasSubstr("gannet_coordinator_rounds_total"),
                    HasSubstr("gannet_coordinator_images_total"),
                    HasSubstr("\ngannet_coordinator_leader 1"),
                    HasSubstr("\ngannet_coordinator_database_up 1"),
                    HasSubstr("gannet_coordinator_round_seconds_bucket"),
                    HasSubstr("gannet_coordinator_weights_version")));
  EXPECT_THAT(MetricsOf(gateway),
              AllOf(StartsWith("HTTP/1."), HasSubstr("\ngannet_gateway_database_up 1"),
                    HasSubstr("gannet_gateway_submits_total{outcome=\"accepted\"}"),
                    HasSubstr("gannet_gateway_submits_total{outcome=\"superseded\"}"),
                    HasSubstr("gannet_gateway_submits_total{outcome=\"refused\"}"),
                    HasSubstr("gannet_gateway_parked_claims"),
                    HasSubstr("gannet_gateway_payload_bytes_total")));
  for (base::ChildProcess* worker : {&ada, &bob}) {
    EXPECT_THAT(
        MetricsOf(*worker),
        AllOf(StartsWith("HTTP/1."), HasSubstr("gannet_worker_compute_seconds_count"),
              HasSubstr("gannet_worker_data_seconds_count"),
              HasSubstr("gannet_worker_gradients_total"), HasSubstr("gannet_worker_images_total"),
              HasSubstr("gannet_worker_reference_blas")));
  }
  EXPECT_TRUE(coordinator.running()) << "the metrics were to be those of a run in progress";

  cluster.ExpectEnd({&coordinator, &ada, &bob});
  EXPECT_TRUE(gateway.running()) << "it serves other runs";
  gateway.Signal(SIGTERM);
  EXPECT_EQ(gateway.AwaitExit(), 0);
  cluster.ExpectEveryGradientCountedOnce();
  EXPECT_EQ(cluster.Number("SELECT count(*) FROM gannet.gradient"), 2 * 60);

  EXPECT_THAT(cluster.FinalWeights(), HasSubstr("discriminator."));
  EXPECT_THAT(base::FileContents(cluster.OutputPath("generator.safetensors")),
              AllOf(Not(IsEmpty()), Not(HasSubstr("discriminator."))));
  const std::vector<std::string> history = absl::StrSplit(
      base::FileContents(cluster.OutputPath("metrics.csv")), '\n', absl::SkipEmpty());
  ASSERT_THAT(history, SizeIs(1 + 60)) << "a header and a line for each round";
  EXPECT_THAT(history.back(), StartsWith("60,"));
  for (const char* sample : {"round_000000.png", "round_000060.png", "latest.png"}) {
    EXPECT_THAT(base::FileContents(cluster.OutputPath(absl::StrCat("samples/", sample))),
                StartsWith(kPngSignature))
        << sample;
  }
}

// What others of this machine may see of a process.
std::string CommandLine(const base::ChildProcess& program) {
  return base::FileContents(absl::StrCat("/proc/", program.pid(), "/cmdline"));
}

TEST(WholeRunTest, DirectModeEndsWithTheBytesOfGatewayModeAndTellsThePasswordToNobody) {
  E2eCluster by_gateway(ProgramSettings{{"run.rounds", "20"}});
  by_gateway.StartGateway();
  base::ChildProcess& ada = by_gateway.StartWorker("ada");
  base::ChildProcess& leader = by_gateway.StartCoordinator();
  E2eCluster direct({{"run.rounds", "20"}, {"log.level", "debug"}});
  base::ChildProcess& bob = direct.StartDirectWorker("bob");
  base::ChildProcess& other_leader = direct.StartCoordinator();

  ASSERT_TRUE(bob.AwaitError("joined"));
  for (base::ChildProcess* program : {&bob, &other_leader}) {
    ASSERT_THAT(CommandLine(*program), HasSubstr("--database.password_file"));
    EXPECT_THAT(CommandLine(*program), Not(HasSubstr(E2eCluster::password())));
  }
  by_gateway.ExpectEnd({&ada, &leader});
  direct.ExpectEnd({&bob, &other_leader});

  EXPECT_THAT(direct.FinalWeights(), Not(IsEmpty()));
  EXPECT_TRUE(direct.FinalWeights() == by_gateway.FinalWeights());
  for (base::ChildProcess* program : {&bob, &other_leader}) {
    EXPECT_THAT(program->err(), Not(HasSubstr(E2eCluster::password())));
  }
  direct.ExpectEveryGradientCountedOnce();
}

TEST(WholeRunTest, SettingsChangeWhileTheRunGoesOn) {
  // More than there is time for.
  E2eCluster cluster({{"run.rounds", "1000000"}, {"training.units_per_round", "3"}});
  cluster.StartGateway();
  base::ChildProcess& ada = cluster.StartWorker("ada");
  base::ChildProcess& bob = cluster.StartWorker("bob");
  base::ChildProcess& coordinator = cluster.StartCoordinator();
  ASSERT_TRUE(cluster.AwaitRounds(5));
  const std::string address =
      absl::StrCat("127.0.0.1:", E2eCluster::PortOf(coordinator, "admin_port"));

  const Outcome refused = cluster.Gannet({"set", "--address", address, "run.seed=3"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err,
              AllOf(HasSubstr("'run.seed' cannot change"), HasSubstr("training.learning_rate"),
                    HasSubstr("Nothing was changed")));
  const Outcome wrong =
      cluster.Gannet({"set", "--address", address, "training.learning_rate=fast"});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("training.learning_rate must be"));
  const Outcome several = cluster.Gannet(
      {"set", "--address", address, "training.lerning_rate=1e-5", "training.lease=0s"});
  EXPECT_EQ(several.exit_code, 2);
  EXPECT_THAT(several.err,
              AllOf(HasSubstr("did you mean training.learning_rate?"),
                    HasSubstr("training.lease must be"), HasSubstr("Nothing was changed")));

  const Outcome set = cluster.Gannet({"set", "--address", address, "--reason", "a try",
                                      "training.learning_rate=1e-5", "training.units_per_round=2"});
  ASSERT_EQ(set.exit_code, 0) << set.err;
  EXPECT_THAT(set.out,
              AllOf(StartsWith("From round "), HasSubstr("training.units_per_round 3 -> 2"),
                    HasSubstr("training.learning_rate 0.0002 -> 1e-05")));
  const Outcome status = cluster.Gannet({"status", "--address", address});
  EXPECT_THAT(status.out, AllOf(HasSubstr("changed  from round "), HasSubstr("(a try)")));
  // Far enough ahead for a command to be in time.
  const int64_t last = cluster.Number("SELECT weights_version FROM gannet.run") + 500;
  const Outcome shorter =
      cluster.Gannet({"set", "--address", address, absl::StrCat("run.rounds=", last)});
  ASSERT_EQ(shorter.exit_code, 0) << shorter.err;
  EXPECT_THAT(shorter.out, HasSubstr(absl::StrCat("run.rounds 1000000 -> ", last)));
  const Outcome renamed = cluster.Gannet({"set", "--address", address, "training.spare_after=4"});
  ASSERT_EQ(renamed.exit_code, 0) << renamed.err;
  EXPECT_THAT(renamed.err, HasSubstr("training.spare_after is called "
                                     "training.speculation_multiplier now"));
  EXPECT_THAT(renamed.out, HasSubstr("training.speculation_multiplier 3 -> 4"));

  cluster.ExpectEnd({&coordinator, &ada, &bob});
  const int64_t from = cluster.Number("SELECT min(from_round) FROM gannet.run_change");
  EXPECT_EQ(cluster.Number("SELECT max(round) FROM gannet.round_summary"), last);
  EXPECT_EQ(cluster.Number(absl::StrCat("SELECT count(*) FROM gannet.round_summary WHERE "
                                        "gradient_count <> CASE WHEN round < ",
                                        from, " THEN 3 ELSE 2 END")),
            0);
  EXPECT_THAT(coordinator.err(), HasSubstr("settings were changed"));
  cluster.ExpectEveryGradientCountedOnce();
}

}  // namespace
}  // namespace gannet::e2e
