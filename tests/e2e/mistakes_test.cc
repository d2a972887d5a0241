// What people get wrong, and what the programs say to it.
#include <signal.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/clock.h"
#include "tests/e2e/e2e_cluster.h"

namespace gannet::e2e {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Ends promptly: only a hang takes as long as this, whatever else the machine does.
constexpr absl::Duration kPromptly = absl::Seconds(15);

// How long a program takes to end by itself after SIGTERM, with code 0.
absl::Duration TimeToEnd(base::ChildProcess& program) {
  base::RealClock clock;
  const absl::Duration start = clock.Steady();
  program.Signal(SIGTERM);
  EXPECT_EQ(program.AwaitExit(), 0) << program.err();
  return clock.Steady() - start;
}

TEST(MistakesTest, EveryServiceReportsAllMistakesOfAConfigurationAtOnce) {
  E2eCluster cluster;
  const std::string file = cluster.Write("class.yaml",
                                         "run:\n"
                                         "  rounds: many\n"
                                         "trainning:\n"
                                         "  lease: 5m\n"
                                         "gateway:\n"
                                         "  listen: nowhere\n"
                                         "  drain_limit: 10\n");
  std::vector<base::ChildProcess*> programs;
  for (const char* service : {"gannet-coordinator", "gannet-gateway", "gannet-worker"}) {
    programs.push_back(&cluster.Start(service, service, {{"run.seed", "x"}}));
  }
  for (base::ChildProcess* program : programs) {
    EXPECT_EQ(program->AwaitExit(), 2);
    EXPECT_THAT(program->err(),
                AllOf(HasSubstr(file + ":2: run.rounds must be an integer"),
                      HasSubstr(file + ":4: unknown key 'trainning.lease', did you mean "
                                       "'training.lease'?"),
                      HasSubstr(file + ":6: gateway.listen must be HOST:PORT"),
                      HasSubstr(file + ":7: gateway.drain_limit must be a duration"),
                      HasSubstr("flag --run.seed"), HasSubstr("Nothing was started.")));
  }
}

TEST(MistakesTest, APasswordInAUrlIsRefusedAndNotRepeated) {
  E2eCluster cluster;
  const std::string url = "postgres://ada:geheim@127.0.0.1:1/gannet";
  const std::vector<base::ChildProcess*> programs = {
      &cluster.Start("coordinator", "gannet-coordinator", {{"database.url", url}}),
      &cluster.Start("gateway", "gannet-gateway", {{"database.url", url}}),
      &cluster.Start("worker", "gannet-worker", {{"worker.exchange", url}})};
  for (base::ChildProcess* program : programs) {
    EXPECT_EQ(program->AwaitExit(), 2);
    EXPECT_THAT(program->err(),
                AllOf(HasSubstr("must not carry a password: put it into a file named by "
                                "database.password_file"),
                      Not(HasSubstr("geheim"))));
  }
}

TEST(MistakesTest, ADatabaseWithoutTheSchemaOrWithAnotherOneIsRefused) {
  E2eCluster none({}, E2eCluster::Schema::kNone);
  E2eCluster newer;
  newer.Execute(
      "INSERT INTO gannet.schema_migration (file_name, version, sha256) "
      "VALUES ('V9999__come_from_tomorrow.sql', 9999, 'x')");
  E2eCluster older;
  const int64_t version = older.Number("SELECT max(version) FROM gannet.schema_migration");
  older.Execute(absl::StrCat("DELETE FROM gannet.schema_migration WHERE version = ", version));
  const std::string to_none = "the database has no schema of Gannet yet: run `gannet migrate`";
  const std::string to_newer =
      absl::StrCat("the schema is newer than this binary: upgrade this binary: expected version ",
                   version, ", got 9999");
  const std::string to_older =
      absl::StrCat("the schema is older than this binary: run `gannet migrate`: expected version ",
                   version, ", got ", version - 1);
  const std::vector<std::pair<base::ChildProcess*, std::string>> programs = {
      {&none.StartGateway(), to_none},         {&none.StartCoordinator(), to_none},
      {&none.StartDirectWorker("a"), to_none}, {&newer.StartGateway(), to_newer},
      {&newer.StartCoordinator(), to_newer},   {&newer.StartDirectWorker("a"), to_newer},
      {&older.StartGateway(), to_older}};
  for (const auto& [program, message] : programs) {
    EXPECT_EQ(program->AwaitExit(), 1);
    EXPECT_THAT(program->err(), HasSubstr(message));
  }
}

TEST(MistakesTest, WhatCannotBeReachedIsNamedAndAwaitedUntilASignalComes) {
  E2eCluster cluster;
  const std::string nowhere = "postgres://ada@127.0.0.1:1/gannet";
  const std::string database = "PostgreSQL cannot be reached at ada@127.0.0.1:1/gannet";
  const std::vector<std::pair<base::ChildProcess*, std::string>> programs = {
      {&cluster.StartGateway({{"database.url", nowhere}}), database},
      {&cluster.StartCoordinator({{"database.url", nowhere}}), database},
      {&cluster.StartDirectWorker("direct", {{"worker.exchange", nowhere}}), database},
      {&cluster.StartWorker("remote", {{"worker.exchange", "127.0.0.1:1"}}),
       "peer=\"the gateway at 127.0.0.1:1\""}};
  for (const auto& [program, reason] : programs) {
    ASSERT_TRUE(program->AwaitError(" waited="));
    EXPECT_THAT(program->err(), AllOf(HasSubstr("waiting"), HasSubstr(reason)));
    EXPECT_LT(TimeToEnd(*program), kPromptly);
  }
}

TEST(MistakesTest, APasswordThatIsRefusedEndsAtOnce) {
  E2eCluster cluster;
  cluster.Write("wrong", "battery-horse");
  const ProgramSettings wrong = {{"database.password_file", cluster.PathOf("wrong")}};
  for (base::ChildProcess* program :
       {&cluster.StartGateway(wrong), &cluster.StartCoordinator(wrong),
        &cluster.StartDirectWorker("wrong", wrong)}) {
    EXPECT_EQ(program->AwaitExit(), 1);
    EXPECT_THAT(program->err(), AllOf(HasSubstr("password authentication failed for user"),
                                      HasSubstr("database.password_file")));
  }
}

TEST(MistakesTest, AFileThatIsMissingIsAMistakeOfTheSettings) {
  E2eCluster cluster;
  const ProgramSettings wrong = {{"database.password_file", cluster.PathOf("nothing")}};
  for (base::ChildProcess* program : {&cluster.Start("gateway", "gannet-gateway", wrong),
                                      &cluster.Start("coordinator", "gannet-coordinator", wrong),
                                      &cluster.Start("worker", "gannet-worker", wrong)}) {
    EXPECT_EQ(program->AwaitExit(), 2);
    EXPECT_THAT(program->err(), HasSubstr("cannot read the file of database.password_file"));
  }
}

TEST(MistakesTest, AWorkerThatDoesNotBelongIsToldWhy) {
  E2eCluster cluster(ProgramSettings{{"run.rounds", "100000"}});
  cluster.StartGateway();
  base::ChildProcess& coordinator = cluster.StartCoordinator();
  base::ChildProcess& ada = cluster.StartWorker("ada");
  ASSERT_TRUE(ada.AwaitError("joined"));
  const std::string id = cluster.Text("SELECT worker_id FROM gannet.worker");
  const auto state_file = [](const std::string& worker_id) {
    return absl::StrFormat(R"({"worker_id": "%s", "secret": "%s"})", worker_id,
                           std::string(64, 'a'));
  };
  cluster.Write("forged.json", state_file(id));
  cluster.Write("broken.json", "{\"worker_id\": ");
  // Of a run that is long gone.
  cluster.Write("stale.json", state_file(std::string(32, 'b')));

  base::ChildProcess& twin =
      cluster.StartWorker("twin", {{"worker.state_file", cluster.PathOf("ada.json")}});
  base::ChildProcess& stranger = cluster.StartWorker("stranger", {{"data.count", "65"}});
  const std::vector<std::pair<base::ChildProcess*, std::string>> refused = {
      {&twin,
       "another worker on this machine uses this identity; give this one another file with "
       "worker.state_file"},
      {&stranger, "the data sets differ (expected -> got): images 64 -> 65"},
      {&cluster.StartWorker("forged"),
       absl::StrCat("the worker is known with another secret: ", id, "; its identity is in ",
                    cluster.PathOf("forged.json"), ", move that away to start as a new worker")},
      {&cluster.StartWorker("broken"),
       absl::StrCat("the worker's state file is not one that gannet-worker wrote; move it away to "
                    "start as a new worker: ",
                    cluster.PathOf("broken.json"))}};
  base::ChildProcess& stale = cluster.StartWorker("stale");
  for (const auto& [program, reason] : refused) {
    EXPECT_EQ(program->AwaitExit(), 1);
    EXPECT_THAT(program->err(), HasSubstr(reason));
  }
  EXPECT_TRUE(stale.AwaitError("joined")) << "an identity nobody knows is a new worker's";
  EXPECT_TRUE(ada.running()) << "the real one is not disturbed";

  EXPECT_LT(TimeToEnd(coordinator), kPromptly);
  // With nobody to publish the round there soon is no work to be had.
  ASSERT_TRUE(base::AwaitUntil([&] {
    return cluster.Number(
               "SELECT count(*) FROM gannet.work_unit WHERE state IN ('ready', 'leased')") == 0;
  }));
  EXPECT_LT(TimeToEnd(ada), kPromptly) << "a stop does not wait for work";
  EXPECT_LT(TimeToEnd(stale), kPromptly);
}

}  // namespace
}  // namespace gannet::e2e
