// A class in which things break, against one in which nothing does.

#include <thread>

#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/gan/gan.h"
#include "libs/store/testing/test_postgres.h"
#include "tests/cluster/test_cluster.h"

namespace gannet::cluster {
namespace {

const domain::ModelConfig kModel = {.image_size = 32, .latent_dim = 16, .base_width = 4};

std::string BaselineRun(const domain::RunConfig& config) {
  TestCluster cluster(config);
  cluster.StartGateway();
  cluster.StartCoordinator();
  cluster.AddWorker(WorkerPath::kGateway);
  cluster.AwaitFinished();
  return cluster.FinalWeightsSha();
}

TEST(FaultsTest, InjectedFaultsEndWithTheBitsOfABaselineRun) {
  gan::ConfigureCompute(1);
  const domain::RunConfig config = FacesRunConfig(kModel, 8, 4, 40);
  const std::string baseline = BaselineRun(config);

  TestCluster cluster(config);
  cluster.StartGateway();
  cluster.StartCoordinator();
  const int first = cluster.AddWorker(WorkerPath::kGateway);
  cluster.AddWorker(WorkerPath::kGateway);
  cluster.AwaitRounds(5);
  cluster.StopGateway();
  cluster.StartGateway();
  cluster.AwaitRounds(10);
  EXPECT_OK(cluster.StopWorker(first));
  cluster.AwaitRounds(15);
  cluster.StopCoordinator();
  cluster.AddWorker(WorkerPath::kDirect);
  cluster.StartCoordinator();
  cluster.AwaitRounds(20);
  store::TestPostgres::Get().Stop(store::TestPostgres::StopMode::kImmediate);
  store::TestPostgres::Get().Start();
  cluster.AwaitRounds(25);
  store::TestPostgres::Get().Stop(store::TestPostgres::StopMode::kFast);
  cluster.StopGateway();
  store::TestPostgres::Get().Start();
  cluster.StartGateway();
  cluster.AwaitFinished();

  EXPECT_EQ(cluster.FinalWeightsSha(), baseline);
}

// What a failover does to a standby that lacks the last commits, twice. Workers and coordinator are
// further than the database then, and one worker has joined that it does not know. What is lost is
// another training, at another learning rate: whoever took anything of it along would be seen.
TEST(FaultsTest, ADatabaseThatGoesBackCostsNothingButTime) {
  gan::ConfigureCompute(1);
  const domain::RunConfig config = FacesRunConfig(kModel, 16, 4, 60);
  const std::string baseline = BaselineRun(config);

  TestCluster cluster(config);
  const auto change_learning_rate = [&cluster] {
    ASSERT_OK_AND_ASSIGN(const exchange::RunStatus status,
                         cluster.store().GetRunStatus(cluster.run()));
    domain::RunConfig other = status.next_config;
    other.adam.learning_rate *= 3;
    ASSERT_OK(cluster.store().ChangeSettings(status.run, other, "to be forgotten"));
  };
  const auto set_state = [&cluster](base::RunId run, domain::RunState state) {
    while (!cluster.store().SetRunState(run, state, "").ok()) std::this_thread::yield();
  };
  // A run that ended meanwhile would have no coordinator afterwards.
  const auto while_paused = [&](auto act) {
    const base::RunId run = cluster.run();
    set_state(run, domain::RunState::kPaused);
    act();
    set_state(run, domain::RunState::kRunning);
  };
  cluster.StartGateway();
  cluster.StartCoordinator();
  cluster.AddWorker(WorkerPath::kGateway);
  cluster.AwaitRounds(3);
  while_paused([] { store::TestPostgres::Get().Save(); });
  change_learning_rate();
  cluster.AwaitRounds(6);
  cluster.AddWorker(WorkerPath::kGateway);
  cluster.AddWorker(WorkerPath::kDirect);
  cluster.AwaitRounds(12);
  while_paused([] { store::TestPostgres::Get().GoBack(); });
  cluster.AwaitRounds(15);
  while_paused([] { store::TestPostgres::Get().Save(); });
  change_learning_rate();
  cluster.AwaitRounds(20);
  const base::RunId run = cluster.run();
  store::TestPostgres::Get().GoBack();         // in full swing
  set_state(run, domain::RunState::kRunning);  // as saved, it is paused
  cluster.AwaitFinished();

  EXPECT_EQ(cluster.FinalWeightsSha(), baseline);
}

}  // namespace
}  // namespace gannet::cluster
