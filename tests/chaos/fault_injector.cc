#include "tests/chaos/fault_injector.h"

#include <signal.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "libs/base/hex.h"
#include "libs/domain/round_plan.h"
#include "libs/telemetry/log.h"

namespace gannet::chaos {
namespace {

constexpr int kKilled = 128 + SIGKILL;
constexpr char kKills[] = "killed";
constexpr char kOutcomes[] = "outcome";
constexpr char kFaults[] = "fault";
constexpr char kRestarts[] = "database";
constexpr char kServerAway[] = "database server away";
constexpr char kRolledBack[] = "database rolled back";
constexpr char kLostByCrash[] = "lost by a crash of the database";
constexpr char kLostByRollback[] = "lost by a database that was rolled back";
constexpr char kClaims[] = "claims";
constexpr char kGradients[] = "gradients";
constexpr char kRounds[] = "rounds";
constexpr char kStale[] = "folded in a later round";

// Of the class, unless the settings say otherwise.
constexpr char kLease[] = "2s";
constexpr char kLeaderTime[] = "2s";

// Keeps what the ledger prunes.
constexpr char kBookkeeping[] = R"sql(
CREATE TABLE gannet.chaos_ledger (LIKE gannet.ledger);
CREATE FUNCTION gannet.chaos_note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
  AS 'BEGIN INSERT INTO gannet.chaos_ledger SELECT new.*; RETURN NULL; END';
CREATE TRIGGER chaos AFTER INSERT ON gannet.ledger
  FOR EACH ROW EXECUTE FUNCTION gannet.chaos_note();
)sql";

const std::vector<std::pair<LedgerOutcome, const char*>>& OutcomeNames() {
  static const auto& names = *new std::vector<std::pair<LedgerOutcome, const char*>>{
      {LedgerOutcome::kAccepted, "accepted"},
      {LedgerOutcome::kLate, "late"},
      {LedgerOutcome::kAlreadyAccepted, "already accepted"},
      {LedgerOutcome::kSuperseded, "superseded"},
      {LedgerOutcome::kClosed, "closed"},
      {LedgerOutcome::kDuplicate, "duplicate"},
      {LedgerOutcome::kExpired, "expired"},
      {LedgerOutcome::kReleased, "released"},
      {LedgerOutcome::kFailed, "failed"},
      {LedgerOutcome::kRejected, "rejected"}};
  return names;
}

e2e::ProgramSettings WithRoomForFaults(e2e::ProgramSettings settings) {
  // Enough for whatever is injected.
  settings.insert({"run.rounds", "1000000"});
  settings.insert({"training.lease", kLease});
  settings.insert({"coordinator.leadership_ttl", kLeaderTime});
  settings.insert({"coordinator.sample_every", "0"});
  return settings;
}

std::string SectionOf(const std::string& kind) { return "failpoint of the " + kind; }

// Before and after every statement of claim, accept and publish, and what the worker does around.
const std::map<std::string, std::vector<std::string>>& Failpoints() {
  static const auto& places = *new std::map<std::string, std::vector<std::string>>{
      {"gateway",
       {"claim", "check_submission", "stage_gradient", "submit_gradient",
        "submit_gradient.commit"}},
      {"coordinator",
       {"acquire_leadership", "round_progress", "gradient_record", "reclaim_old_blobs",
        "publish_round", "copy_in", "publish.commit"}},
      {"worker", {"claimed", "spool_write", "spool_remove"}}};
  return places;
}

}  // namespace

