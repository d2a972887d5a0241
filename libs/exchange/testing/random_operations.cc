#include "libs/exchange/testing/random_operations.h"

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "libs/base/hex.h"
#include "libs/base/sha256.h"
#include "libs/exchange/testing/test_values.h"

namespace gannet::exchange {
namespace {

constexpr int kWorkers = 5;
constexpr int kLeaders = 2;
constexpr size_t kMaxRuns = 6;
constexpr int kDumpEvery = 20;
constexpr size_t kLogLength = 30;
constexpr size_t kHistoryLength = 200;

// An operation on one side (0 or 1). Returns the answer as text that names no database id.
using Operation = std::function<std::string(BackendFixture&, int side)>;

struct KnownUnit {
  size_t run = 0;
  base::Round round;
  base::Slot slot;
  int image_count = 0;
  base::UnitId ids[2];
};

// A unit as somebody was given it.
struct Claimed {
  size_t unit = 0;
  base::Attempt attempt;
  int worker = 0;
  bool spent = false;  // submitted or released: what comes later is late or a repeat
};

struct KnownRun {
  domain::RunConfig config;
  base::RunId ids[2];
  int64_t incarnation[kWorkers] = {};  // joined last; 0 before
  bool ended = false;                  // as far as the generator has seen
  std::vector<Leadership> leaderships;
  std::vector<Claimed> claimed;
};

std::string Name(const absl::Status& status) { return absl::StatusCodeToString(status.code()); }

std::string Number(double value) { return absl::StrFormat("%.17g", value); }

std::string Text(const GradientStats& stats) {
  return absl::StrCat(stats.image_count, "/", stats.micro_batch_count, " ",
                      Number(stats.discriminator_loss), " ", Number(stats.generator_loss), " ",
                      Number(stats.real_accuracy), " ", Number(stats.fake_accuracy), " ",
                      Number(stats.compute_seconds));
}

std::string Text(const RoundSummary& round) {
  return absl::StrCat("round ", round.round.value(), " epoch ", round.epoch, " ",
                      round.gradient_count, " gradients ", round.image_count, " images ",
                      Number(round.discriminator_loss), " ", Number(round.generator_loss), " ",
                      Number(round.seconds));
}

std::string Text(const Payload& payload) {
  const bool intact = base::Sha256(*payload.bytes) == payload.sha256;
  return absl::StrCat("codec ", static_cast<int>(payload.codec), " ", payload.bytes->size(),
                      " bytes ", base::HexEncode(payload.sha256).substr(0, 16),
                      intact ? "" : " DAMAGED");
}

std::string Text(const RunStatus& status) {
  return absl::StrCat(
      status.config.name, " ", domain::RunStateName(status.state), " \"", status.state_reason,
      "\" version ", status.weights_version.value(), " last ",
      status.last_round.has_value() ? Text(*status.last_round) : "none",
      absl::StrCat(" workers ", status.worker_count, " images ", status.accepted_image_count,
                   " wasted ", status.wasted_image_count, " median ",
                   absl::FormatDuration(status.median_unit_time), " settings from ",
                   status.settings_round.value(), " changes ", status.settings_version >> 24,
                   " now ", domain::DescribeDifference(status.created_config, status.config),
                   " then ", domain::DescribeDifference(status.created_config, status.next_config),
                   status.best.has_value() ? absl::StrCat(" best ", status.best->version.value(),
                                                          " ", Number(status.best->distance))
                                           : ""));
}

std::string Text(const WorkUnit& unit) {
  return absl::StrCat("r", unit.round.value(), " s", unit.slot.value(), " attempt ",
                      unit.attempt.value(), " version ", unit.weights_version.value(), " images ",
                      absl::StrJoin(unit.image_indices, ","),
                      absl::StrCat(" micro ", unit.micro_batch, " seed ", unit.seed, " lease ",
                                   absl::FormatDuration(unit.lease)));
}

class Driver {
 public:
  Driver(BackendFixture& a, BackendFixture& b, uint64_t seed) : sides_{&a, &b}, random_(seed) {
    for (const float value : {1.0f, 2.0f, 3.0f}) {
      gradients_.push_back(TestGradient(TinyRunConfig(), value));
    }
    const bool decodes = a.DecodesGradients() || b.DecodesGradients();
    // Backends keep whatever bytes they are given; only a gateway looks into them.
    if (!decodes)
      gradients_.push_back(Payload::FromBytes(tensor::Codec::kFp32, "no tensors at all"));
  }

  // False after the first difference.
  bool Step(int number) {
    number_ = number;
    bool same = LiveRuns() == 0 ? CreateRun() : Choose();
    if (same && number % kDumpEvery == 0) same = CompareDumps();
    return same;
  }

  bool CompareDumps() {
    for (const KnownRun& run : runs_) {
      const std::string a = sides_[0]->DumpState(run.ids[0]);
      const std::string b = sides_[1]->DumpState(run.ids[1]);
      if (a != b) return Differ("stored state", a, b);
    }
    return true;
  }

  std::string Report() const {
    return absl::StrCat(difference_, "\nthe operations before it, with the answers they got:\n  ",
                        absl::StrJoin(log_, "\n  "));
  }

 private:
  // ---- Random choices

  uint64_t Below(uint64_t bound) { return random_() % bound; }
  bool Percent(uint64_t percent) { return Below(100) < percent; }
  template <typename T>
  const T& Any(const std::vector<T>& values) {
    return values[Below(values.size())];
  }
  // Mostly one that has not ended.
  size_t AnyRun() {
    size_t run = Below(runs_.size());
    while (runs_[run].ended && Percent(90)) run = Below(runs_.size());
    return run;
  }
  int AnyWorker() { return static_cast<int>(Below(kWorkers)); }
  int AnyJoinedWorker(const KnownRun& run) {
    int worker = AnyWorker();
    while (run.incarnation[worker] == 0 && Percent(90)) worker = AnyWorker();
    return worker;
  }
  double AnyNumber() { return static_cast<double>(Below(1000)) / 7.0; }

