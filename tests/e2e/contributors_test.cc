// Who has contributed outlives the coordinator: in a file of the results, and in the database.
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/e2e/e2e_cluster.h"

namespace gannet::e2e {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

std::vector<std::string> Lines(const std::string& text) {
  return absl::StrSplit(text, '\n', absl::SkipEmpty());
}

TEST(ContributorsTest, TheListOutlivesTheCoordinator) {
  E2eCluster cluster(ProgramSettings{{"run.rounds", "6"}});
  base::ChildProcess& coordinator = cluster.StartCoordinator();
  cluster.StartGateway();
  base::ChildProcess& ada = cluster.StartWorker("=ada");
  base::ChildProcess& bob = cluster.StartWorker("bob");
  cluster.ExpectEnd({&coordinator, &ada, &bob});

  const std::string file = base::FileContents(cluster.OutputPath("contributors.csv"));
  EXPECT_THAT(Lines(file), SizeIs(3)) << file;
  EXPECT_THAT(file, AllOf(StartsWith("display_name,worker_id,accepted_unit_count,"),
                          HasSubstr("\n'=ada,"), HasSubstr("\nbob,")));

  // Nobody answers at the coordinator's address any more.
  const std::vector<std::string> database = {"--config", cluster.PathOf("class.yaml"),
                                             "--database.url", cluster.superuser_url()};
  const auto gannet = [&](std::vector<std::string> words) {
    words.insert(words.end(), database.begin(), database.end());
    return cluster.Gannet(words);
  };
  const Outcome workers = gannet({"workers", "--csv"});
  ASSERT_EQ(workers.exit_code, 0) << workers.err;
  EXPECT_THAT(Lines(workers.out), SizeIs(3));
  EXPECT_THAT(workers.out, AllOf(HasSubstr("'=ada,"), HasSubstr("bob,")));
  EXPECT_THAT(workers.err, HasSubstr("No coordinator answers"));
  EXPECT_THAT(workers.err, HasSubstr("run cluster"));
  const Outcome status = gannet({"status", "--json"});
  ASSERT_EQ(status.exit_code, 0) << status.err;
  EXPECT_THAT(status.out, AllOf(StartsWith("{"), HasSubstr("finished")));
  const Outcome rounds = gannet({"rounds", "--csv"});
  ASSERT_EQ(rounds.exit_code, 0) << rounds.err;
  EXPECT_THAT(Lines(rounds.out), SizeIs(7));
  const Outcome runs = gannet({"run", "list", "--csv"});
  ASSERT_EQ(runs.exit_code, 0) << runs.err;
  EXPECT_THAT(Lines(runs.out), SizeIs(2));
  EXPECT_THAT(runs.out, HasSubstr("\ncluster,finished,6,6,"));

  // By name, also where the settings are of another run.
  const Outcome named = gannet({"workers", "--run", "cluster", "--run.name", "tuesday"});
  EXPECT_EQ(named.exit_code, 0) << named.err;
  EXPECT_THAT(named.out, HasSubstr("bob"));
  EXPECT_THAT(named.err, IsEmpty());
  const Outcome unknown = gannet({"workers", "--run", "tuesday"});
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_THAT(unknown.err, AllOf(HasSubstr("no run tuesday, but these: cluster"),
                                 HasSubstr("gannet run list"), Not(HasSubstr("database.url"))));
  // Whoever names an address wants that one.
  const Outcome elsewhere = gannet({"workers", "--address", "127.0.0.1:1"});
  EXPECT_EQ(elsewhere.exit_code, 1);
  EXPECT_THAT(elsewhere.out, Not(HasSubstr("bob")));

  // Nobody is asked here, so nothing is deleted without --yes.
  EXPECT_EQ(gannet({"run", "delete", "tuesday", "--yes"}).exit_code, 1);
  const Outcome unconfirmed = gannet({"run", "delete", "cluster"});
  EXPECT_EQ(unconfirmed.exit_code, 2);
  EXPECT_THAT(unconfirmed.err, HasSubstr("nobody confirmed it"));
  const Outcome deleted = gannet({"run", "delete", "cluster", "--yes"});
  EXPECT_EQ(deleted.exit_code, 0) << deleted.err;
  EXPECT_THAT(gannet({"run", "list"}).out, HasSubstr("no run yet"));
}

TEST(ContributorsTest, ARunThatGoesOnIsNotDeleted) {
  E2eCluster cluster(ProgramSettings{{"run.rounds", "1000000"}});
  base::ChildProcess& coordinator = cluster.StartCoordinator();
  ASSERT_TRUE(coordinator.AwaitError("leading the run"));
  const auto erase = [&](std::vector<std::string> more) {
    std::vector<std::string> words = {"run",
                                      "delete",
                                      "cluster",
                                      "--yes",
                                      "--config",
                                      cluster.PathOf("class.yaml"),
                                      "--database.url",
                                      cluster.superuser_url()};
    words.insert(words.end(), more.begin(), more.end());
    return cluster.Gannet(words);
  };

  const Outcome running = erase({});
  EXPECT_EQ(running.exit_code, 1);
  EXPECT_THAT(running.err, HasSubstr("gannet stop"));
  const Outcome led = erase({"--force"});
  EXPECT_EQ(led.exit_code, 1);
  EXPECT_THAT(led.err, HasSubstr("a coordinator leads this run"));

  coordinator.Signal(SIGTERM);
  EXPECT_EQ(coordinator.AwaitExit(), 0);
  EXPECT_EQ(erase({"--force"}).exit_code, 0);
}

}  // namespace
}  // namespace gannet::e2e
