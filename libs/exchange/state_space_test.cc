// Every state that two workers, a slot or two and two leaders can bring about in a few steps, found
// by breadth-first search over the in-memory backend, which decides by libs/domain alone.
#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/fake_clock.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/memory_backend.h"
#include "libs/exchange/testing/memory_inspector.h"
#include "libs/exchange/testing/test_values.h"

namespace gannet::exchange {
namespace {

using ::testing::HasSubstr;

constexpr int kWorkers = 2;
constexpr int kLeaders = 2;

// What is explored; everything beyond is cut off.
struct Limits {
  int slots = 1;
  bool speculates = false;
  int failures_before = 0;  // of the first unit, so that failing permanently is near
  int max_attempt = 2;
  int max_rounds = 1;
  int max_stale_rounds = 0;  // of stale work
};

// A class in one state, reached by replaying a path of steps from the beginning.
class World {
 public:
  // Without the fence: a submission goes by the attempt the unit has now, not by the one the worker
  // was given.
  enum class Mutant { kNone, kNoFence };

  World(const Limits& limits, Mutant mutant) : limits_(limits), mutant_(mutant) {
    config_ = TinyRunConfig();
    config_.lease = absl::Seconds(60);
    config_.policy.speculation_multiplier = limits.speculates ? 1 : 0;
    config_.round_count = limits.max_rounds + 2;
    static const NewRun& fresh = *new NewRun(TestNewRun(TinyRunConfig()));
    NewRun run = fresh;
    run.config = config_;
    run.units.resize(static_cast<size_t>(limits.slots));
    run_ = *backend_.store().CreateRun(run);
    for (int worker = 0; worker < kWorkers; ++worker) Join(worker);
    if (limits.speculates) MakeTheMedianKnown();
    for (int i = 0; i < limits.failures_before; ++i) {
      Claim(i % kWorkers);  // whoever failed it waits until the others have, too
      Fail(i % kWorkers);
      Pass(5);  // the longest RequeueBackoff
    }
  }

  struct Step {
    const char* name;
    void (World::*act)(int);
    int who;
  };
  static const std::vector<Step>& Steps() {
    static const auto& steps = *new std::vector<Step>{{"claim", &World::Claim, 0},
                                                      {"claim", &World::Claim, 1},
                                                      {"submit", &World::Submit, 0},
                                                      {"submit", &World::Submit, 1},
                                                      {"submit old", &World::SubmitOld, 0},
                                                      {"release", &World::Release, 0},
                                                      {"fail", &World::Fail, 0},
                                                      {"fail", &World::Fail, 1},
                                                      {"beat", &World::Beat, 0},
                                                      {"restart", &World::Join, 0},
                                                      {"lease passes", &World::Pass, 60},
                                                      {"reap", &World::Reap, 0},
                                                      {"reject", &World::Reject, 0},
                                                      {"remove", &World::Remove, 0},
                                                      {"lead", &World::Lead, 0},
                                                      {"lead", &World::Lead, 1},
                                                      {"publish", &World::Publish, 0},
                                                      {"publish", &World::Publish, 1},
                                                      {"pause", &World::Pause, 0},
                                                      {"resume", &World::Resume, 0}};
    return steps;
  }

  void Take(const Step& step) { (this->*step.act)(step.who); }

  // What is wrong with this state; empty: nothing.
  std::string Broken() {
    const RunDump dump = *MemoryBackendInspector::Dump(backend_, run_);
    if (!broken_.empty()) return broken_;
    std::map<std::pair<base::Round, base::Slot>, int> gradients;
    std::map<std::pair<base::Round, base::Slot>, int> alive;
    std::map<base::WorkerId, int> held;
    int64_t kept = 0;
    for (const UnitDump& unit : dump.units) {
      const std::pair<base::Round, base::Slot> slot(unit.round, unit.slot);
      if (unit.gradient.has_value() != (unit.state == domain::UnitState::kDone)) {
        return "a unit is done exactly when it has a gradient";
      }
      if (unit.gradient.has_value()) {
        ++kept;
        ++gradients[slot];
        if (unit.gradient->attempt != unit.attempt || unit.gradient->worker != unit.holder) {
          return "a gradient is of the unit's last attempt and holder";
        }
      }
      const bool is_open =
          unit.state == domain::UnitState::kReady || unit.state == domain::UnitState::kLeased;
      if (unit.state == domain::UnitState::kDone || unit.state == domain::UnitState::kFailed ||
          (is_open && !unit.is_speculative)) {
        ++alive[slot];
      }
      if (unit.state == domain::UnitState::kLeased) {
        ++held[unit.holder];
        if (unit.holder.value().empty()) return "a leased unit has a holder";
      }
      const bool is_past = unit.round.value() <= dump.weights_version.value();
      if (is_past && (is_open || unit.state == domain::UnitState::kFailed)) {
        return "no unit of a published round is open";
      }
      if (unit.consumed && !unit.gradient.has_value()) return "what is folded has a gradient";
      if (unit.stale_rounds > 0 &&
          (unit.state == domain::UnitState::kReady || !unit.is_speculative)) {
        return "stale work is for nobody else";
      }
      if (unit.stale_rounds > limits_.max_stale_rounds) return "stale work is bounded";
      if (unit.state == domain::UnitState::kFailed && dump.state == domain::RunState::kRunning) {
        return "a failed unit pauses the run";
      }
    }
    for (const auto& [slot, count] : gradients) {
      if (count > 1) return "a slot has one gradient at most";
    }
    for (int slot = 0; slot < limits_.slots; ++slot) {
      const base::Round open(dump.weights_version.value() + 1);
      if (!domain::HasEnded(dump.state) && alive[{open, base::Slot(slot)}] != 1) {
        return "a slot of the open round is done, or has exactly one unit that is not a "
               "speculative copy";
      }
    }
    for (const auto& [worker, count] : held) {
      if (count > domain::kMaxLeasesPerWorker) return "nobody holds more than two units";
    }
    int64_t credited = 0;
    for (const WorkerDump& worker : dump.workers) credited += worker.accepted_unit_count;
    if (credited != kept) return "credit is the number of gradients kept";
    if (dump.rounds.size() != static_cast<size_t>(dump.weights_version.value())) {
      return "every version is one round";
    }
    return "";
  }