  size_t LiveRuns() {
    size_t live = 0;
    for (KnownRun& run : runs_) {
      const absl::StatusOr<RunStatus> status = sides_[0]->store().GetRunStatus(run.ids[0]);
      run.ended = status.ok() && domain::HasEnded(status->state);
      if (!run.ended) ++live;
    }
    return live;
  }

  // Mostly the identity that is current; sometimes an earlier incarnation, a stranger's secret or
  // rubbish.
  WorkerIdentity Identity(const KnownRun& run, int worker) {
    WorkerIdentity identity = TestWorker(worker + 1, std::max<int64_t>(run.incarnation[worker], 1));
    const uint64_t flaw = Below(80);
    if (flaw < 2) identity.incarnation = base::Incarnation(static_cast<int64_t>(Below(4)) + 1);
    if (flaw == 2) identity.secret = TestWorker(99).secret;
    if (flaw == 3) identity.id = base::WorkerId("not an id");
    if (flaw == 4) identity.incarnation = base::Incarnation(0);
    return identity;
  }

  // The place of a claim in run.claimed: mostly one whose unit is still to be submitted, else
  // mostly one of late.
  std::optional<size_t> AnyClaimed(const KnownRun& run) {
    const size_t count = run.claimed.size();
    if (count == 0) return std::nullopt;
    if (Percent(65)) {
      std::vector<size_t> fresh;
      for (size_t i = count - std::min<size_t>(count, 12); i < count; ++i) {
        if (!run.claimed[i].spent) fresh.push_back(i);
      }
      if (!fresh.empty()) return Any(fresh);
    }
    const size_t reach = Percent(80) ? std::min<size_t>(count, 6) : count;
    return count - 1 - Below(reach);
  }

  Leadership AnyLeadership(const KnownRun& run) {
    if (run.leaderships.empty() || Percent(2)) return {TestLeader(77), 1};
    return Percent(85) ? run.leaderships.back() : Any(run.leaderships);
  }

  // ---- Running one operation on both sides

  bool Run(const std::string& what, const Operation& operation) {
    std::string answers[2];
    for (int side = 0; side < 2; ++side) {
      found_[side].reset();
      answers[side] = operation(*sides_[side], side);
    }
    log_.push_back(absl::StrCat("#", number_, " ", what, ": ", answers[0]));
    if (log_.size() > kLogLength) log_.pop_front();
    if (answers[0] != answers[1]) return Differ(what, answers[0], answers[1]);
    LearnUnit();
    return true;
  }

  // As Run, and again at some later time.
  bool RunAndRemember(const std::string& what, const Operation& operation) {
    history_.emplace_back(what, operation);
    if (history_.size() > kHistoryLength) history_.pop_front();
    return Run(what, operation);
  }

  bool Differ(const std::string& what, const std::string& a, const std::string& b) {
    const std::vector<std::string> lines_a = absl::StrSplit(a, '\n');
    const std::vector<std::string> lines_b = absl::StrSplit(b, '\n');
    size_t line = 0;
    while (line < lines_a.size() && line < lines_b.size() && lines_a[line] == lines_b[line]) ++line;
    difference_ = absl::StrCat(
        "first difference after operation #", number_, ", in ", what,
        "\n  first backend:  ", line < lines_a.size() ? lines_a[line] : "(nothing more)",
        "\n  second backend: ", line < lines_b.size() ? lines_b[line] : "(nothing more)");
    return false;
  }

  // Remembers under which ids both sides know the unit that was just claimed.
  void LearnUnit() {
    if (!found_[0].has_value() || !found_[1].has_value()) return;
    const WorkUnit& unit = *found_[0];
    size_t run = 0;
    while (runs_[run].ids[0] != unit.run) ++run;
    const auto [place, is_new] = unit_places_.try_emplace({unit.run, unit.unit}, units_.size());
    if (is_new) {
      units_.push_back({run,
                        unit.round,
                        unit.slot,
                        static_cast<int>(unit.image_indices.size()),
                        {unit.unit, found_[1]->unit}});
      for (int side = 0; side < 2; ++side) {
        labels_[side][{found_[side]->run, found_[side]->unit}] =
            absl::StrCat("r", unit.round.value(), "s", unit.slot.value());
      }
    }
    runs_[run].claimed.push_back({place->second, unit.attempt, found_worker_});
  }

  std::string Label(int side, base::RunId run, base::UnitId unit) const {
    const auto found = labels_[side].find({run, unit});
    return found == labels_[side].end() ? "unknown" : found->second;
  }

  // ---- Operations

  bool Choose() {
    const uint64_t dice = Below(1000);
    if (dice < 70) return Join();
    if (dice < 310) return Claim();
    if (dice < 470) return Submit();
    if (dice < 550) return Heartbeat();
    if (dice < 575) return Release();
    if (dice < 605) return Fail();
    if (dice < 615) return Leave();
    if (dice < 640) return FetchWeights();
    if (dice < 675) return Look();
    if (dice < 680) return Describe();
    if (dice < 730) {
      return AcquireLeadership(runs_[AnyRun()], TestLeader(static_cast<int>(Below(kLeaders))));
    }
    if (dice < 735) return ResignLeadership();
    if (dice < 760) return Reject();
    if (dice < 815) return Publish();
    if (dice < 835) return Reap(runs_[AnyRun()]);
    if (dice < 845) return ReclaimOldBlobs();
    if (dice < 855) return SaveBest();
    if (dice < 875) return SetRunState();
    if (dice < 885) return ChangeSettings();
    if (dice < 888) return CreateRun();
    if (dice < 890) return RemoveOrRestoreWorker();
    if (dice < 896) return FailAgainAndAgain();
    if (dice < 950) return AdvanceTime();
    return Replay();
  }

