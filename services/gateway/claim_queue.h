#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/base/typed_id.h"
#include "libs/domain/unit_state.h"
#include "libs/exchange/exchange.h"
#include "libs/exchange/work_signal.h"
#include "libs/telemetry/metrics.h"
#include "services/gateway/refusals.h"
#include "services/gateway/task_pool.h"
#include "services/gateway/worker_slots.h"

namespace gannet::gateway {

struct ClaimQueueOptions {
  int max_parked = 10'000;
  // Of one worker: as many as it may hold units. When one more waits, the oldest is answered
  // RESOURCE_EXHAUSTED: it may be that of a connection that broke without anybody noticing.
  int max_parked_per_worker = domain::kMaxLeasesPerWorker;
  // Looks of one run at the same time: the others wait their turn.
  int max_concurrent_polls = 2;
  // Parked claims look again so often even when no signal came (signals are hints).
  absl::Duration poll_interval = absl::Seconds(1);
};

// Claims that wait for a unit without holding a thread or a database connection.
//
// A look is Exchange::Claim without a wait, on a thread of the pool. Each claim looks when it
// enters and, when its wait is over, once more. In between it is parked. The signal (or the
// interval) opens a wakeup for each run: parked claims start to look, longest waiting first, a few
// at the same time, until one of them finds nothing; then there is nothing for the rest either. So
// two new units cost about four looks, whether three claims are parked or three hundred.
//
//   worker A, B, C parked; a round of two units is published, the signal fires:
//   A and B look, both get a unit; C looks, finds nothing: the wakeup is over, C is parked as
//   before.
//
// Thread safety: all methods may be called from any thread; callbacks come from threads of the pool
// or the queue's own, without a lock held. Ownership and lifetime: exchange, signal, pool and clock
// must outlive it, and the pool must have stopped before it is destroyed.
class ClaimQueue {
 public:
  using Done = std::function<void(absl::StatusOr<exchange::ClaimResult>)>;
  using Ticket = int64_t;

  ClaimQueue(exchange::Exchange& exchange, exchange::WorkSignal& signal, TaskPool& pool,
             base::Clock& clock, telemetry::Gauge& parked, Refusals& refusals,
             const ClaimQueueOptions& options);
  ~ClaimQueue();
  ClaimQueue(const ClaimQueue&) = delete;
  ClaimQueue& operator=(const ClaimQueue&) = delete;

  // Calls `done` once, with what Exchange::Claim answers, or RESOURCE_EXHAUSTED when too many are
  // parked, altogether or of this worker, or the pool is full. `place`, the caller's among those
  // who wait for the pool, is given back after the first look: whoever is parked holds up nobody
  // that others need.
  Ticket Enter(exchange::ClaimRequest request, Done done, AddressSlots::Slot place = {});

  // The caller is gone: a parked claim is answered CANCELLED at once, so that it takes no unit. A
  // look in progress is not stopped; when it finds nothing the answer is CANCELLED, too.
  void Cancel(Ticket ticket);

  // Answers every parked claim without a unit, and from here on those that find nothing. For
  // shutdown.
  void Drain();

  // Drains and ends the threads. Idempotent.
  void Stop();

 private:
  struct Entry {
    exchange::ClaimRequest request;
    Done done;
    AddressSlots::Slot place;
    absl::Duration deadline;  // steady
    bool last_poll = false;   // the wait is over: whatever is found is the answer
    bool cancelled = false;   // while it looks
  };
  // What is parked of a run, and the wakeup.
  struct Run {
    std::set<Ticket> parked;  // in order of arrival
    // The same by worker. A claim is parked only once the database has authenticated its worker, so
    // that nobody fills, or empties, the places of another.
    std::map<base::WorkerId, std::set<Ticket>> parked_of;
    int polling = 0;     // of the wakeup
    int64_t wakeup = 1;  // counts signals and intervals
    bool open = true;    // whether the wakeup goes on; at first, for a signal may have come before
                         // the run was known
    domain::RunState last_state = domain::RunState::kRunning;
  };
  // An answer to give once the lock is released.
  struct Answer {
    Done done;
    absl::StatusOr<exchange::ClaimResult> result;
  };
  using Answers = std::vector<Answer>;

  void WatchSignal(uint64_t seen);
  void RunTimer();
  void StartWakeups() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EndWaits(Answers& answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Starts looks of the wakeup as far as allowed.
  void Advance(Run& run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Hands a look of `ticket` to the pool. `wakeup` is 0 for looks outside of a wakeup.
  absl::Status StartPoll(Ticket ticket, int64_t wakeup) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Poll(Ticket ticket, int64_t wakeup);
  void FinishPoll(Ticket ticket, int64_t wakeup, absl::StatusOr<exchange::ClaimResult> result);
  void Park(Ticket ticket, Entry& entry, Answers& answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Unpark(Ticket ticket, const Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Take(Ticket ticket, absl::StatusOr<exchange::ClaimResult> result, Answers& answers)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  static void Give(Answers answers);

  exchange::Exchange& exchange_;
  exchange::WorkSignal& signal_;
  TaskPool& pool_;
  base::Clock& clock_;
  telemetry::Gauge& parked_gauge_;
  Refusals& refusals_;
  const ClaimQueueOptions options_;

  base::Mutex mu_;
  base::CondVar cv_;
  Ticket last_ticket_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<Ticket, Entry> entries_ ABSL_GUARDED_BY(mu_);
  std::map<base::RunId, Run> runs_ ABSL_GUARDED_BY(mu_);
  std::set<std::pair<absl::Duration, Ticket>> deadlines_ ABSL_GUARDED_BY(mu_);  // of parked ones
  bool signalled_ ABSL_GUARDED_BY(mu_) = false;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;

  base::Mutex join_mu_;
  std::thread watcher_ ABSL_GUARDED_BY(join_mu_);
  std::thread timer_ ABSL_GUARDED_BY(join_mu_);
};

}  // namespace gannet::gateway
