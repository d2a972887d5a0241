// gannet export and gannet import: a run leaves one database and goes on in another.
#include <signal.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/e2e/e2e_cluster.h"

namespace gannet::e2e {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

const ProgramSettings kSettings = {{"run.rounds", "150"}, {"training.ema_decay", "0.9"}};

// Runs a class with one worker to its end.
void RunToItsEnd(E2eCluster& cluster) {
  base::ChildProcess& coordinator = cluster.StartCoordinator();
  cluster.StartGateway();
  base::ChildProcess& worker = cluster.StartWorker("ada");
  cluster.ExpectEnd({&coordinator, &worker});
}

TEST(ArchiveTest, ARunGoesOnInAnotherDatabaseBitForBit) {
  E2eCluster baseline(kSettings);
  RunToItsEnd(baseline);
  E2eCluster first(kSettings);
  first.StartCoordinator();
  first.StartGateway();
  first.StartWorker("ada");
  ASSERT_TRUE(first.AwaitRounds(5));
  const std::string file = first.PathOf("run.safetensors");

  const Outcome exported =
      first.Gannet({"export", file, "--run", "cluster", "--database.url", first.superuser_url()});

  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  EXPECT_THAT(exported.out, HasSubstr("run cluster after"));
  // A file that is there is written over only when asked to.
  std::vector<std::string> over = {
      "export", file, "--run", "cluster", "--database.url", first.superuser_url()};
  const Outcome kept = first.Gannet(over);
  EXPECT_EQ(kept.exit_code, 2);
  EXPECT_THAT(kept.err, HasSubstr("--force"));
  over.push_back("--force");
  EXPECT_EQ(first.Gannet(over).exit_code, 0);
  E2eCluster second(kSettings);
  const std::vector<std::string> import = {"import", file, "--database.url",
                                           second.superuser_url()};
  const Outcome imported = second.Gannet(import);
  ASSERT_EQ(imported.exit_code, 0) << imported.err;
  const int64_t version = second.Number("SELECT weights_version FROM gannet.run");
  EXPECT_GE(version, 5);
  EXPECT_EQ(second.Number("SELECT count(*) FROM gannet.round_summary"), version);
  RunToItsEnd(second);
  EXPECT_FALSE(baseline.FinalWeights().empty());
  EXPECT_TRUE(second.FinalWeights() == baseline.FinalWeights());
  const std::vector<std::string> history =
      absl::StrSplit(base::FileContents(second.OutputPath("metrics.csv")), '\n', absl::SkipEmpty());
  EXPECT_THAT(history, SizeIs(1 + 150));

  // Once more, without a database.
  const Outcome alone = second.Gannet({"train-local", "--config", second.PathOf("class.yaml"),
                                       "--training.ema_decay", "0.9", "--resume", file, "--out",
                                       second.PathOf("alone"), "--run.rounds", "150"});
  ASSERT_EQ(alone.exit_code, 0) << alone.out << alone.err;
  EXPECT_TRUE(base::FileContents(second.PathOf("alone/weights.safetensors")) ==
              baseline.FinalWeights());

  const Outcome again = second.Gannet(import);
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_THAT(again.err, HasSubstr("gannet import --run NAME"));
  EXPECT_EQ(second
                .Gannet({"import", file, "--run", "tuesday", "--rounds", "500", "--database.url",
                         second.superuser_url()})
                .exit_code,
            0);
}

// The file is written in a pause, with a change that holds from the round after the open one.
TEST(ArchiveTest, AChangeThatDoesNotHoldYetAndCreditGoAlong) {
  E2eCluster first(kSettings);
  base::ChildProcess& coordinator = first.StartCoordinator();
  first.StartGateway();
  base::ChildProcess& ada = first.StartWorker("ada");
  ASSERT_TRUE(first.AwaitRounds(5));
  const std::string address =
      absl::StrCat("127.0.0.1:", E2eCluster::PortOf(coordinator, "admin_port"));
  for (const std::vector<std::string>& steer :
       {std::vector<std::string>{"pause"},
        {"set", "--reason", "a try", "training.learning_rate=1e-5"}}) {
    std::vector<std::string> arguments = steer;
    arguments.insert(arguments.begin() + 1, {"--address", address});
    const Outcome outcome = first.Gannet(arguments);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  }
  const std::string file = first.PathOf("run.safetensors");
  const Outcome exported =
      first.Gannet({"export", file, "--run", "cluster", "--database.url", first.superuser_url()});
  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  const int64_t version = first.Number("SELECT weights_version FROM gannet.run");
  // Of the rounds published: those of the open one are computed again.
  const int64_t credit = first.Number(absl::StrCat(
      "SELECT sum(image_count)::bigint FROM gannet.gradient WHERE round <= ", version));
  ASSERT_EQ(first.Number("SELECT from_round FROM gannet.run_change"), version + 2);

  E2eCluster second(kSettings);
  const Outcome imported =
      second.Gannet({"import", file, "--database.url", second.superuser_url()});
  ASSERT_EQ(imported.exit_code, 0) << imported.err;
  EXPECT_EQ(second.Number("SELECT from_round FROM gannet.run_change"), version + 2);
  EXPECT_GT(credit, 0);
  EXPECT_EQ(second.Number("SELECT sum(accepted_image_count)::bigint FROM gannet.worker"), credit);
  EXPECT_THAT(imported.out, HasSubstr("paused, as it was"));
  EXPECT_EQ(second.Text("SELECT state FROM gannet.run"), "paused");
  second.Execute("UPDATE gannet.run SET state = 'running'");
  second.Write("ada.json", base::FileContents(first.PathOf("ada.json")));
  RunToItsEnd(second);
  EXPECT_EQ(second.Number("SELECT count(*) FROM gannet.worker"), 1) << "ada is who she was";

  ASSERT_EQ(first.Gannet({"resume", "--address", address}).exit_code, 0);
  first.ExpectEnd({&coordinator, &ada});
  EXPECT_FALSE(first.FinalWeights().empty());
  EXPECT_TRUE(second.FinalWeights() == first.FinalWeights());
}

TEST(ArchiveTest, WhatCannotBeIsSaid) {
  E2eCluster cluster;
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--database.url", cluster.superuser_url()});
    const Outcome outcome = cluster.Gannet(arguments);
    EXPECT_NE(outcome.exit_code, 0);
    return outcome.err;
  };