  bool Replay() {
    if (history_.empty()) return true;
    const auto& [what, operation] = history_[Below(history_.size())];
    // Copied: running it must not depend on the history's own changes.
    const std::string again = absl::StrCat("again ", what);
    const Operation copy = operation;
    return Run(again, copy);
  }

  bool CreateRun() {
    if (runs_.size() >= kMaxRuns && LiveRuns() > 0) return Look();
    KnownRun run;
    const bool taken = !runs_.empty() && Percent(20);
    run.config = TinyRunConfig(absl::StrCat("run", taken ? 0 : runs_.size()));
    run.config.lease = absl::Milliseconds(static_cast<int64_t>(Below(4)) * 10'000 + 20'000);
    run.config.policy.speculation_multiplier = Percent(50) ? 0 : 1 + AnyNumber() / 50;
    NewRun request = TestNewRun(run.config);
    request.units.resize(1 + Below(3));
    const bool same = Run(absl::StrCat("CreateRun ", run.config.name),
                          [&run, request](BackendFixture& side, int index) {
                            const absl::StatusOr<base::RunId> id = side.store().CreateRun(request);
                            if (id.ok()) run.ids[index] = *id;
                            return Name(id.status());
                          });
    if (same && run.ids[0] != base::RunId()) runs_.push_back(std::move(run));
    return same;
  }

  bool Join() {
    KnownRun& run = runs_[AnyRun()];
    const int worker = AnyWorker();
    JoinRequest request = TestJoin(TestWorker(worker + 1), run.config);
    const bool restarts = run.incarnation[worker] == 0 || Percent(30);
    const int64_t incarnation =
        restarts ? static_cast<int64_t>(Below(4)) + 1 : run.incarnation[worker];
    request.worker.incarnation = base::Incarnation(incarnation);
    request.display_name = absl::StrCat("name ", Below(3));
    const uint64_t flaw = Below(40);
    if (flaw == 0) request.worker.secret = TestWorker(99).secret;
    if (flaw == 1) request.data.reset();
    if (flaw == 2) request.data->image_count += 1;
    if (flaw == 3) request.protocol_version = kMinProtocolVersion - 1;
    if (flaw == 4) request.run_name = "nobody's";
    if (flaw == 5) request.display_name = "bad\x01";
    if (flaw == 6) request.run_name = "";
    const bool registers = flaw > 6;
    if (registers) run.incarnation[worker] = incarnation;
    // Not remembered: a replay would change which incarnation is current behind the generator's
    // back, and most of what follows would be refused.
    return Run(absl::StrCat("Join run=\"", request.run_name, "\" worker ", worker, " incarnation ",
                            incarnation),
               [request](BackendFixture& side, int) {
                 const absl::StatusOr<JoinResult> result = side.exchange().Join(request);
                 if (!result.ok()) return Name(result.status());
                 return absl::StrCat(
                     "run ", result->config.name, " ",
                     domain::DescribeDifference(result->config, domain::RunConfig()), " ",
                     domain::RunStateName(result->state));
               });
  }

  bool Claim() {
    const KnownRun& run = runs_[AnyRun()];
    const int worker = AnyJoinedWorker(run);
    const WorkerIdentity identity = Identity(run, worker);
    // A small set of request ids: a claim under a used one is a repeat, or a claim of its own when
    // the unit is gone.
    std::string request_id = absl::StrFormat("%032x", Below(Percent(30) ? 8 : 1'000'000));
    if (Percent(1)) request_id = "nonsense";
    const base::RunId ids[2] = {run.ids[0], run.ids[1]};
    found_worker_ = worker;
    return RunAndRemember(
        absl::StrCat("Claim ", run.config.name, " worker ", worker, " request ", request_id),
        [this, identity, request_id, ids = std::vector<base::RunId>(ids, ids + 2), worker](
            BackendFixture& side, int index) {
          const absl::StatusOr<ClaimResult> result = side.exchange().Claim(
              {identity, ids[static_cast<size_t>(index)], request_id, absl::ZeroDuration()});
          if (!result.ok()) return Name(result.status());
          if (!result->unit.has_value()) {
            return absl::StrCat("none, ", domain::RunStateName(result->state));
          }
          found_worker_ = worker;
          found_[index] = result->unit;
          return absl::StrCat(Text(*result->unit), ", ", domain::RunStateName(result->state));
        });
  }

  // What Submit, Release and Fail are called with: a claim of late, mostly by its own holder.
  struct Target {
    size_t run = 0;
    size_t claimed = 0;
    std::vector<base::RunId> runs;
    std::vector<base::UnitId> units;
    WorkerIdentity worker;
    base::Attempt attempt;
    int image_count = 0;
    std::string text;
  };
  std::optional<Target> AnyTarget() {
    const size_t run_index = AnyRun();
    const KnownRun& run = runs_[run_index];
    const std::optional<size_t> place = AnyClaimed(run);
    if (!place.has_value()) return std::nullopt;
    const Claimed* claimed = &run.claimed[*place];
    const KnownUnit& unit = units_[claimed->unit];
    Target target;
    target.run = run_index;
    target.claimed = *place;
    target.runs = {run.ids[0], run.ids[1]};
    target.units = {unit.ids[0], unit.ids[1]};
    target.attempt = claimed->attempt;
    target.image_count = unit.image_count;
    const int worker = Percent(90) ? claimed->worker : AnyWorker();
    target.worker = Identity(run, worker);
    const uint64_t flaw = Below(50);
    if (flaw == 0) target.units.assign(2, base::UnitId(int64_t{1} << 60));
    if (flaw == 1) target.attempt = base::Attempt(target.attempt.value() + 1);
    if (flaw == 2) target.attempt = base::Attempt(target.attempt.value() - 1);
    if (flaw == 3) target.runs.assign(2, base::RunId(int64_t{1} << 60));
    if (flaw == 4) {
      const KnownRun& other = runs_[AnyRun()];
      target.runs = {other.ids[0], other.ids[1]};
    }
    target.text = absl::StrCat(run.config.name, " r", unit.round.value(), " s", unit.slot.value(),
                               " attempt ", target.attempt.value(), " worker ", worker,
                               flaw <= 4 ? absl::StrCat(" flaw ", flaw) : "");
    return target;
  }

