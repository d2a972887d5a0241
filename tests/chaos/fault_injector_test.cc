// With and without injected faults a run ends with the same weights: `./run chaos`.
#include "tests/chaos/fault_injector.h"

#include <algorithm>
#include <cstdlib>
#include <random>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gannet::chaos {
namespace {

using ::testing::IsEmpty;

// Gradients too large for one statement, so that every path of the accept is taken.
const e2e::ProgramSettings& Settings() {
  static const auto& settings =
      *new e2e::ProgramSettings{{"model.base_width", "28"}, {"training.units_per_round", "4"}};
  return settings;
}

template <typename Number>
Number FromEnvironment(const char* name, Number otherwise) {
  const char* text = std::getenv(name);
  Number number = otherwise;
  return text != nullptr && absl::SimpleAtoi(text, &number) ? number : otherwise;
}

std::string Digests(const e2e::E2eCluster& cluster, int64_t version) {
  return cluster.Text(absl::StrCat(
      "SELECT concat_ws(' ', 'weights', encode(w.sha256, 'hex'), 'moments', encode(a.sha256, "
      "'hex')) "
      "FROM gannet.weights w JOIN gannet.adam_state a USING (run_id, version) WHERE w.version = ",
      version));
}

constexpr int64_t kUnitsPerRound = 4;

// Of all minutes asked for: the rest is for faults without a claim on bits.
constexpr double kShareOfBits = 0.7;

absl::Duration FaultTime() {
  return absl::Minutes(FromEnvironment<int64_t>("GANNET_CHAOS_MINUTES", 5));
}

// A table that is not full by then never will be.
absl::Duration TimeLimit() { return std::max(3 * FaultTime(), absl::Minutes(15)); }

uint64_t FaultSeed() {
  const auto seed = FromEnvironment<uint64_t>("GANNET_CHAOS_SEED", std::random_device()());
  std::printf("seed %s (GANNET_CHAOS_SEED)\n", absl::StrCat(seed).c_str());
  return seed;
}

// Prints what was injected, and shows that the ledger adds up: what was kept and not taken
// back is there once and credited once, apart from duplicates.
void ExpectSoundLedger(FaultInjector& faults) {
  e2e::E2eCluster& cluster = faults.cluster();
  const int64_t version = cluster.Number("SELECT weights_version FROM gannet.run");
  const int64_t gradients = cluster.Number("SELECT count(*) FROM gannet.gradient");
  faults.table().Set("run", "rounds", static_cast<int>(version));
  faults.table().Set("run", "gradients", static_cast<int>(gradients));
  std::printf("%s", faults.table().ToString().c_str());
  EXPECT_THAT(faults.table().Missing(), IsEmpty());
  ASSERT_GT(version, 0);

  EXPECT_EQ(faults.LedgerRows(LedgerOutcome::kAccepted) + faults.LedgerRows(LedgerOutcome::kLate) -
                faults.LedgerRows(LedgerOutcome::kRejected),
            gradients);
  EXPECT_EQ(cluster.Number("SELECT sum(accepted_unit_count) FROM gannet.worker"), gradients);
  EXPECT_EQ(cluster.Number("SELECT sum(accepted_image_count) FROM gannet.worker"),
            cluster.Number("SELECT sum(image_count) FROM gannet.gradient"));
  // What was folded was kept under the last attempt of its unit, one a slot.
  const int64_t folded = cluster.Number("SELECT sum(gradient_count) FROM gannet.round_summary");
  EXPECT_EQ(cluster.Number("SELECT count(DISTINCT (u.round, u.slot)) FROM gannet.gradient g "
                           "JOIN gannet.work_unit u USING (unit_id) WHERE u.consumed "
                           "AND g.attempt = u.attempt AND g.worker_id = u.holder"),
            folded);
  EXPECT_EQ(cluster.Number("SELECT count(*) FROM gannet.work_unit WHERE consumed"), folded);
  // Nor does a slot count in its own round and, carried over, in another.
  EXPECT_EQ(
      cluster.Number("SELECT count(DISTINCT (round - stale_rounds, coalesce(claimed_slot, slot))) "
                     "FROM gannet.work_unit WHERE consumed"),
      folded);
  EXPECT_EQ(cluster.Number("SELECT count(*) FROM gannet.round_summary"), version);
  // A duplicate may have been submitted twice; it counts once.
  EXPECT_LE(cluster.Number("SELECT sum(duplicate_unit_count) FROM gannet.worker"),
            faults.LedgerRows(LedgerOutcome::kDuplicate));
}

TEST(FaultInjectionTest, EndsWithTheWeightsAndMomentsOfARunWithoutFaults) {
  FaultInjector faults(Settings(), FaultSeed(), absl::Milliseconds(2600));
  faults.RequireFailpointsAndKills();
  faults.RequireOutcomes({LedgerOutcome::kAccepted, LedgerOutcome::kLate,
                          LedgerOutcome::kAlreadyAccepted, LedgerOutcome::kSuperseded,
                          LedgerOutcome::kClosed, LedgerOutcome::kExpired, LedgerOutcome::kReleased,
                          LedgerOutcome::kFailed});
  faults.Run(kShareOfBits * FaultTime(), TimeLimit());
  ExpectSoundLedger(faults);
  faults.ExpectProgress(3);

  e2e::E2eCluster& cluster = faults.cluster();
  const int64_t version = cluster.Number("SELECT weights_version FROM gannet.run");
  ASSERT_GT(version, 0);
  EXPECT_EQ(
      cluster.Number(absl::StrCat("SELECT count(*) FROM gannet.gradient WHERE round <= ", version)),
      version * kUnitsPerRound);
  e2e::ProgramSettings settings = Settings();
  settings["run.rounds"] = absl::StrCat(version);
  e2e::E2eCluster baseline(settings);
  base::ChildProcess& worker = baseline.StartDirectWorker("baseline");
  base::ChildProcess& coordinator = baseline.StartCoordinator();
  EXPECT_EQ(worker.AwaitExit(absl::Minutes(30)), 0);
  EXPECT_EQ(coordinator.AwaitExit(), 0);
  const std::string expected = Digests(baseline, version);
  EXPECT_NE(expected, "");
  EXPECT_EQ(Digests(cluster, version), expected);
}

// Rounds that need not wait for all, with speculative copies for whoever sleeps and room for what
// comes a round late: no claim on bits, but the ledger adds up and nothing stalls.
TEST(FaultInjectionTest, WithAQuorumAndSparesTheLedgerAddsUpAndNothingStalls) {
  e2e::ProgramSettings settings = Settings();
  settings["model.base_width"] = "16";          // here the gradients fit into one statement
  settings["training.images_per_unit"] = "32";  // who is late shall be so in mid-unit
  settings["training.quorum"] = "2";
  settings["training.round_deadline"] = "20s";
  settings["training.stale_weight"] = "0.5";
  settings["training.speculation_multiplier"] = "1";
  settings["training.lease"] = "60s";
  FaultInjector faults(settings, FaultSeed(), absl::Seconds(7));
  faults.RequireOutcomes({LedgerOutcome::kAccepted, LedgerOutcome::kAlreadyAccepted,
                          LedgerOutcome::kSuperseded, LedgerOutcome::kDuplicate});
  faults.AlsoChangeDeadlines();
  faults.Run((1 - kShareOfBits) * FaultTime(), TimeLimit());
  ExpectSoundLedger(faults);
  EXPECT_GT(faults.cluster().Number(
                "SELECT count(*) FROM gannet.work_unit WHERE is_speculative AND stale_rounds = 0"),
            0);
  faults.ExpectProgress(10);
}

}  // namespace
}  // namespace gannet::chaos