  // The state without what only grows: equal keys behave equally from here on.
  std::string Key() {
    const RunDump dump = *MemoryBackendInspector::Dump(backend_, run_);
    std::string key =
        absl::StrCat(domain::RunStateName(dump.state), " v", dump.weights_version.value(), " l",
                     dump.leader.value().empty() ? "-" : dump.leader.value(),
                     dump.leadership_remaining > absl::ZeroDuration());
    for (const UnitDump& unit : dump.units) {
      absl::StrAppend(&key, "\n", unit.round.value(), "/", unit.slot.value(), " ",
                      static_cast<int>(unit.state), " a", unit.attempt.value(), " ",
                      unit.holder.value(), " f", unit.failures,
                      unit.is_speculative ? " speculative copy" : "", unit.stale_rounds);
      if (unit.state == domain::UnitState::kLeased) {
        absl::StrAppend(&key, unit.lease_remaining > absl::ZeroDuration() ? " on time" : " late",
                        unit.since_claim > absl::ZeroDuration() ? " slow " : " ",
                        std::min<int64_t>(4, absl::ToInt64Seconds(unit.since_progress) / 60), "/",
                        unit.micro_batches_done);
      }
      if (unit.gradient.has_value()) absl::StrAppend(&key, " g", unit.gradient->worker.value());
    }
    for (int worker = 0; worker < kWorkers; ++worker) {
      absl::StrAppend(
          &key, "\nw",
          claimed_[worker].has_value()
              ? absl::StrCat(claimed_[worker]->unit.value(), ".", claimed_[worker]->attempt.value())
              : "-");
    }
    for (const std::optional<Leadership>& leadership : leaderships_) {
      absl::StrAppend(&key, " ", leadership.has_value() && leadership->term == dump.leader_term);
    }
    return key;
  }

  bool BeyondLimits() {
    const RunDump dump = *MemoryBackendInspector::Dump(backend_, run_);
    if (dump.weights_version.value() >= limits_.max_rounds + (limits_.speculates ? 1 : 0))
      return true;
    for (const UnitDump& unit : dump.units) {
      if (unit.attempt.value() > limits_.max_attempt + limits_.failures_before) return true;
      if (unit.failures > 2 + limits_.failures_before) return true;
    }
    // Speculative copies that came to nothing.
    const size_t by_late_work = limits_.max_stale_rounds > 0 ? 2 : 0;
    return dump.units.size() > 2 * static_cast<size_t>(limits_.slots) + 1 + by_late_work;
  }

 private:
  Exchange& exchange() { return backend_.exchange(); }
  WorkerIdentity Identity(int worker) const {
    return TestWorker(worker + 1, 1 + incarnations_[worker]);
  }

  void MakeTheMedianKnown() {
    Lead(0);
    for (int slot = 0; slot < limits_.slots; ++slot) {
      Claim(0);
      Pass(10);
      Submit(0);
    }
    Publish(0);
  }