FaultInjector::FaultInjector(const e2e::ProgramSettings& settings, uint64_t seed,
                             absl::Duration freeze_duration)
    : freeze_duration_(freeze_duration),
      random_(seed),
      cluster_(WithRoomForFaults(settings)),
      database_port_(static_cast<int>(cluster_.Number("SELECT current_setting('port')::bigint"))),
      database_link_(database_port_) {
  for (const auto& [kind, places] : Failpoints()) {
    for (const std::string& place : places) {
      // A claimed unit has no "before".
      if (place != "claimed") table_.Set(SectionOf(kind), place + ".before", 0);
      table_.Set(SectionOf(kind), place + ".after", 0);
    }
  }
  cluster_.Execute(kBookkeeping);
  store::PgBackendOptions options;
  options.url = cluster_.superuser_url();
  auto hostile = store::PgBackend::Create(options, telemetry::NullLogger(), metrics_);
  EXPECT_TRUE(hostile.ok()) << hostile.status();
  hostile_ = *std::move(hostile);
  rogue_ = {base::WorkerId(base::RandomHex(16)), base::RandomHex(32), base::Incarnation(1)};

  roles_.push_back({"gateway", "gateway", [this] {
                      return &cluster_.StartGateway({{"database.url", HostList("gateway")}});
                    }});
  Launch(roles_.back(), true);
  int gateway_port = 0;
  EXPECT_TRUE(absl::SimpleAtoi(
      std::vector<std::string>(absl::StrSplit(cluster_.gateway_address(), ':')).at(1),
      &gateway_port));
  network_ = std::make_unique<base::TcpProxy>(gateway_port);
  const std::string by_bad_network = absl::StrCat("127.0.0.1:", network_->port());
  for (const char* name : {"coordinator", "standby"}) {
    roles_.push_back(
        {"coordinator", name, [this] {
           return &cluster_.StartCoordinator({{"database.url", HostList("coordinator")}});
         }});
  }
  for (const std::string name : {"ada", "bob"}) {
    roles_.push_back({"worker", name, [this, name, by_bad_network] {
                        return &cluster_.StartWorker(name, {{"worker.exchange", by_bad_network}});
                      }});
  }
  roles_.push_back(
      {"worker", "cy", [this] {
         return &cluster_.StartDirectWorker("cy", {{"worker.exchange", HostList("worker")}});
       }});
  for (Role& role : roles_) {
    if (role.process == nullptr) Launch(role, true);
  }
}

FaultInjector::~FaultInjector() = default;

void FaultInjector::RequireFailpointsAndKills() {
  for (const auto& [kind, places] : Failpoints()) {
    table_.Require(kKills, kind, 10);
    for (const std::string& place : places) {
      if (place != "claimed") table_.Require(SectionOf(kind), place + ".before", 3);
      table_.Require(SectionOf(kind), place + ".after", 3);
    }
  }
  table_.Require(kKills, "postmaster", 10);
  table_.Require(kRestarts, "crash", 3);
  for (const Fault& fault : faults_) table_.Require(kFaults, fault.name, 1);
  table_.Require(kFaults, kServerAway, 3);
  table_.Require(kFaults, kRolledBack, 3);
  // Claims do not wait for the disk; whatever else is lost by a crash fails the test at once.
  table_.Require(kLostByCrash, kClaims, 1);
  for (const char* what : {kClaims, kGradients, kRounds}) table_.Require(kLostByRollback, what, 1);
}

void FaultInjector::RequireOutcomes(const std::vector<LedgerOutcome>& outcomes) {
  for (const auto& [outcome, name] : OutcomeNames()) {
    if (absl::c_linear_search(outcomes, outcome)) table_.Require(kOutcomes, name, 1);
  }
}

void FaultInjector::AlsoChangeDeadlines() {
  faults_.push_back({"deadline changed", 2, &FaultInjector::ChangeDeadline, {}});
}

std::string FaultInjector::HostList(const std::string& service) const {
  return absl::StrReplaceAll(cluster_.UrlOf(service),
                             {{"host=127.0.0.1", "host=127.0.0.1,127.0.0.1"},
                              {absl::StrCat("port=", database_port_),
                               absl::StrCat("port=", database_link_.port(), ",", database_port_)}});
}

std::string FaultInjector::FailpointFile(const std::string& kind) const {
  return cluster_.PathOf("failpoints-" + kind);
}

void FaultInjector::Launch(Role& role, bool with_failpoint) {
  std::string armed;
  // The first gateway tells its port: it shall live to do so.
  if (with_failpoint && (role.process != nullptr || role.kind != "gateway")) {
    armed =
        absl::StrCat("GANNET_FAILPOINTS=", FailpointFile(role.kind), ":",
                     table_.LeastCovered(SectionOf(role.kind), random_), ":", 1 + random_() % 2);
  }
  cluster_.set_environment(armed);
  role.process = role.start();
  role.frozen_until.reset();
}

