// Workers that leave, sleep and die. Whatever they do, the weights are those of a baseline run (but
// where a round need not wait for them).
#include <signal.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/clock.h"
#include "tests/e2e/e2e_cluster.h"

namespace gannet::e2e {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string BaselineWeights(const ProgramSettings& settings) {
  E2eCluster baseline(settings);
  base::ChildProcess& worker = baseline.StartDirectWorker("baseline");
  base::ChildProcess& coordinator = baseline.StartCoordinator();
  baseline.ExpectEnd({&worker, &coordinator});
  EXPECT_THAT(baseline.FinalWeights(), Not(IsEmpty()));
  return baseline.FinalWeights();
}

std::string IdOf(const E2eCluster& cluster, const std::string& worker) {
  return cluster.Text(
      absl::StrFormat("SELECT worker_id FROM gannet.worker WHERE display_name = '%s'", worker));
}

// A unit takes longer than kFreshClaim on any machine, so whoever has claimed one since then
// computes.
constexpr char kUnitImages[] = "1000";
constexpr char kFreshClaim[] = "200 ms";

struct Lease {
  int64_t unit = -1;
  int64_t attempt = -1;
};

// Stops a worker (it may be continued, or killed) in the middle of a unit.
Lease FreezeInMidUnit(const E2eCluster& cluster, base::ChildProcess& worker,
                      const std::string& name) {
  const std::string fresh = absl::StrFormat(
      "FROM gannet.work_unit WHERE state = 'leased' AND holder = '%s' AND micro_batches_done = 0 "
      "AND clock_timestamp() - progress_at < interval '%s'",
      IdOf(cluster, name), kFreshClaim);
  Lease lease;
  const bool frozen = base::AwaitUntil([&] {
    if (!worker.running()) return false;
    worker.Signal(SIGSTOP);
    lease.unit = cluster.Number(absl::StrCat("SELECT max(unit_id) ", fresh));
    if (lease.unit > 0) return true;
    worker.Signal(SIGCONT);
    return false;
  });
  EXPECT_TRUE(frozen) << name << " never claims a unit";
  lease.attempt = cluster.Number(
      absl::StrCat("SELECT attempt FROM gannet.work_unit WHERE unit_id = ", lease.unit));
  return lease;
}

bool AwaitTakenOver(const E2eCluster& cluster, const Lease& lease) {
  return base::AwaitUntil([&] {
    return cluster.Number(absl::StrCat("SELECT attempt FROM gannet.work_unit WHERE unit_id = ",
                                       lease.unit)) > lease.attempt;
  });
}

TEST(WorkerFaultsTest, CtrlCGivesTheUnitBackAtOnce) {
  // One unit that takes seconds, and a lease that nobody wants to wait for.
  E2eCluster cluster({{"run.rounds", "1"},
                      {"training.units_per_round", "1"},
                      {"training.images_per_unit", kUnitImages},
                      {"data.count", kUnitImages},
                      {"training.lease", "10m"}});
  cluster.StartGateway();
  base::ChildProcess& coordinator = cluster.StartCoordinator();
  base::ChildProcess& ada = cluster.StartWorker("ada");
  ASSERT_TRUE(base::AwaitUntil([&] {
    return cluster.Number("SELECT count(*) FROM gannet.work_unit WHERE state = 'leased'") == 1;
  }));

  base::RealClock clock;
  const absl::Duration start = clock.Steady();
  ada.Signal(SIGINT);
  EXPECT_EQ(ada.AwaitExit(), 0);
  EXPECT_LT(clock.Steady() - start, absl::Seconds(30)) << "it takes a micro-batch and a call";
  EXPECT_THAT(ada.err(), HasSubstr("the unit being computed is released"));
  EXPECT_THAT(ada.err(), HasSubstr("because=\"asked to stop\""));
  EXPECT_EQ(cluster.Text("SELECT concat_ws(' ', state, attempt, lease_until IS NULL) "
                         "FROM gannet.work_unit"),
            "ready 1 t");
  EXPECT_EQ(cluster.Text("SELECT has_left FROM gannet.worker"), "t");

  base::ChildProcess& bob = cluster.StartWorker("bob");
  cluster.ExpectEnd({&coordinator, &bob});
  EXPECT_EQ(cluster.Text("SELECT concat_ws(' ', attempt, w.display_name) FROM gannet.gradient g "
                         "JOIN gannet.worker w USING (worker_id)"),
            "2 bob");
  cluster.ExpectEveryGradientCountedOnce();
}

TEST(WorkerFaultsTest, AWorkerThatSleepsAndOneThatIsKilledCostNothingButTime) {
  const ProgramSettings settings = {
      {"run.rounds", "3"}, {"training.images_per_unit", kUnitImages}, {"data.count", kUnitImages}};
  const std::string baseline = BaselineWeights(settings);

  ProgramSettings short_lease = settings;
  short_lease["training.lease"] = "4s";
  E2eCluster cluster(short_lease);
  cluster.StartGateway();
  base::ChildProcess& coordinator = cluster.StartCoordinator();
  base::ChildProcess& ada = cluster.StartWorker("ada");
  ASSERT_TRUE(ada.AwaitError("joined"));

  // Ada's lid closes, and opens when somebody else has her unit. Whoever is to be frozen is the
  // only one awake then: the other might take every unit.
  const Lease slept_over = FreezeInMidUnit(cluster, ada, "ada");
  base::ChildProcess& bob = cluster.StartWorker("bob");
  EXPECT_TRUE(AwaitTakenOver(cluster, slept_over));
  const Lease orphaned = FreezeInMidUnit(cluster, bob, "bob");
  ada.Signal(SIGCONT);
  EXPECT_EQ(bob.Kill(), 128 + SIGKILL);
  EXPECT_TRUE(AwaitTakenOver(cluster, orphaned));

  cluster.ExpectEnd({&coordinator, &ada});
  EXPECT_THAT(coordinator.err(), HasSubstr("leases expired, their units are requeued"));
  cluster.ExpectEveryGradientCountedOnce();
  EXPECT_TRUE(cluster.FinalWeights() == baseline);
}

TEST(WorkerFaultsTest, AWorkerThatSleepsCostsSecondsThoughItsLeaseIsLong) {
  const ProgramSettings settings = {
      {"run.rounds", "3"}, {"training.images_per_unit", kUnitImages}, {"data.count", kUnitImages}};
  ProgramSettings with_speculation = settings;
  with_speculation["training.lease"] = "1h";
  with_speculation["training.speculation_multiplier"] = "1";
  E2eCluster cluster(with_speculation);
  cluster.StartGateway();
  base::ChildProcess& coordinator = cluster.StartCoordinator();
  base::ChildProcess& ada = cluster.StartWorker("ada");
  // What a unit usually takes is known after the first round.
  ASSERT_TRUE(cluster.AwaitRounds(1));

  // Alone: others might take every unit.
  const Lease asleep = FreezeInMidUnit(cluster, ada, "ada");
  base::ChildProcess& bob = cluster.StartWorker("bob");
  cluster.ExpectEnd({&coordinator, &bob});
  ada.Signal(SIGCONT);
  EXPECT_EQ(ada.AwaitExit(), 0);

  cluster.ExpectEveryGradientCountedOnce();
  EXPECT_EQ(cluster.Text(
                absl::StrCat("SELECT state FROM gannet.work_unit WHERE unit_id = ", asleep.unit)),
            "closed");
  EXPECT_GE(
      cluster.Number("SELECT count(*) FROM gannet.work_unit WHERE is_speculative AND consumed"), 1);
  EXPECT_TRUE(cluster.FinalWeights() == BaselineWeights(settings));
}

TEST(WorkerFaultsTest, WhereStaleWorkCountsAWorkerThatIsARoundLateIsNotInVain) {
  E2eCluster cluster({{"run.rounds", "4"},
                      {"training.units_per_round", "3"},
                      {"training.images_per_unit", kUnitImages},
                      {"data.count", kUnitImages},
                      {"training.quorum", "1"},
                      {"training.stale_weight", "0.5"},
                      {"training.lease", "1h"},
                      {"training.speculation_multiplier", "0"}});
  cluster.StartGateway();
  base::ChildProcess& coordinator = cluster.StartCoordinator();
  base::ChildProcess& ada = cluster.StartWorker("ada");
  ASSERT_TRUE(ada.AwaitError("joined"));
  FreezeInMidUnit(cluster, ada, "ada");
  const int64_t before = cluster.Number("SELECT weights_version FROM gannet.run");
  base::ChildProcess& bob = cluster.StartWorker("bob");
  ASSERT_TRUE(cluster.AwaitRounds(before + 1));
  FreezeInMidUnit(cluster, bob, "bob");
  ada.Signal(SIGCONT);
  EXPECT_TRUE(base::AwaitUntil([&] {
    return cluster.Number(
               "SELECT count(*) FROM gannet.gradient g JOIN gannet.work_unit u "
               "USING (unit_id) WHERE u.stale_rounds > 0") >= 1;
  }));
  bob.Signal(SIGCONT);
  cluster.ExpectEnd({&coordinator, &ada, &bob});

  EXPECT_GE(cluster.Number("SELECT count(*) FROM gannet.work_unit WHERE stale_rounds > 0 "
                           "AND consumed"),
            1);
  EXPECT_EQ(cluster.Number("SELECT sum(gradient_count) FROM gannet.round_summary"),
            cluster.Number("SELECT count(*) FROM gannet.work_unit WHERE consumed"));
}

TEST(WorkerFaultsTest, AFinishedGradientOutlivesItsWorker) {
  const ProgramSettings settings = {{"run.rounds", "7"}, {"training.images_per_unit", kUnitImages}};
  E2eCluster cluster(settings);
  const std::string state_file = cluster.PathOf("ada.json");
  base::ChildProcess& coordinator = cluster.StartCoordinator();
  base::ChildProcess& gateway = cluster.StartGateway();
  base::ChildProcess& ada = cluster.StartWorker("ada", {{"worker.state_file", state_file}});
  // The gateway falls silent while the second unit of a round is computed, which needs no other
  // weights, so that its gradient finds no answer. It may have fallen silent before it answered the
  // claim: then once more, in another round.
  const std::string kept = state_file + ".gradient";
  bool is_kept = false;
  for (int round = 1; round <= 6 && !is_kept; ++round) {
    ASSERT_TRUE(base::AwaitUntil([&] {
      return cluster.Number(absl::StrCat("SELECT count(*) FROM gannet.work_unit WHERE state = "
                                         "'leased' AND slot = 1 AND round >= ",
                                         round)) > 0;
    }));
    gateway.Signal(SIGSTOP);
    is_kept =
        base::AwaitUntil([&] { return !base::FileContents(kept).empty(); }, absl::Seconds(10));
    if (!is_kept) gateway.Signal(SIGCONT);
  }
  ASSERT_TRUE(is_kept);
  ada.Signal(SIGKILL);
  ada.AwaitExit();
  gateway.Signal(SIGCONT);

  base::ChildProcess& again = cluster.StartWorker("ada", {{"worker.state_file", state_file}});

  EXPECT_TRUE(again.AwaitError("a spooled gradient of an earlier start was submitted"));
  cluster.ExpectEnd({&coordinator, &again});
  cluster.ExpectEveryGradientCountedOnce();
  EXPECT_EQ(base::FileContents(kept), "");
  EXPECT_TRUE(cluster.FinalWeights() == BaselineWeights(settings));
}

}  // namespace
}  // namespace gannet::e2e