  // Whatever the answer, the next target is rather another one.
  void MarkSpent(const Target& target) { runs_[target.run].claimed[target.claimed].spent = true; }

  bool Submit() {
    const std::optional<Target> target = AnyTarget();
    if (!target.has_value()) return Claim();
    MarkSpent(*target);
    SubmitRequest request;
    request.worker = target->worker;
    request.attempt = target->attempt;
    request.stats = TestStats(TinyRunConfig());
    request.stats.image_count = target->image_count;
    request.stats.discriminator_loss = AnyNumber();
    request.stats.compute_seconds = AnyNumber();
    // Mostly the same bytes for the same unit, so that repeats are met.
    request.payload = gradients_[Percent(80) ? 0 : Below(gradients_.size())];
    const uint64_t flaw = Below(60);
    if (flaw == 0) request.stats.image_count += 1;
    if (flaw == 1) request.stats.micro_batch_count += 1;
    if (flaw == 2) request.stats.micro_batch_count = -1;
    if (flaw == 3) request.payload.sha256 = base::Sha256("something else");
    if (flaw == 4) request.payload = Payload();
    if (flaw == 5) request.payload.codec = static_cast<tensor::Codec>(9);
    return RunAndRemember(
        absl::StrCat("Submit ", target->text, " sha ",
                     base::HexEncode(request.payload.sha256).substr(0, 4),
                     flaw <= 5 ? absl::StrCat(" malformed ", flaw) : ""),
        [request, runs = target->runs, units = target->units](BackendFixture& side, int index) {
          SubmitRequest own = request;
          own.run = runs[static_cast<size_t>(index)];
          own.unit = units[static_cast<size_t>(index)];
          const absl::StatusOr<domain::SubmitOutcome> outcome = side.exchange().Submit(own);
          if (!outcome.ok()) return Name(outcome.status());
          return absl::StrCat("outcome ", static_cast<int>(*outcome));
        });
  }

  bool Heartbeat() {
    const KnownRun& run = runs_[AnyRun()];
    int worker = AnyWorker();
    std::vector<UnitProgress> held[2];
    std::string text;
    for (uint64_t i = Below(4); i > 0; --i) {
      const std::optional<size_t> place = AnyClaimed(run);
      if (!place.has_value()) break;
      const Claimed* claimed = &run.claimed[*place];
      if (Percent(70)) worker = claimed->worker;
      const base::UnitId id = units_[claimed->unit].ids[0];
      const bool named = std::any_of(held[0].begin(), held[0].end(),
                                     [id](const UnitProgress& other) { return other.unit == id; });
      if (named && Percent(95)) continue;  // refused
      const int done = static_cast<int>(Below(4)) - (Percent(1) ? 4 : 0);
      for (int side = 0; side < 2; ++side) {
        held[side].push_back({units_[claimed->unit].ids[side], claimed->attempt, done});
      }
      absl::StrAppend(&text, " r", units_[claimed->unit].round.value(), "s",
                      units_[claimed->unit].slot.value(), ":", claimed->attempt.value(), ":", done);
    }
    const WorkerIdentity identity = Identity(run, worker);
    return RunAndRemember(absl::StrCat("Heartbeat ", run.config.name, " worker ", worker, text),
                          [this, identity, runs = std::vector<base::RunId>{run.ids[0], run.ids[1]},
                           all = std::vector<std::vector<UnitProgress>>{held[0], held[1]}](
                              BackendFixture& side, int index) {
                            const base::RunId run_id = runs[static_cast<size_t>(index)];
                            const absl::StatusOr<HeartbeatResult> result =
                                side.exchange().Heartbeat(identity, run_id,
                                                          all[static_cast<size_t>(index)]);
                            if (!result.ok()) return Name(result.status());
                            if (!std::is_sorted(result->dropped.begin(), result->dropped.end())) {
                              return std::string("the dropped units are not ascending");
                            }
                            std::vector<std::string> dropped;
                            for (const base::UnitId unit : result->dropped)
                              dropped.push_back(Label(index, run_id, unit));
                            std::sort(dropped.begin(), dropped.end());
                            return absl::StrCat("dropped ", absl::StrJoin(dropped, ","), ", ",
                                                domain::RunStateName(result->state));
                          });
  }

  bool Release() {
    const std::optional<Target> target = AnyTarget();
    if (!target.has_value()) return Claim();
    MarkSpent(*target);
    return RunAndRemember(
        absl::StrCat("Release ", target->text), [target](BackendFixture& side, int index) {
          return Name(
              side.exchange().Release(target->worker, target->runs[static_cast<size_t>(index)],
                                      target->units[static_cast<size_t>(index)], target->attempt));
        });
  }