void FaultInjector::Tend() {
  const absl::Duration now = clock_.Steady();
  for (Role& role : roles_) {
    if (role.process->running()) {
      if (role.frozen_until.has_value() && now >= *role.frozen_until) {
        role.process->Signal(SIGCONT);
        role.frozen_until.reset();
      }
      continue;
    }
    const int code = role.process->AwaitExit();
    EXPECT_EQ(code, kKilled) << role.name << " has ended by itself:\n" << role.process->err();
    table_.Add(kKills, role.kind);
    CountFailpoints();
    Launch(role, true);
  }
  if (slow_until_.has_value() && now >= *slow_until_) {
    network_->Delay(absl::ZeroDuration());
    slow_until_.reset();
  }
  if (refusing_until_.has_value() && now >= *refusing_until_) {
    database_link_.Refuse(false);
    refusing_until_.reset();
  }
}

void FaultInjector::TendFor(absl::Duration max, const std::function<bool()>& enough) {
  for (const absl::Duration end = clock_.Steady() + max; clock_.Steady() < end && !enough();) {
    Tend();
    // Not a busy loop: the programs need the cores.
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void FaultInjector::CountFailpoints() {
  for (const std::string kind : {"gateway", "coordinator", "worker"}) {
    std::map<std::string, int> hits;
    const std::string killed = base::FileContents(FailpointFile(kind));
    for (const auto name : absl::StrSplit(killed, '\n', absl::SkipEmpty())) {
      ++hits[std::string(name)];
    }
    for (const auto& [name, count] : hits) table_.Set(SectionOf(kind), name, count);
  }
}

int64_t FaultInjector::LedgerRows(LedgerOutcome outcome) const {
  return cluster_.Number(absl::StrCat("SELECT count(*) FROM gannet.chaos_ledger WHERE outcome = ",
                                      static_cast<int>(outcome)));
}

void FaultInjector::CountOutcomes() {
  for (const auto& [outcome, name] : OutcomeNames()) {
    const int64_t count = LedgerRows(outcome);
    if (count >= 0) table_.Set(kOutcomes, name, static_cast<int>(count));
  }
  const int64_t stale =
      cluster_.Number("SELECT count(*) FROM gannet.work_unit WHERE consumed AND stale_rounds > 0");
  if (stale >= 0) table_.Set(kOutcomes, kStale, static_cast<int>(stale));
}

std::vector<FaultInjector::Fault> FaultInjector::Faults() {
  return {
      {"SIGKILL",
       6,
       &FaultInjector::KillOne,
       {{kKills, "gateway"}, {kKills, "coordinator"}, {kKills, "worker"}}},
      {"worker frozen",
       2,
       &FaultInjector::FreezeWorker,
       {{kOutcomes, "late"}, {kOutcomes, "expired"}}},
      {"coordinator frozen", 2, &FaultInjector::FreezeCoordinator, {}},
      {"gateway frozen", 1, &FaultInjector::FreezeGateway, {}},
      {"network cut", 2, &FaultInjector::CutNetwork, {}},
      {"network half-open", 1, &FaultInjector::HalfOpenNetwork, {}},
      {"network slow", 2, &FaultInjector::SlowNetwork, {}},
      {"database link cut", 1, &FaultInjector::CutDatabaseLink, {}},
      {kServerAway, 1, &FaultInjector::RefuseAtDatabaseLink, {}},
      {"database crashed", 1, &FaultInjector::CrashDatabase, {{kRestarts, "crash"}}},
      {"database killed",
       2,
       &FaultInjector::KillDatabase,
       {{kKills, "postmaster"}, {kLostByCrash, kClaims}}},
      {kRolledBack,
       1,
       &FaultInjector::RollBackDatabase,
       {{kLostByRollback, kClaims}, {kLostByRollback, kGradients}, {kLostByRollback, kRounds}}},
      {"clock moved", 2, &FaultInjector::MoveClock, {}},
      {"submitted twice",
       4,
       &FaultInjector::DeliverTwice,
       {{kOutcomes, "already accepted"}, {kOutcomes, "superseded"}}},
      {"unit failed", 1, &FaultInjector::FailAUnit, {{kOutcomes, "failed"}, {kOutcomes, "closed"}}},
      {"lease expired", 3, &FaultInjector::LetALeaseExpire, {{kOutcomes, "duplicate"}}},
      {"paused", 1, &FaultInjector::PauseAndResume, {}}};
}

// Every other time what the table is short of: luck alone may leave a cell empty for ten minutes.
// Nothing, when it is only short of failpoints, which nobody reaches who is struck before.
const FaultInjector::Fault* FaultInjector::NextFault() {
  const bool aimed = random_() % 2 == 0 && !table_.Missing().empty();
  std::vector<double> weights;
  for (const Fault& fault : faults_) {
    const bool covers = table_.IsBelowTarget(kFaults, fault.name) ||
                        absl::c_any_of(fault.covers, [this](const auto& cell) {
                          return table_.IsBelowTarget(cell.first, cell.second);
                        });
    weights.push_back(aimed && !covers ? 0 : fault.weight);
  }
  if (absl::c_accumulate(weights, 0.0) == 0) return nullptr;
  std::discrete_distribution<size_t> pick(weights.begin(), weights.end());
  return &faults_[pick(random_)];
}

void FaultInjector::Run(absl::Duration min, absl::Duration max) {
  const absl::Duration start = clock_.Steady();
  absl::Duration next_line = absl::Seconds(30);
  while (!::testing::Test::HasFailure()) {
    const absl::Duration so_far = clock_.Steady() - start;
    CountOutcomes();
    if (so_far >= max || (so_far >= min && table_.Missing().empty())) break;
    if (so_far >= next_line) {
      std::printf("%s: %s rounds, short of %s\n",
                  absl::FormatDuration(absl::Trunc(so_far, absl::Seconds(1))).c_str(),
                  cluster_.Text("SELECT weights_version FROM gannet.run").c_str(),
                  absl::StrJoin(table_.Missing(), ", ").c_str());
      std::fflush(stdout);
      next_line += absl::Seconds(30);
    }
    const absl::Duration pause = absl::Milliseconds(100 + random_() % 700);
    TendFor(pause, [] { return false; });
    if (const Fault* fault = NextFault(); fault != nullptr) {
      table_.Add(kFaults, fault->name);
      (this->*fault->act)();
      Resume();
    }
  }
  for (Role& role : roles_) role.process->Kill();
  CountFailpoints();
  CountOutcomes();
}

void FaultInjector::ExpectProgress(int64_t rounds) {
  const int64_t before = cluster_.Number("SELECT weights_version FROM gannet.run");
  network_->Delay(absl::ZeroDuration());
  database_link_.Refuse(false);
  Resume();
  for (Role& role : roles_) Launch(role, false);
  EXPECT_TRUE(cluster_.AwaitRounds(before + rounds)) << "stuck after round " << before;
  for (Role& role : roles_) role.process->Kill();
}

void FaultInjector::Resume() {
  if (cluster_.Text("SELECT state FROM gannet.run") != "paused") return;
  const int64_t run = cluster_.Number("SELECT run_id FROM gannet.run");
  hostile_->store().SetRunState(base::RunId(run), domain::RunState::kRunning, "").IgnoreError();
}

FaultInjector::Role& FaultInjector::AnyRole(const std::string& kind) {
  std::vector<Role*> candidates;
  for (Role& role : roles_) {
    if (kind.empty() || role.kind == kind) candidates.push_back(&role);
  }
  return *candidates[random_() % candidates.size()];
}

// Tend counts it. Every other time one of the kind that was killed least: the test lasts until all
// kinds were killed often enough, and only what has been killed once has a failpoint.
void FaultInjector::KillOne() {
  std::string kind;
  if (random_() % 2 == 0) {
    for (const Role& role : roles_) {
      if (kind.empty() || table_.Get(kKills, role.kind) < table_.Get(kKills, kind))
        kind = role.kind;
    }
  }
  AnyRole(kind).process->Signal(SIGKILL);
}

void FaultInjector::Freeze(Role& role, absl::Duration how_long) {
  role.process->Signal(SIGSTOP);
  role.frozen_until = clock_.Steady() + how_long;
}

void FaultInjector::FreezeWorker() { Freeze(AnyRole("worker"), freeze_duration_); }
void FaultInjector::FreezeCoordinator() { Freeze(AnyRole("coordinator"), freeze_duration_); }
void FaultInjector::FreezeGateway() { Freeze(AnyRole("gateway"), absl::Seconds(1)); }
void FaultInjector::CutNetwork() { network_->Cut(); }
void FaultInjector::HalfOpenNetwork() { network_->HalfOpen(); }

void FaultInjector::SlowNetwork() {
  network_->Delay(absl::Milliseconds(20));
  slow_until_ = clock_.Steady() + absl::Seconds(1);
}

void FaultInjector::CutDatabaseLink() { database_link_.Cut(); }

void FaultInjector::RefuseAtDatabaseLink() {
  database_link_.Refuse(true);
  refusing_until_ = clock_.Steady() + absl::Seconds(2);
}

void FaultInjector::RestartDatabase(store::TestPostgres::StopMode mode) {
  // Claims do not wait for the disk, but any commit that does takes them along: what a crash loses
  // are those of the last moment.
  const std::string claims = LookAtHoldings().claims;
  TendFor(absl::Seconds(2), [&] {
    return cluster_.Number(absl::StrCat(
               "SELECT count(*) FROM gannet.work_unit WHERE state = 'leased' AND NOT "
               "concat_ws('|', unit_id, attempt, claim_request) = ANY(string_to_array('",
               claims, "', ','))")) > 0;
  });
  const Holdings before = LookAtHoldings();
  store::TestPostgres::Get().Stop(mode);
  store::TestPostgres::Get().Start();
  const Losses lost = LossesSince(before);
  table_.Add(kLostByCrash, kClaims, lost.claims);
  EXPECT_EQ(lost.gradients, 0) << "accepted gradients are lost by a crash";
  EXPECT_EQ(lost.rounds, 0) << "published rounds are lost by a crash";
}

// What a failover to a standby does that lacks the last commits.
void FaultInjector::RollBackDatabase() {
  store::TestPostgres::Get().Save();
  // What happens now is another training than the one that goes on: whoever takes anything of it
  // along, weights, gradients or settings, changes the bits of the end.
  const int64_t version = Ask("SELECT coalesce(max(weights_version), 0) FROM gannet.run");
  ChangeLearningRate();
  // Until there is something to lose, at the new learning rate if that does not take long.
  TendFor(absl::Seconds(8),
          [&] { return cluster_.Number("SELECT weights_version FROM gannet.run") >= version + 3; });
  const Holdings before = LookAtHoldings();
  store::TestPostgres::Get().GoBack();
  const Losses lost = LossesSince(before);
  table_.Add(kLostByRollback, kClaims, lost.claims);
  table_.Add(kLostByRollback, kGradients, lost.gradients);
  table_.Add(kLostByRollback, kRounds, lost.rounds);
}

void FaultInjector::ChangeLearningRate() {
  const absl::StatusOr<exchange::RunStatus> status = hostile_->store().FindRun("cluster");
  if (!status.ok()) return;
  domain::RunConfig other = status->next_config;
  other.adam.learning_rate *= 3;
  hostile_->store().ChangeSettings(status->run, other, "to be forgotten").IgnoreError();
}

FaultInjector::Holdings FaultInjector::LookAtHoldings() const {
  Holdings now;
  now.version = cluster_.Number("SELECT weights_version FROM gannet.run");
  now.claims = cluster_.Text(
      "SELECT string_agg(concat_ws('|', unit_id, attempt, claim_request), ',') FROM "
      "gannet.work_unit "
      "WHERE state = 'leased'");
  // The rogue's are rejected, which takes them away, too.
  now.gradients = cluster_.Text(
      absl::StrCat("SELECT string_agg(concat_ws('|', unit_id, encode(sha256, 'hex')), ',') FROM "
                   "gannet.gradient WHERE has_bytes AND worker_id <> '",
                   rogue_.id.value(), "'"));
  return now;
}

int64_t FaultInjector::Ask(const std::string& sql) const {
  int64_t answer = -1;
  EXPECT_TRUE(base::AwaitUntil([&] { return (answer = cluster_.Number(sql)) >= 0; })) << sql;
  return answer;
}

FaultInjector::Losses FaultInjector::LossesSince(const Holdings& before) const {
  const auto missing = [this](const std::string& list, const char* is_there) {
    const std::string sql = absl::StrCat(
        "SELECT count(*) FROM unnest(string_to_array('", list,
        "', ',')) AS t(x) CROSS JOIN LATERAL string_to_array(x, '|') AS was WHERE NOT EXISTS (",
        is_there, ")");
    return static_cast<int>(Ask(sql));
  };
  Losses lost;
  lost.claims = missing(before.claims,
                        "SELECT FROM gannet.work_unit u WHERE u.unit_id = was[1]::bigint "
                        "AND (u.attempt > was[2]::integer OR (u.attempt = was[2]::integer "
                        "AND u.claim_request = was[3]))");
  lost.gradients = missing(before.gradients,
                           "SELECT FROM gannet.gradient g WHERE g.unit_id = was[1]::bigint "
                           "AND encode(g.sha256, 'hex') = was[2]");
  const int64_t version = Ask("SELECT coalesce(max(weights_version), 0) FROM gannet.run");
  lost.rounds = static_cast<int>(std::max<int64_t>(0, before.version - version));
  return lost;
}

void FaultInjector::CrashDatabase() {
  RestartDatabase(store::TestPostgres::StopMode::kImmediate);
  table_.Add(kRestarts, "crash");
}

void FaultInjector::KillDatabase() {
  RestartDatabase(store::TestPostgres::StopMode::kKilled);
  table_.Add(kKills, "postmaster");
}

// Forward by up to half a minute, as after a sleep; sometimes back by three seconds, as a time
// server does.
void FaultInjector::MoveClock() {
  MoveClockBy(random_() % 5 == 0 ? -3 : static_cast<int>(1 + random_() % 30));
}

void FaultInjector::MoveClockBy(int seconds) {
  clock_offset_seconds_ += seconds;
  cluster_.Execute(absl::StrFormat(
      "CREATE OR REPLACE FUNCTION gannet.clock_now() RETURNS timestamptz LANGUAGE sql VOLATILE "
      "SET search_path = pg_catalog, pg_temp AS 'SELECT clock_timestamp() + interval ''%d s'''",
      clock_offset_seconds_));
}

// What a network that repeats packets, or a worker that wakes up after days, would do: a gradient
// that is kept is submitted again by its worker, under its attempt and under the one before.
void FaultInjector::DeliverTwice() {
  const std::string found = cluster_.Text(absl::StrCat(
      "SELECT concat_ws('|', g.run_id, g.unit_id, g.attempt, g.worker_id, w.incarnation, "
      "g.image_count, g.micro_batch_count) FROM gannet.gradient g "
      "JOIN gannet.work_unit u USING (unit_id) JOIN gannet.worker w ON w.run_id = g.run_id "
      "AND w.worker_id = g.worker_id WHERE g.has_bytes AND u.holder = g.worker_id "
      "ORDER BY g.attempt > 1 DESC, md5(concat(g.unit_id, ',",
      random_(), "')) LIMIT 1"));
  const std::vector<std::string> fields = absl::StrSplit(found, '|');
  if (fields.size() != 7) return;
  std::vector<int64_t> numbers(7);
  for (const size_t i : {0U, 1U, 2U, 4U, 5U, 6U}) {
    if (!absl::SimpleAtoi(fields[i], &numbers[i])) return;
  }
  exchange::SubmitRequest request;
  for (const char* name : {"ada", "bob", "cy"}) {
    const auto identity = nlohmann::json::parse(
        base::FileContents(cluster_.PathOf(absl::StrCat(name, ".json"))), nullptr, false);
    if (identity.is_object() && identity.value("worker_id", "") == fields[3]) {
      request.worker.secret = identity.value("secret", "");
    }
  }
  if (request.worker.secret.empty()) return;
  request.worker.id = base::WorkerId(fields[3]);
  request.worker.incarnation = base::Incarnation(numbers[4]);
  request.run = base::RunId(numbers[0]);
  request.unit = base::UnitId(numbers[1]);
  request.stats.image_count = static_cast<int>(numbers[5]);
  request.stats.micro_batch_count = static_cast<int>(numbers[6]);
  const absl::StatusOr<exchange::Payload> payload =
      hostile_->store().FetchGradient(request.run, request.unit);
  if (!payload.ok()) return;
  request.payload = *payload;
  for (int64_t attempt = numbers[2]; attempt >= std::max<int64_t>(1, numbers[2] - 1); --attempt) {
    request.attempt = base::Attempt(static_cast<int32_t>(attempt));
    const absl::StatusOr<domain::SubmitOutcome> outcome = hostile_->exchange().Submit(request);
    if (!outcome.ok()) continue;  // the database is away, or the worker has started anew
    EXPECT_NE(*outcome, domain::SubmitOutcome::kAccepted);
    EXPECT_NE(*outcome, domain::SubmitOutcome::kLate);
  }
}

std::optional<exchange::WorkUnit> FaultInjector::ClaimAsRogue() {
  exchange::Exchange& exchange = hostile_->exchange();
  exchange::JoinRequest join;
  join.worker = rogue_;
  join.display_name = "rogue";
  absl::StatusOr<exchange::JoinResult> run = exchange.Join(join);
  if (!run.ok()) return std::nullopt;
  join.data = run->config.data;
  run = exchange.Join(join);
  if (!run.ok()) return std::nullopt;
  absl::StatusOr<exchange::ClaimResult> claim = exchange.Claim({.worker = rogue_,
                                                                .run = run->run,
                                                                .request_id = base::RandomHex(16),
                                                                .wait = absl::Milliseconds(50)});
  return claim.ok() ? std::move(claim->unit) : std::nullopt;
}

absl::StatusOr<domain::SubmitOutcome> FaultInjector::SubmitGarbage(const exchange::WorkUnit& unit) {
  exchange::SubmitRequest request;
  request.worker = rogue_;
  request.run = unit.run;
  request.unit = unit.unit;
  request.attempt = unit.attempt;
  request.stats.image_count = static_cast<int>(unit.image_indices.size());
  request.stats.micro_batch_count =
      static_cast<int>(domain::MicroBatchSizes(request.stats.image_count, unit.micro_batch).size());
  request.payload = exchange::Payload::FromBytes(tensor::Codec::kFp32, "not a gradient");
  return hostile_->exchange().Submit(request);
}

// A worker that cannot read its images takes units until one has failed permanently, which pauses
// the run, and hands that one in all the same. Nobody else takes any meanwhile.
void FaultInjector::FailAUnit() {
  constexpr absl::Duration kPatience = absl::Seconds(8);
  for (Role& role : roles_) {
    if (role.kind == "worker") Freeze(role, kPatience);
  }
  MoveClockBy(61);   // longer than any lease: what they hold comes back
  int failures = 0;  // where there are speculative copies it may fail those again and again
  TendFor(kPatience,
          [&] { return FailOnce(failures) || failures >= 4 * domain::kMaxUnitFailures; });
  for (Role& role : roles_) {
    if (role.kind == "worker" && role.frozen_until.has_value()) role.frozen_until = clock_.Steady();
  }
}

bool FaultInjector::FailOnce(int& failures) {
  const std::optional<exchange::WorkUnit> unit = ClaimAsRogue();
  if (!unit.has_value()) return false;
  ++failures;
  if (!hostile_->exchange()
           .Fail(rogue_, unit->run, unit->unit, unit->attempt, "no such file: a.jpg")
           .ok()) {
    return false;
  }
  MoveClockBy(static_cast<int>(
      absl::ToInt64Seconds(domain::RequeueBackoff(unit->attempt, domain::RequeueCause::kFailed))));
  const absl::StatusOr<exchange::RunStatus> status = hostile_->store().GetRunStatus(unit->run);
  if (!status.ok() || status->state != domain::RunState::kPaused) return false;
  const absl::StatusOr<domain::SubmitOutcome> outcome = SubmitGarbage(*unit);
  if (outcome.ok()) {
    EXPECT_NE(*outcome, domain::SubmitOutcome::kAccepted);
  }
  return true;
}

// A laptop that claims a unit, sleeps unseen until somebody else has computed it
// (in the same slot where speculative copies are made), and submits nonsense when it wakes.
void FaultInjector::LetALeaseExpire() {
  constexpr absl::Duration kSleep = absl::Seconds(6);
  constexpr absl::Duration kPatience = absl::Seconds(3);
  if (!expired_unit_.has_value()) {
    TendFor(kPatience, [this] { return (expired_unit_ = ClaimAsRogue()).has_value(); });
    expired_unit_since_ = clock_.Steady();
    return;
  }
  if (clock_.Steady() - expired_unit_since_ < kSleep) return;
  SubmitGarbage(*expired_unit_).IgnoreError();
  expired_unit_.reset();
}

void FaultInjector::PauseAndResume() {
  const int64_t run = cluster_.Number("SELECT run_id FROM gannet.run");
  if (run < 0) return;
  hostile_->store()
      .SetRunState(base::RunId(run), domain::RunState::kPaused, "an injected fault")
      .IgnoreError();
}

// From one round on the round waits for those who are slow, which takes duplicates, from another on
// it does not, which takes stale gradients.
void FaultInjector::ChangeDeadline() {
  const absl::StatusOr<exchange::RunStatus> status = hostile_->store().FindRun("cluster");
  if (!status.ok()) return;
  domain::RunConfig other = status->next_config;
  const bool shall_wait = table_.IsBelowTarget(kOutcomes, "duplicate") || random_() % 2 == 0;
  other.policy.round_deadline = shall_wait ? absl::Seconds(20) : absl::ZeroDuration();
  hostile_->store().ChangeSettings(status->run, other, "an injected fault").IgnoreError();
}

}  // namespace gannet::chaos
