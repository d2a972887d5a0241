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
#include "tests/e2e/e2e_class.h"

namespace gannet {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr char kPngSignature[] = "\x89PNG";

std::string MetricsOf(ChildProcess& program) {
  return Scrape(E2eClass::PortOf(program, "metrics_port"));
}

TEST(WholeRunTest, TwoWorkersBehindAGatewayFinishARunAndLeaveItsResults) {
  E2eClass monday({{"run.rounds", "60"}}, E2eClass::Schema::kNone);
  const Outcome migrated = monday.Gannet({"migrate", "--database.url", monday.superuser_url()});
  ASSERT_EQ(migrated.exit_code, 0) << migrated.err;
  ChildProcess& gateway = monday.StartGateway();
  ChildProcess& ada = monday.StartWorker("ada");
  ChildProcess& bob = monday.StartWorker("bob");
  ChildProcess& coordinator = monday.StartCoordinator();

  ASSERT_TRUE(monday.AwaitRounds(2));
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
  for (ChildProcess* worker : {&ada, &bob}) {
    EXPECT_THAT(
        MetricsOf(*worker),
        AllOf(StartsWith("HTTP/1."), HasSubstr("gannet_worker_compute_seconds_count"),
              HasSubstr("gannet_worker_data_seconds_count"),
              HasSubstr("gannet_worker_gradients_total"), HasSubstr("gannet_worker_images_total"),
              HasSubstr("gannet_worker_reference_blas")));
  }
  EXPECT_TRUE(coordinator.running()) << "the metrics were to be those of a run in progress";

  monday.ExpectEnd({&coordinator, &ada, &bob});
  EXPECT_TRUE(gateway.running()) << "it serves other runs";
  gateway.Signal(SIGTERM);
  EXPECT_EQ(gateway.AwaitExit(), 0);
  monday.ExpectEveryGradientCountedOnce();
  EXPECT_EQ(monday.Number("SELECT count(*) FROM gannet.gradient"), 2 * 60);

  EXPECT_THAT(monday.FinalWeights(), HasSubstr("discriminator."));
  EXPECT_THAT(FileContents(monday.OutputPath("generator.safetensors")),
              AllOf(Not(IsEmpty()), Not(HasSubstr("discriminator."))));
  const std::vector<std::string> history =
      absl::StrSplit(FileContents(monday.OutputPath("history.csv")), '\n', absl::SkipEmpty());
  ASSERT_THAT(history, SizeIs(1 + 60)) << "a header and a line for each round";
  EXPECT_THAT(history.back(), StartsWith("60,"));
  for (const char* sample : {"round_000000.png", "round_000060.png", "latest.png"}) {
    EXPECT_THAT(FileContents(monday.OutputPath(absl::StrCat("samples/", sample))),
                StartsWith(kPngSignature))
        << sample;
  }
}

// What others of this machine may see of a process.
std::string CommandLine(const ChildProcess& program) {
  return FileContents(absl::StrCat("/proc/", program.pid(), "/cmdline"));
}

TEST(WholeRunTest, DirectModeEndsWithTheBytesOfGatewayModeAndTellsThePasswordToNobody) {
  E2eClass by_gateway(ProgramSettings{{"run.rounds", "20"}});
  by_gateway.StartGateway();
  ChildProcess& ada = by_gateway.StartWorker("ada");
  ChildProcess& leader = by_gateway.StartCoordinator();
  E2eClass direct({{"run.rounds", "20"}, {"log.level", "debug"}});
  ChildProcess& bob = direct.StartDirectWorker("bob");
  ChildProcess& other_leader = direct.StartCoordinator();

  ASSERT_TRUE(bob.AwaitError("joined"));
  for (ChildProcess* program : {&bob, &other_leader}) {
    ASSERT_THAT(CommandLine(*program), HasSubstr("--database.password_file"));
    EXPECT_THAT(CommandLine(*program), Not(HasSubstr(E2eClass::password())));
  }
  by_gateway.ExpectEnd({&ada, &leader});
  direct.ExpectEnd({&bob, &other_leader});

  EXPECT_THAT(direct.FinalWeights(), Not(IsEmpty()));
  EXPECT_TRUE(direct.FinalWeights() == by_gateway.FinalWeights());
  for (ChildProcess* program : {&bob, &other_leader}) {
    EXPECT_THAT(program->err(), Not(HasSubstr(E2eClass::password())));
  }
  direct.ExpectEveryGradientCountedOnce();
}

}  // namespace
}  // namespace gannet