  bool Fail() {
    const std::optional<Target> target = AnyTarget();
    if (!target.has_value()) return Claim();
    MarkSpent(*target);
    const std::string reason =
        Percent(3) ? std::string("two\nlines") : absl::StrCat("image ", Below(3));
    return RunAndRemember(
        absl::StrCat("Fail ", target->text), [target, reason](BackendFixture& side, int index) {
          return Name(side.exchange().Fail(target->worker, target->runs[static_cast<size_t>(index)],
                                           target->units[static_cast<size_t>(index)],
                                           target->attempt, reason));
        });
  }

  // Long enough that a unit fails permanently: chance alone hardly ever gets there.
  bool FailAgainAndAgain() {
    const KnownRun& run = runs_[AnyRun()];
    const int worker = AnyJoinedWorker(run);
    const WorkerIdentity identity = Identity(run, worker);
    for (int i = 0; i < domain::kMaxUnitFailures; ++i) {
      const std::string request_id = absl::StrFormat("%032x", random_());
      std::optional<WorkUnit> held[2];
      const bool same = Run(absl::StrCat("Claim ", run.config.name, " worker ", worker),
                            [&](BackendFixture& side, int index) {
                              const absl::StatusOr<ClaimResult> result = side.exchange().Claim(
                                  {identity, run.ids[index], request_id, absl::ZeroDuration()});
                              if (!result.ok()) return Name(result.status());
                              held[index] = result->unit;
                              return held[index].has_value() ? Text(*held[index]) : "none";
                            });
      if (!same || !held[0].has_value()) return same;
      const bool failed =
          Run(absl::StrCat("Fail ", run.config.name, " worker ", worker),
              [&](BackendFixture& side, int index) {
                return Name(side.exchange().Fail(identity, run.ids[index], held[index]->unit,
                                                 held[index]->attempt, absl::StrCat("image ", i)));
              });
      if (!failed) return false;
    }
    return true;
  }

  bool Describe() {
    const KnownRun& run = runs_[AnyRun()];
    const int worker = AnyWorker();
    const WorkerIdentity identity = Identity(run, worker);
    return Run(absl::StrCat("Describe ", run.config.name, " worker ", worker),
               [&run, identity](BackendFixture& side, int index) {
                 const absl::StatusOr<RunDescription> description =
                     side.exchange().Describe(identity, run.ids[index]);
                 if (!description.ok()) return Name(description.status());
                 const domain::RunConfig& config = description->config;
                 return absl::StrCat(domain::RunStateName(description->state), " ", config.name,
                                     " lease ", absl::FormatDuration(config.lease), " speculation ",
                                     config.policy.speculation_multiplier, " rate ",
                                     config.adam.learning_rate);
               });
  }

  bool Leave() {
    const KnownRun& run = runs_[AnyRun()];
    const int worker = AnyWorker();
    const WorkerIdentity identity = Identity(run, worker);
    return Run(absl::StrCat("Leave ", run.config.name, " worker ", worker),
               [&run, identity](BackendFixture& side, int index) {
                 return Name(side.exchange().Leave(identity, run.ids[index]));
               });
  }

  bool FetchWeights() {
    const KnownRun& run = runs_[AnyRun()];
    const WorkerIdentity identity = Identity(run, AnyWorker());
    const std::optional<RunStatus> status = ReadStatus(run);
    if (!status.has_value()) return false;
    const base::WeightsVersion version(status->weights_version.value() + 1 -
                                       static_cast<int64_t>(Below(14)));
    return Run(absl::StrCat("FetchWeights ", run.config.name, " version ", version.value()),
               [&run, identity, version](BackendFixture& side, int index) {
                 const absl::StatusOr<Payload> weights =
                     side.exchange().FetchWeights({identity, run.ids[index], version});
                 return weights.ok() ? Text(*weights) : Name(weights.status());
               });
  }

  // The run as both sides describe it; nothing when they differ.
  std::optional<RunStatus> ReadStatus(const KnownRun& run) {
    absl::StatusOr<RunStatus> status;
    const bool same = Run(absl::StrCat("GetRunStatus ", run.config.name),
                          [&run, &status](BackendFixture& side, int index) {
                            status = side.store().GetRunStatus(run.ids[index]);
                            return status.ok() ? Text(*status) : Name(status.status());
                          });
    if (!same || !status.ok()) return std::nullopt;
    return *std::move(status);
  }

  // A round's progress as both sides describe it; false when they differ.
  bool ReadProgress(const KnownRun& run, base::Round round, RoundProgress progress[2]) {
    return Run(
        absl::StrCat("GetRoundProgress ", run.config.name, " round ", round.value()),
        [&](BackendFixture& side, int index) {
          absl::StatusOr<RoundProgress> got = side.store().GetRoundProgress(run.ids[index], round);
          if (!got.ok()) return Name(got.status());
          progress[index] = *std::move(got);
          const RoundProgress& now = progress[index];
          std::string text = absl::StrCat("ready ", now.ready, " leased ", now.leased, " failed ",
                                          now.failed, " \"", now.failure_reason, "\"");
          absl::StrAppend(&text, " claimed ", now.most_attempts, " times: s",
                          now.most_attempts_slot.value());
          absl::StrAppend(&text, " stale ", now.stale_leased);
          for (const auto* gradients : {&now.gradients, &now.stale}) {
            for (const GradientInfo& info : *gradients) {
              absl::StrAppend(&text, "; s", info.slot.value(), " attempt ", info.attempt.value(),
                              " ", info.worker.value(), " ", Text(info.stats));
              absl::StrAppend(&text, " codec ", static_cast<int>(info.codec), " ",
                              base::HexEncode(info.sha256).substr(0, 8), " stale ",
                              info.stale_rounds);
            }
          }
          return text;
        });
  }