  void Join(int worker) {
    incarnations_[worker] = (incarnations_[worker] + 1) % 2;
    EXPECT_OK(exchange().Join(TestJoin(Identity(worker), config_)));
  }
  void Claim(int worker) {
    const absl::StatusOr<ClaimResult> claim = exchange().Claim(
        {Identity(worker), run_, absl::StrFormat("%032x", ++requests_), absl::ZeroDuration()});
    if (!claim.ok() || !claim->unit.has_value()) return;
    claimed_[worker] = *claim->unit;
    last_claim_[claim->unit->unit] = {worker, claim->unit->attempt.value()};
  }
  void SubmitUnder(int worker, base::Attempt attempt) {
    if (!claimed_[worker].has_value()) return;
    WorkUnit unit = *claimed_[worker];
    unit.attempt = attempt;
    WorkerIdentity identity = Identity(worker);
    if (mutant_ == Mutant::kNoFence) {
      // As if the database did not ask who submits under which attempt.
      const RunDump dump = *MemoryBackendInspector::Dump(backend_, run_);
      for (const UnitDump& now : dump.units) {
        if (now.round != unit.round || now.slot != unit.slot || now.attempt < base::Attempt(1))
          continue;
        unit.attempt = now.attempt;
        for (int other = 0; other < kWorkers; ++other) {
          if (Identity(other).id == now.holder) identity = Identity(other);
        }
      }
    }
    static const Payload& gradient = *new Payload(TestGradient(TinyRunConfig(), 1.0f));
    SubmitRequest request;
    request.worker = identity;
    request.run = run_;
    request.unit = unit.unit;
    request.attempt = unit.attempt;
    request.stats = TestStats(config_);
    request.payload = gradient;
    const absl::StatusOr<domain::SubmitOutcome> outcome = exchange().Submit(request);
    const bool kept = outcome.ok() && (*outcome == domain::SubmitOutcome::kAccepted ||
                                       *outcome == domain::SubmitOutcome::kLate);
    // Whoever was given the unit last is the only one whose work may be kept.
    const auto last = last_claim_.find(unit.unit);
    if (kept && last != last_claim_.end() && last->second != std::pair(worker, attempt.value())) {
      broken_ = "only the last one who claimed a unit may fill it";
    }
  }
  void Submit(int worker) {
    if (claimed_[worker].has_value()) SubmitUnder(worker, claimed_[worker]->attempt);
  }
  void SubmitOld(int worker) {
    if (claimed_[worker].has_value() && claimed_[worker]->attempt > base::Attempt(1)) {
      SubmitUnder(worker, base::Attempt(claimed_[worker]->attempt.value() - 1));
    }
  }
  void Release(int worker) {
    if (!claimed_[worker].has_value()) return;
    EXPECT_OK(exchange().Release(Identity(worker), run_, claimed_[worker]->unit,
                                 claimed_[worker]->attempt));
  }
  void Fail(int worker) {
    if (!claimed_[worker].has_value()) return;
    EXPECT_OK(exchange().Fail(Identity(worker), run_, claimed_[worker]->unit,
                              claimed_[worker]->attempt, "no such image"));
  }
  void Beat(int worker) {
    if (!claimed_[worker].has_value()) return;
    EXPECT_OK(exchange().Heartbeat(Identity(worker), run_,
                                   {{claimed_[worker]->unit, claimed_[worker]->attempt, 1}}));
  }
  void Pass(int seconds) { clock_.Advance(absl::Seconds(seconds)); }
  void Lead(int leader) {
    const absl::StatusOr<Leadership> leadership =
        backend_.store().AcquireLeadership(run_, TestLeader(leader + 1), absl::Seconds(60));
    if (leadership.ok()) leaderships_[leader] = *leadership;
  }
  void Reap(int leader) {
    if (!leaderships_[leader].has_value()) return;
    backend_.store().ReapExpiredLeases(run_, *leaderships_[leader]).status().IgnoreError();
  }
  void Reject(int leader) {
    if (!leaderships_[leader].has_value()) return;
    const RunStatus status = *backend_.store().GetRunStatus(run_);
    const RoundProgress progress =
        *backend_.store().GetRoundProgress(run_, base::Round(status.weights_version.value() + 1));
    if (progress.gradients.empty()) return;
    backend_.store()
        .RejectGradient(run_, *leaderships_[leader], progress.gradients[0].unit, "a NaN")
        .IgnoreError();
    // Forgiven at once: how often somebody was rejected would only multiply the states.
    EXPECT_OK(backend_.store().RestoreWorker(run_, progress.gradients[0].worker));
  }
  // And takes it back: what became of its work is what counts.
  void Remove(int worker) {
    EXPECT_OK(backend_.store().RemoveWorker(run_, Identity(worker).id, "a test"));
    EXPECT_OK(backend_.store().RestoreWorker(run_, Identity(worker).id));
    EXPECT_OK(exchange().Heartbeat(Identity(worker), run_, {}));
  }
  // Whoever believes to lead publishes what is there; only the leader may.
  void Publish(int leader) {
    if (!leaderships_[leader].has_value()) return;
    const RunStatus before = *backend_.store().GetRunStatus(run_);
    const RunDump dump = *MemoryBackendInspector::Dump(backend_, run_);
    const RoundProgress progress =
        *backend_.store().GetRoundProgress(run_, base::Round(before.weights_version.value() + 1));
    static const PublishRequest& any = *new PublishRequest(
        TestPublish(TinyRunConfig(), base::RunId(1), {}, base::WeightsVersion(0)));
    PublishRequest request = any;
    request.run = run_;
    request.leadership = *leaderships_[leader];
    request.expected_version = before.weights_version;
    request.summary.round = base::Round(before.weights_version.value() + 1);
    request.next_units.resize(static_cast<size_t>(limits_.slots));
    std::vector<std::string> checksums;
    for (const auto* gradients : {&progress.gradients, &progress.stale}) {
      for (const GradientInfo& info : *gradients) {
        request.consumed.push_back(info.unit);
        checksums.push_back(info.sha256);
      }
    }
    request.max_stale_rounds = limits_.max_stale_rounds;
    request.consumed_sha256 = ConsumedSha256(checksums);
    const absl::Status published = backend_.store().Publish(request);
    const bool leads = dump.leader == TestLeader(leader + 1) &&
                       dump.leader_term == leaderships_[leader]->term &&
                       dump.leadership_remaining > absl::ZeroDuration();
    if (published.ok() && !leads) broken_ = "only the leader publishes";
  }
  void Pause(int) {
    backend_.store().SetRunState(run_, domain::RunState::kPaused, "").IgnoreError();
  }
  void Resume(int) {
    backend_.store().SetRunState(run_, domain::RunState::kRunning, "").IgnoreError();
  }