  EXPECT_THAT(run({"export", cluster.PathOf("x"), "--run", "nobody"}), HasSubstr("nobody"));
  EXPECT_THAT(run({"import", cluster.PathOf("none")}), HasSubstr("none"));
  EXPECT_THAT(run({"import", cluster.Write("text", "no checkpoint at all")}),
              HasSubstr("gannet export"));
}

// With the rights of the coordinator's own role, and after its folder is gone.
TEST(ArchiveTest, TheBestWeightsAreInTheDatabase) {
  E2eCluster cluster({{"run.rounds", "8"}, {"coordinator.evaluate_every", "2"}});
  const std::string file = cluster.PathOf("best.safetensors");
  const std::vector<std::string> export_best = {
      "export", "--best", file, "--run", "cluster", "--database.url", cluster.superuser_url()};
  base::ChildProcess& coordinator = cluster.StartCoordinator();
  ASSERT_TRUE(coordinator.AwaitError("leading the run"));
  cluster.StartGateway();
  base::ChildProcess& worker = cluster.StartWorker("ada");
  cluster.ExpectEnd({&coordinator, &worker});
  std::filesystem::remove_all(cluster.OutputPath(""));

  const Outcome exported = cluster.Gannet(export_best);

  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  EXPECT_THAT(exported.out, HasSubstr("the best weights of run cluster, after "));
  EXPECT_THAT(exported.out,
              HasSubstr(absl::StrCat(
                  "after ", cluster.Number("SELECT version FROM gannet.best_weights"), " rounds")));
  const Outcome sample = cluster.Gannet(
      {"sample", "--weights", file, "--count", "4", "--out", cluster.PathOf("best.png")});
  EXPECT_EQ(sample.exit_code, 0) << sample.err;

  const Outcome missing = cluster.Gannet({"export", "--best", cluster.PathOf("none"), "--run",
                                          "tuesday", "--database.url", cluster.superuser_url()});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_THAT(missing.err, HasSubstr("no such run: tuesday"));
}

}  // namespace
}  // namespace gannet::e2e