  static std::vector<GradientInfo> AllOf(const RoundProgress& progress) {
    std::vector<GradientInfo> all = progress.gradients;
    all.insert(all.end(), progress.stale.begin(), progress.stale.end());
    return all;
  }

  bool LookAtRounds(const KnownRun& run, const RunStatus& status) {
    const base::Round after(
        static_cast<int64_t>(Below(static_cast<uint64_t>(status.weights_version.value()) + 2)));
    const int limit = static_cast<int>(Below(4));
    return Run(
        absl::StrCat("ListRounds ", run.config.name, " after ", after.value(), " limit ", limit),
        [&run, after, limit](BackendFixture& side, int index) {
          const absl::StatusOr<std::vector<RoundSummary>> rounds =
              side.store().ListRounds(run.ids[index], after, limit);
          if (!rounds.ok()) return Name(rounds.status());
          std::string text;
          for (const RoundSummary& round : *rounds) {
            absl::StrAppend(&text, Text(round), "; ");
          }
          return text;
        });
  }

  bool LookAtWorkers(const KnownRun& run) {
    const base::WorkerId after = Percent(50) ? base::WorkerId() : TestWorker(AnyWorker() + 1).id;
    const int limit = static_cast<int>(Below(4));
    return Run(
        absl::StrCat("ListWorkers ", run.config.name, " after ", after.value(), " limit ", limit),
        [&run, after, limit](BackendFixture& side, int index) {
          const absl::StatusOr<std::vector<WorkerSummary>> workers =
              side.store().ListWorkers(run.ids[index], after, limit);
          if (!workers.ok()) return Name(workers.status());
          std::string text;
          for (const WorkerSummary& worker : *workers) {
            absl::StrAppend(&text, worker.worker.value(), " ", worker.display_name, " ",
                            worker.hardware, " ", worker.accepted_unit_count);
            absl::StrAppend(&text, " ", worker.accepted_image_count, " ",
                            worker.duplicate_unit_count, " ", worker.wasted_image_count, "; ");
          }
          return text;
        });
  }

  // Everything the store tells, one thing at a time.
  bool Look() {
    const KnownRun& run = runs_[AnyRun()];
    const std::optional<RunStatus> status = ReadStatus(run);
    if (!status.has_value()) return false;
    switch (Below(6)) {
      case 0:
        return Run(
            absl::StrCat("FindRun ", run.config.name), [&run](BackendFixture& side, int index) {
              const absl::StatusOr<RunStatus> found = side.store().FindRun(run.config.name);
              if (!found.ok()) return Name(found.status());
              return absl::StrCat(Text(*found), found->run == run.ids[index] ? "" : " OTHER");
            });
      case 1:
        return Run(absl::StrCat("LoadSnapshot ", run.config.name),
                   [&run](BackendFixture& side, int index) {
                     const absl::StatusOr<Store::Snapshot> snapshot =
                         side.store().LoadSnapshot(run.ids[index]);
                     if (!snapshot.ok()) return Name(snapshot.status());
                     return absl::StrCat("version ", snapshot->version.value(), " ",
                                         Text(snapshot->weights), " ", Text(snapshot->adam_state));
                   });
      case 2: {
        RoundProgress progress[2];
        const int64_t back = static_cast<int64_t>(Below(10));
        return ReadProgress(run, base::Round(status->weights_version.value() + 1 - back), progress);
      }
      case 3: {
        const std::optional<size_t> place = AnyClaimed(run);
        if (!place.has_value()) return true;
        const KnownUnit unit = units_[run.claimed[*place].unit];
        return Run(absl::StrCat("FetchGradient ", run.config.name, " r", unit.round.value(), " s",
                                unit.slot.value()),
                   [&run, unit](BackendFixture& side, int index) {
                     const absl::StatusOr<Payload> payload =
                         side.store().FetchGradient(run.ids[index], unit.ids[index]);
                     return payload.ok() ? Text(*payload) : Name(payload.status());
                   });
      }
      case 4:
        return LookAtRounds(run, *status);
      default:
        return LookAtWorkers(run);
    }
  }

  bool AcquireLeadership(KnownRun& run, const base::LeaderId& leader) {
    const absl::Duration ttl = absl::Seconds(static_cast<int64_t>(Below(300)));
    std::optional<Leadership> got;
    const bool same =
        Run(absl::StrCat("AcquireLeadership ", run.config.name, " leader ",
                         leader.value().substr(24), " ttl ", absl::FormatDuration(ttl)),
            [&run, &got, leader, ttl](BackendFixture& side, int index) {
              const absl::StatusOr<Leadership> leadership =
                  side.store().AcquireLeadership(run.ids[index], leader, ttl);
              if (!leadership.ok()) return Name(leadership.status());
              got = *leadership;
              return absl::StrCat("term ", leadership->term);
            });
    if (got.has_value()) run.leaderships.push_back(*got);
    return same;
  }

  bool ResignLeadership() {
    const KnownRun& run = runs_[AnyRun()];
    const Leadership leadership = AnyLeadership(run);
    return Run(absl::StrCat("ResignLeadership ", run.config.name, " term ", leadership.term),
               [&run, leadership](BackendFixture& side, int index) {
                 return Name(side.store().ResignLeadership(run.ids[index], leadership));
               });
  }

