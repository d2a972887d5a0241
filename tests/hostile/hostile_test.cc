// An honest worker trains while strangers do what they can: `./run hostile`.
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/clock.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/domain/model_layout.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/health_probe.h"
#include "tests/e2e/e2e_cluster.h"
#include "tests/hostile/hostile_client.h"
#include "tests/hostile/invariants.h"

namespace gannet::hostile {
namespace {

constexpr int kStrangers = 4;
constexpr int64_t kCallsBetweenChecks = 1'000;
// Rounds of this class take a fraction of a second; a unit that a stranger holds comes back after
// its lease (2 s), or, with made-up progress, after three and its share of a second.
constexpr absl::Duration kLongestRound = absl::Minutes(1);
constexpr int64_t kMostResidentBytes = int64_t{1} << 30;
constexpr int64_t kMostGrowthBytes = int64_t{300} << 20;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  uint64_t number = otherwise;
  return text != nullptr && absl::SimpleAtoi(text, &number) ? number : otherwise;
}

int64_t ResidentBytes(const base::ChildProcess& program) {
  const std::vector<std::string> fields =
      absl::StrSplit(base::FileContents(absl::StrCat("/proc/", program.pid(), "/statm")), ' ');
  int64_t pages = 0;
  return fields.size() > 1 && absl::SimpleAtoi(fields[1], &pages) ? pages * sysconf(_SC_PAGESIZE)
                                                                  : 0;
}

// Strangers, each in a thread of its own.
class Strangers {
 public:
  Strangers(const HostileOptions& options) {
    for (int i = 0; i < kStrangers; ++i) {
      HostileOptions own = options;
      own.seed += static_cast<uint64_t>(i);
      clients_.push_back(std::make_unique<HostileClient>(own));
    }
    for (const auto& client : clients_) {
      threads_.emplace_back([this, raw = client.get()] {
        while (!stop_) {
          raw->Call();
          ++calls_;
        }
      });
    }
  }
  ~Strangers() { Stop(); }

  void Stop() {
    stop_ = true;
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }

  int64_t calls() const { return calls_; }

  // After Stop.
  std::map<std::string, int64_t> Answers() const {
    std::map<std::string, int64_t> all;
    for (const auto& client : clients_) {
      for (const auto& [answer, count] : client->answers()) all[answer] += count;
    }
    return all;
  }