  const Limits limits_;
  const Mutant mutant_;
  domain::RunConfig config_;
  base::FakeClock clock_;
  MemoryBackend backend_{clock_};
  base::RunId run_;
  int64_t incarnations_[kWorkers] = {};
  int64_t requests_ = 0;
  std::optional<WorkUnit> claimed_[kWorkers];
  std::map<base::UnitId, std::pair<int, int32_t>> last_claim_;
  std::optional<Leadership> leaderships_[kLeaders];
  std::string broken_;
};

struct Exploration {
  size_t states = 0;
  std::string broken;  // with the shortest way there; empty: nothing is
};

Exploration Explore(const Limits& limits, World::Mutant mutant) {
  Exploration result;
  std::set<std::string> seen;
  std::deque<std::vector<size_t>> paths = {{}};
  while (!paths.empty()) {
    const std::vector<size_t> path = paths.front();
    paths.pop_front();
    for (size_t next = 0; next < World::Steps().size(); ++next) {
      World world(limits, mutant);
      for (const size_t step : path) world.Take(World::Steps()[step]);
      world.Take(World::Steps()[next]);
      std::vector<size_t> longer = path;
      longer.push_back(next);
      if (const std::string broken = world.Broken(); !broken.empty()) {
        result.broken = absl::StrCat(
            broken, "; broken by: ", absl::StrJoin(longer, ", ", [](std::string* out, size_t step) {
              absl::StrAppend(out, World::Steps()[step].name, " ", World::Steps()[step].who);
            }));
        return result;
      }
      if (!seen.insert(world.Key()).second || world.BeyondLimits()) continue;
      paths.push_back(std::move(longer));
    }
  }
  result.states = seen.size();
  return result;
}

void ExpectSound(const Limits& limits) {
  const Exploration found = Explore(limits, World::Mutant::kNone);
  EXPECT_EQ(found.broken, "");
  std::printf("%zu states\n", found.states);
  EXPECT_GT(found.states, 100u);
}

TEST(StateSpaceTest, OneSlot) { ExpectSound({.slots = 1}); }

TEST(StateSpaceTest, OneSlotWithSpeculation) {
#if defined(__SANITIZE_ADDRESS__)
  // Ten times slower: a part of it.
  ExpectSound({.slots = 1, .speculates = true, .max_attempt = 1});
#else
  ExpectSound({.slots = 1, .speculates = true});
#endif
}

TEST(StateSpaceTest, AUnitAboutToFailForGood) {
  ExpectSound({.slots = 1, .failures_before = domain::kMaxUnitFailures - 1, .max_attempt = 2});
}

TEST(StateSpaceTest, StaleWorkIsCarriedOver) {
  ExpectSound({.slots = 1, .max_attempt = 1, .max_rounds = 2, .max_stale_rounds = 1});
}

TEST(StateSpaceTest, WithoutTheFenceAZombieIsFound) {
  const Exploration found = Explore({.slots = 1}, World::Mutant::kNoFence);
  EXPECT_THAT(found.broken, HasSubstr("only the last one who claimed a unit may fill it"));
}

}  // namespace
}  // namespace gannet::exchange