  bool Reject() {
    const KnownRun& run = runs_[AnyRun()];
    const std::optional<size_t> place = AnyClaimed(run);
    if (!place.has_value()) return true;
    KnownUnit unit = units_[run.claimed[*place].unit];
    const std::optional<RunStatus> status = ReadStatus(run);
    if (!status.has_value()) return false;
    RoundProgress progress[2];
    if (!ReadProgress(run, base::Round(status->weights_version.value() + 1), progress))
      return false;
    const std::vector<GradientInfo> kept[2] = {AllOf(progress[0]), AllOf(progress[1])};
    if (!kept[0].empty() && Percent(50)) {
      const size_t i = Below(kept[0].size());
      unit.slot = kept[0][i].slot;
      for (int side = 0; side < 2; ++side) unit.ids[side] = kept[side][i].unit;
    }
    const Leadership leadership = AnyLeadership(run);
    return Run(absl::StrCat("RejectGradient ", run.config.name, " r", unit.round.value(), " s",
                            unit.slot.value(), " term ", leadership.term),
               [&run, leadership, unit](BackendFixture& side, int index) {
                 return Name(side.store().RejectGradient(run.ids[index], leadership,
                                                         unit.ids[index], "a NaN"));
               });
  }

  bool RemoveOrRestoreWorker() {
    const KnownRun& run = runs_[AnyRun()];
    const base::WorkerId worker = TestWorker(AnyWorker() + 1).id;
    const bool removes = Percent(30);  // seldom enough that somebody is left
    return Run(absl::StrCat(removes ? "RemoveWorker " : "RestoreWorker ", run.config.name, " ",
                            worker.value()),
               [&run, worker, removes](BackendFixture& side, int index) {
                 return Name(removes ? side.store().RemoveWorker(run.ids[index], worker, "a test")
                                     : side.store().RestoreWorker(run.ids[index], worker));
               });
  }

  bool ChangeSettings() {
    const KnownRun& run = runs_[AnyRun()];
    const std::optional<RunStatus> status = ReadStatus(run);
    if (!status.has_value()) return false;
    domain::RunConfig config = status->next_config;
    switch (Below(6)) {
      case 0:
        config.adam.learning_rate = AnyNumber() / 200;  // sometimes out of range
        break;
      case 1:
        config.policy.speculation_multiplier = AnyNumber() / 50;  // sometimes out of range
        break;
      case 2:
        config.lease = absl::Seconds(static_cast<int64_t>(Below(100)));
        break;
      case 3:
        config.units_per_round = 1 + static_cast<int>(Below(5));
        break;
      case 4:
        config.seed += Below(2);  // cannot change, or changes nothing
        break;
      default:
        config.round_count = static_cast<int64_t>(Below(2000));
    }
    const std::string reason = absl::StrCat("because ", Below(3));
    return Run(absl::StrCat("ChangeSettings ", run.config.name, " ",
                            domain::DescribeDifference(status->next_config, config)),
               [&run, config, reason](BackendFixture& side, int index) {
                 const absl::StatusOr<base::Round> round =
                     side.store().ChangeSettings(run.ids[index], config, reason);
                 return round.ok() ? absl::StrCat("from ", round->value()) : Name(round.status());
               });
  }

  bool Publish() {
    KnownRun& run = runs_[AnyRun()];
    if (!run.leaderships.empty() && Percent(60)) {
      const base::LeaderId last = run.leaderships.back().leader;
      if (!AcquireLeadership(run, last)) return false;
    }
    const std::optional<RunStatus> status = ReadStatus(run);
    if (!status.has_value()) return false;
    base::WeightsVersion expected = status->weights_version;
    if (Percent(5)) expected = base::WeightsVersion(expected.value() + (Percent(50) ? 1 : -1));
    RoundProgress progress[2];
    if (!ReadProgress(run, base::Round(expected.value() + 1), progress)) return false;
    const Leadership leadership = AnyLeadership(run);
    const base::Round next(expected.value() + 2);
    if (Percent(70)) {
      if (!Prepare(run, leadership, next)) return false;
    }

    PublishRequest request = TestPublish(run.config, base::RunId(), leadership, expected);
    request.summary.epoch = static_cast<int64_t>(Below(5));
    request.summary.gradient_count = static_cast<int>(progress[0].gradients.size());
    request.summary.discriminator_loss = AnyNumber();
    request.summary.seconds = AnyNumber();
    request.next_units.resize(1 + Below(3));
    // Each side draws its own.
    std::array<int64_t, 2> settings{};
    Run(absl::StrCat("GetRunStatus ", run.config.name),
        [&run, &settings](BackendFixture& side, int index) {
          const absl::StatusOr<RunStatus> own = side.store().GetRunStatus(run.ids[index]);
          if (own.ok()) settings[static_cast<size_t>(index)] = own->settings_version;
          return Name(own.status());
        });
    if (Percent(8)) {
      for (int64_t& version : settings) ++version;
    }
    request.keep = Percent(15);
    request.finished = Percent(1);
    if (request.finished) request.next_units.clear();
    if (Percent(2)) request.next_units.clear();
    if (!request.finished && Percent(60)) {
      request.max_stale_rounds =
          static_cast<int>(Below(domain::kMaxStaleRounds + 2));  // or one too many
    }
    const std::vector<GradientInfo> kept[2] = {AllOf(progress[0]), AllOf(progress[1])};
    std::vector<base::UnitId> consumed[2];
    for (size_t i = 0; i < kept[0].size(); ++i) {
      if (Percent(5)) continue;
      for (int side = 0; side < 2; ++side) consumed[side].push_back(kept[side][i].unit);
    }
    const std::optional<size_t> stray = AnyClaimed(run);
    if (stray.has_value() && Percent(3)) {
      const KnownUnit& unit = units_[run.claimed[*stray].unit];
      for (int side = 0; side < 2; ++side) consumed[side].push_back(unit.ids[side]);
    }
    return RunAndRemember(
        absl::StrCat("Publish ", run.config.name, " version ", expected.value() + 1, " epoch ",
                     leadership.term, " consumed ", consumed[0].size(), " carries over ",
                     request.max_stale_rounds, request.finished ? " finished" : ""),
        [request, settings, runs = std::vector<base::RunId>{run.ids[0], run.ids[1]},
         all = std::vector<std::vector<base::UnitId>>{consumed[0], consumed[1]}](
            BackendFixture& side, int index) {
          PublishRequest own = request;
          own.run = runs[static_cast<size_t>(index)];
          own.settings_version = settings[static_cast<size_t>(index)];
          own.consumed = all[static_cast<size_t>(index)];
          return Name(side.store().Publish(own));
        });
  }