 private:
  std::atomic<bool> stop_ = false;
  std::atomic<int64_t> calls_ = 0;
  std::vector<std::unique_ptr<HostileClient>> clients_;
  std::vector<std::thread> threads_;
};

TEST(HostileTest, AnHonestWorkerTrainsWhileStrangersDoWhatTheyCan) {
  const absl::Duration time =
      absl::Minutes(static_cast<int64_t>(FromEnvironment("GANNET_HOSTILE_MINUTES", 3)));
  const uint64_t seed = FromEnvironment("GANNET_HOSTILE_SEED", std::random_device()());
  // Off, it is a test of the protocol alone.
  const bool extreme = FromEnvironment("GANNET_HOSTILE_GRADIENTS", 1) != 0;
  std::printf("seed %s (GANNET_HOSTILE_SEED)\n", absl::StrCat(seed).c_str());

  // Every program is started before this one has threads.
  e2e::E2eCluster cluster({{"run.rounds", "10000000"},
                           {"training.lease", "2s"},
                           {"training.units_per_round", "3"},
                           {"coordinator.sample_every", "0"},
                           {"log.level", "warning"}});
  base::ChildProcess& gateway = cluster.StartGateway({{"log.level", "info"}});
  base::ChildProcess& coordinator = cluster.StartCoordinator({{"log.level", "info"}});
  base::ChildProcess& honest = cluster.StartWorker("ada", {{"log.level", "info"}});
  const int admin_port = e2e::E2eCluster::PortOf(coordinator, "admin_port");
  ASSERT_TRUE(cluster.AwaitRounds(3));
  const std::string honest_units =
      "SELECT accepted_unit_count FROM gannet.worker WHERE display_name = 'ada'";
  base::RealClock clock;
  const auto channel =
      rpc::MakeChannel({.target = cluster.gateway_address()}, rpc::ChannelUse::kControl);
  ASSERT_TRUE(channel.ok());

  Strangers strangers({.gateway = cluster.gateway_address(),
                       .run_name = "cluster",
                       .seed = seed,
                       .extreme_gradients = extreme});
  const absl::Duration start = clock.Steady();
  int64_t checked_calls = 0;
  int checks = 0;
  int pauses = 0;
  int64_t version = 0;
  int64_t units = cluster.Number(honest_units);
  absl::Duration version_since = start;
  absl::Duration units_since = start;
  int64_t gateway_bytes = 0;
  int64_t coordinator_bytes = 0;
  while (clock.Steady() - start < time && !::testing::Test::HasFailure()) {
    base::AwaitUntil([&] { return strangers.calls() - checked_calls >= kCallsBetweenChecks; },
                     absl::Seconds(20));
    checked_calls = strangers.calls();
    ++checks;
    EXPECT_THAT(BrokenInvariants([&](const std::string& sql) { return cluster.Number(sql); }),
                ::testing::IsEmpty());
    ASSERT_TRUE(gateway.running()) << gateway.err();
    ASSERT_TRUE(coordinator.running()) << coordinator.err();
    ASSERT_TRUE(honest.running()) << honest.err();

    // Five failures of a unit pause a run, for its instructor to look at; this one resumes it. The
    // strangers have more names than five, but none of them, nor two, can do so while others work.
    if (cluster.Text("SELECT state FROM gannet.run") == "paused") {
      ++pauses;
      EXPECT_EQ(cluster.Number("SELECT count(*) FROM gannet.work_unit WHERE state = 'failed' "
                               "AND cardinality(failed_by) < 3"),
                0);
      std::printf("paused: %s\n", cluster.Text("SELECT state_reason FROM gannet.run").c_str());
      const e2e::Outcome resumed =
          cluster.Gannet({"resume", "--address", absl::StrCat("127.0.0.1:", admin_port)});
      EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
    }
    const absl::Duration now = clock.Steady();
    if (const int64_t latest = cluster.Number("SELECT weights_version FROM gannet.run");
        latest > version) {
      version = latest;
      version_since = now;
    }
    EXPECT_LT(now - version_since, kLongestRound) << "no round since version " << version;
    if (const int64_t latest = cluster.Number(honest_units); latest > units) {
      units = latest;
      units_since = now;
    }
    EXPECT_LT(now - units_since, kLongestRound) << "nothing of the honest worker was kept";
    if (checks == 2) {
      gateway_bytes = ResidentBytes(gateway);
      coordinator_bytes = ResidentBytes(coordinator);
    }
    if (checks % 10 == 0) {
      std::printf("%s: %s calls, version %s, %s honest units, gateway %s MiB, coordinator %s MiB\n",
                  absl::FormatDuration(absl::Trunc(now - start, absl::Seconds(1))).c_str(),
                  absl::StrCat(checked_calls).c_str(), absl::StrCat(version).c_str(),
                  absl::StrCat(units).c_str(), absl::StrCat(ResidentBytes(gateway) >> 20).c_str(),
                  absl::StrCat(ResidentBytes(coordinator) >> 20).c_str());
      std::fflush(stdout);
    }
  }
  EXPECT_OK(rpc::ProbeHealth(*channel, "", absl::Seconds(30)).status());
  for (const auto& [program, before] :
       {std::pair{&gateway, gateway_bytes}, std::pair{&coordinator, coordinator_bytes}}) {
    const int64_t bytes = ResidentBytes(*program);
    EXPECT_LT(bytes, kMostResidentBytes);
    if (before > 0) {
      EXPECT_LT(bytes - before, kMostGrowthBytes);
    }
  }
  strangers.Stop();

  // With the strangers gone, everything is as it was.
  version = cluster.Number("SELECT weights_version FROM gannet.run");
  if (cluster.Text("SELECT state FROM gannet.run") == "running") {
    EXPECT_TRUE(cluster.AwaitRounds(version + 3));
  }
  EXPECT_THAT(BrokenInvariants([&](const std::string& sql) { return cluster.Number(sql); }),
              ::testing::IsEmpty());
  for (const auto& [answer, count] : strangers.Answers()) {
    std::printf("%8s  %s\n", absl::StrCat(count).c_str(), answer.c_str());
  }
  std::printf("%s calls, %d checks, %d pauses, version %s, %s honest units\n",
              absl::StrCat(strangers.calls()).c_str(), checks, pauses,
              absl::StrCat(version).c_str(), absl::StrCat(units).c_str());
  // It reached what it is for.
  const std::map<std::string, int64_t> answers = strangers.Answers();
  for (const char* answer :
       {"join: OK", "join: INVALID_ARGUMENT", "claim with a unit: OK", "heartbeat: OK",
        "submit: SUBMIT_OUTCOME_ACCEPTED", "submit: SUBMIT_OUTCOME_SUPERSEDED",
        "submit: INVALID_ARGUMENT", "submit: DATA_LOSS", "fetch: OK", "release: OK", "fail: OK"}) {
    EXPECT_TRUE(answers.contains(answer)) << answer;
  }
}

}  // namespace
}  // namespace gannet::hostile
