#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/testing/child_process.h"
#include "libs/base/testing/tcp_proxy.h"
#include "libs/exchange/exchange.h"
#include "libs/store/pg_backend.h"
#include "libs/store/testing/test_postgres.h"
#include "libs/telemetry/metrics.h"
#include "tests/chaos/fault_coverage.h"
#include "tests/e2e/e2e_cluster.h"

namespace gannet::chaos {

// As the database numbers them: a SubmitOutcome, or how a lease ended without a gradient
// (libs/store/migrations/V0006__ledger.sql).
enum class LedgerOutcome {
  kAccepted = static_cast<int>(domain::SubmitOutcome::kAccepted),
  kLate = static_cast<int>(domain::SubmitOutcome::kLate),
  kAlreadyAccepted = static_cast<int>(domain::SubmitOutcome::kAlreadyAccepted),
  kSuperseded = static_cast<int>(domain::SubmitOutcome::kSuperseded),
  kClosed = static_cast<int>(domain::SubmitOutcome::kClosed),
  kDuplicate = static_cast<int>(domain::SubmitOutcome::kDuplicate),
  kExpired = 101,
  kReleased = 102,
  kFailed = 103,
  kRejected = 104,
};

// A cluster into which faults are injected (Jepsen calls who does so the nemesis): two
// coordinators, a gateway, workers by a bad network and one that goes straight to the database. All
// who go there are given a list of two servers, of which the first is behind a bad network, too.
// Whatever is killed is started again, with a failpoint of its own armed; meanwhile faults strike
// at random places: SIGKILL, SIGSTOP for longer than a lease, PostgreSQL or the first of its
// servers gone, or back without its last commits, the network cut, slow or half-open, the
// database's clock moved, gradients submitted twice, a worker that fails its units.
//
// Decisions come from the seed and from what the table is short of; what the kernel makes of them
// does not.
//
// Thread safety: none.
class FaultInjector {
 public:
  // `settings` as for E2eCluster; a lease of 2 s unless they say otherwise. `freeze_duration` is
  // how long a worker or coordinator is frozen. The class starts with the object.
  FaultInjector(const e2e::ProgramSettings& settings, uint64_t seed,
                absl::Duration freeze_duration);
  ~FaultInjector();

  // Injects faults for `min`, and longer until the table is complete, but for at most `max`. Then
  // every program is killed; what the database holds stays as it is.
  void Run(absl::Duration min, absl::Duration max);

  // Starts everything again, without failpoints or other faults, and expects that so many rounds
  // more are published: whatever has happened, nothing stays stuck. Ends with every program killed.
  void ExpectProgress(int64_t rounds);

  // What table() must show before the test may end. All: every failpoint 3 times, every kind of
  // process killed 10 times.
  void RequireFailpointsAndKills();
  void RequireOutcomes(const std::vector<LedgerOutcome>& outcomes);
  // Sometimes a round waits for those who are slow, sometimes it does not: then some gradients are
  // folded in a later one.
  void AlsoChangeDeadlines();

  FaultCoverage& table() { return table_; }
  e2e::E2eCluster& cluster() { return cluster_; }

  // Over all rounds (the ledger itself is pruned).
  int64_t LedgerRows(LedgerOutcome outcome) const;

 private:
  struct Role {
    std::string kind;  // "coordinator", "gateway", "worker"
    std::string name;
    std::function<base::ChildProcess*()> start;
    base::ChildProcess* process = nullptr;
    std::optional<absl::Duration> frozen_until = {};
  };
  struct Fault {
    const char* name;
    double weight;
    void (FaultInjector::*act)();
    // Section and cell, beside that of the fault itself.
    std::vector<std::pair<const char*, const char*>> covers;
  };

  // What a database could lose. Lists of "unit|attempt|request" and of "unit|sha256".
  struct Holdings {
    int64_t version = 0;
    std::string claims;
    std::string gradients;
  };
  struct Losses {
    int claims = 0;
    int gradients = 0;
    int rounds = 0;
  };

  static std::vector<Fault> Faults();
  // Null: none this time.
  const Fault* NextFault();
  std::string FailpointFile(const std::string& kind) const;
  void Launch(Role& role, bool with_failpoint);
  // Starts again what has ended, wakes what has slept enough.
  void Tend();
  // Again and again, for so long, or until it is enough.
  void TendFor(absl::Duration max, const std::function<bool()>& enough);
  void CountFailpoints();
  void CountOutcomes();
  Role& AnyRole(const std::string& kind = "");

  void KillOne();
  void FreezeWorker();
  void FreezeCoordinator();
  void FreezeGateway();
  void CutNetwork();
  void HalfOpenNetwork();
  void SlowNetwork();
  void CutDatabaseLink();
  void RefuseAtDatabaseLink();
  void CrashDatabase();
  void KillDatabase();
  void RollBackDatabase();
  void MoveClock();
  void MoveClockBy(int seconds);
  void DeliverTwice();
  void FailAUnit();
  // Counts up when a unit was failed; true when it has failed permanently.
  bool FailOnce(int& failures);
  void LetALeaseExpire();
  void PauseAndResume();
  void ChangeDeadline();
  // After whatever has paused the run: a failed unit, an injected fault.
  void Resume();

  // For a service: the link first, then the server itself.
  std::string HostList(const std::string& service) const;
  // Lets the rogue join and claim, for this one look.
  std::optional<exchange::WorkUnit> ClaimAsRogue();
  // Hands in what is no gradient for a unit of the rogue's.
  absl::StatusOr<domain::SubmitOutcome> SubmitGarbage(const exchange::WorkUnit& unit);
  void RestartDatabase(store::TestPostgres::StopMode mode);
  Holdings LookAtHoldings() const;
  Losses LossesSince(const Holdings& before) const;
  // A number that is not negative, however long the database takes to answer.
  int64_t Ask(const std::string& sql) const;
  void ChangeLearningRate();
  void Freeze(Role& role, absl::Duration how_long);

  base::RealClock clock_;
  const absl::Duration freeze_duration_;
  std::mt19937_64 random_;
  e2e::E2eCluster cluster_;
  const int database_port_;
  base::TcpProxy database_link_;
  FaultCoverage table_;
  std::vector<Fault> faults_ = Faults();
  std::unique_ptr<base::TcpProxy> network_;
  std::vector<Role> roles_;
  telemetry::Metrics metrics_;
  std::unique_ptr<store::PgBackend> hostile_;  // of the superuser
  exchange::WorkerIdentity rogue_;
  std::optional<exchange::WorkUnit> expired_unit_;
  absl::Duration expired_unit_since_;
  int clock_offset_seconds_ = 0;
  std::optional<absl::Duration> slow_until_;
  std::optional<absl::Duration> refusing_until_;
};

}  // namespace gannet::chaos