  bool Reap(const KnownRun& run) {
    const Leadership leadership = AnyLeadership(run);
    return Run(absl::StrCat("ReapExpiredLeases ", run.config.name, " term ", leadership.term),
               [&run, leadership](BackendFixture& side, int index) {
                 const absl::StatusOr<int> count =
                     side.store().ReapExpiredLeases(run.ids[index], leadership);
                 return count.ok() ? absl::StrCat(*count, " returned") : Name(count.status());
               });
  }

  bool Prepare(const KnownRun& run, const Leadership& leadership, base::Round round) {
    return Run(absl::StrCat("ReclaimOldBlobs ", run.config.name, " round ", round.value()),
               [&run, leadership, round](BackendFixture& side, int index) {
                 return Name(side.store().ReclaimOldBlobs(run.ids[index], leadership, round));
               });
  }

  bool ReclaimOldBlobs() {
    const KnownRun& run = runs_[AnyRun()];
    const std::optional<RunStatus> status = ReadStatus(run);
    if (!status.has_value()) return false;
    const base::Round round(status->weights_version.value() + static_cast<int64_t>(Below(5)) - 1);
    return Prepare(run, AnyLeadership(run), round);
  }

  bool SaveBest() {
    const KnownRun& run = runs_[AnyRun()];
    const std::optional<RunStatus> status = ReadStatus(run);
    if (!status.has_value()) return false;
    // Now and then one that is not published yet.
    const auto published = static_cast<uint64_t>(status->weights_version.value());
    const BestWeights best = {base::WeightsVersion(static_cast<int64_t>(Below(published + 2))),
                              static_cast<double>(Below(100)) / 100};
    const Payload weights = TestWeights(TinyRunConfig(), static_cast<float>(best.version.value()));
    const Leadership leadership = AnyLeadership(run);
    return Run(absl::StrCat("SaveBest ", run.config.name, " version ", best.version.value()),
               [&run, leadership, best, weights](BackendFixture& side, int index) {
                 return Name(side.store().SaveBest(run.ids[index], leadership, best, weights));
               });
  }

  bool SetRunState() {
    const KnownRun& run = runs_[AnyRun()];
    domain::RunState state = Percent(85) ? domain::RunState::kRunning : domain::RunState::kPaused;
    if (Percent(1)) state = domain::RunState::kStopped;
    if (Percent(2)) state = domain::RunState::kFinished;
    const std::string reason = absl::StrCat("because ", Below(5));
    return Run(absl::StrCat("SetRunState ", run.config.name, " ", domain::RunStateName(state)),
               [&run, state, reason](BackendFixture& side, int index) {
                 return Name(side.store().SetRunState(run.ids[index], state, reason));
               });
  }

  // A little, a lot, or to the end of somebody's lease or leadership: exactly, or a millisecond
  // off.
  bool AdvanceTime() {
    const KnownRun& run = runs_[AnyRun()];
    absl::Duration by = absl::Milliseconds(static_cast<int64_t>(Below(5'000)) + 1);
    if (Percent(60)) {
      const RunDump dump = sides_[0]->Dump(run.ids[0]);
      std::vector<absl::Duration> ends;
      for (const UnitDump& unit : dump.units) {
        if (unit.state == domain::UnitState::kLeased) ends.push_back(unit.lease_remaining);
      }
      if (!dump.leader.value().empty() && Percent(20)) ends.push_back(dump.leadership_remaining);
      if (!ends.empty()) {
        by = Any(ends) + absl::Milliseconds(static_cast<int64_t>(Below(3)) - 1);
      }
    }
    if (by <= absl::ZeroDuration()) by = absl::Milliseconds(1);
    const bool same = Run(absl::StrCat("AdvanceTime ", absl::FormatDuration(by)),
                          [by](BackendFixture& side, int) {
                            side.AdvanceTime(by);
                            return std::string("done");
                          });
    return same && (Percent(50) || Reap(run));
  }

  BackendFixture* sides_[2];
  std::mt19937_64 random_;
  int number_ = 0;
  std::vector<Payload> gradients_;

  std::vector<KnownRun> runs_;
  std::vector<KnownUnit> units_;
  std::map<std::pair<base::RunId, base::UnitId>, size_t> unit_places_;  // by the first side's ids
  std::map<std::pair<base::RunId, base::UnitId>, std::string> labels_[2];

  std::optional<WorkUnit> found_[2];  // claimed by the operation that just ran
  int found_worker_ = 0;

  std::deque<std::pair<std::string, Operation>> history_;
  std::deque<std::string> log_;
  std::string difference_;
};

}  // namespace

::testing::AssertionResult CompareRandomOperations(BackendFixture& a, BackendFixture& b,
                                                   uint64_t seed, int operations) {
  Driver driver(a, b, seed);
  for (int number = 1; number <= operations; ++number) {
    if (!driver.Step(number)) {
      return ::testing::AssertionFailure() << "seed " << seed << ": " << driver.Report();
    }
  }
  if (!driver.CompareDumps()) {
    return ::testing::AssertionFailure() << "seed " << seed << ": " << driver.Report();
  }
  return ::testing::AssertionSuccess()
         << "seed " << seed << ": no difference in " << operations << " operations";
}

}  // namespace gannet::exchange
