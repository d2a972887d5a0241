#include "services/gateway/claim_queue.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace gannet::gateway {

ClaimQueue::ClaimQueue(exchange::Exchange& exchange, exchange::WorkSignal& signal, TaskPool& pool,
                       base::Clock& clock, telemetry::Gauge& parked, Refusals& refusals,
                       const ClaimQueueOptions& options)
    : exchange_(exchange),
      signal_(signal),
      pool_(pool),
      clock_(clock),
      parked_gauge_(parked),
      refusals_(refusals),
      options_(options) {
  base::MutexLock lock(join_mu_);
  // Read here: a signal that comes before the thread runs must not be missed.
  watcher_ = std::thread([this, seen = signal_.generation()] { WatchSignal(seen); });
  timer_ = std::thread([this] { RunTimer(); });
}

ClaimQueue::~ClaimQueue() { Stop(); }

ClaimQueue::Ticket ClaimQueue::Enter(exchange::ClaimRequest request, Done done,
                                     AddressSlots::Slot place) {
  Answers answers;
  Ticket ticket = 0;
  {
    base::MutexLock lock(mu_);
    ticket = ++last_ticket_;
    Entry& entry = entries_[ticket];
    entry.deadline = clock_.Steady() + request.wait;
    entry.request = std::move(request);
    entry.request.wait = absl::ZeroDuration();  // of each look
    entry.done = std::move(done);
    entry.place = std::move(place);
    if (deadlines_.size() >= static_cast<size_t>(options_.max_parked)) {
      Take(ticket,
           refusals_.Refuse(domain::RefusalReason::kClaims,
                            absl::ResourceExhaustedError(absl::StrCat(
                                "too many claims wait at this gateway, repeat later: limit ",
                                options_.max_parked))),
           answers);
    } else if (const absl::Status queued = StartPoll(ticket, 0); !queued.ok()) {
      if (absl::IsResourceExhausted(queued)) refusals_.Count(domain::RefusalReason::kCalls);
      Take(ticket, queued, answers);
    }
  }
  Give(std::move(answers));
  return ticket;
}

void ClaimQueue::Cancel(Ticket ticket) {
  Answers answers;
  {
    base::MutexLock lock(mu_);
    const auto found = entries_.find(ticket);
    if (found == entries_.end()) return;
    if (deadlines_.contains({found->second.deadline, ticket})) {
      Unpark(ticket, found->second);
      Take(ticket, absl::CancelledError("the caller is gone"), answers);
    } else {
      found->second.cancelled = true;
    }
  }
  Give(std::move(answers));
}

void ClaimQueue::Drain() {
  Answers answers;
  {
    base::MutexLock lock(mu_);
    draining_ = true;
    while (!deadlines_.empty()) {
      const Ticket ticket = deadlines_.begin()->second;
      const Entry& entry = entries_.at(ticket);
      const domain::RunState state = runs_.at(entry.request.run).last_state;
      Unpark(ticket, entry);
      Take(ticket, exchange::ClaimResult{.unit = std::nullopt, .state = state}, answers);
    }
  }
  Give(std::move(answers));
}

void ClaimQueue::Stop() {
  Drain();
  {
    base::MutexLock lock(mu_);
    stopping_ = true;
    cv_.NotifyAll();
  }
  signal_.Notify();  // wakes the watcher; a hint too many does no harm to anybody else
  base::MutexLock lock(join_mu_);
  if (watcher_.joinable()) watcher_.join();
  if (timer_.joinable()) timer_.join();
}

void ClaimQueue::WatchSignal(uint64_t seen) {
  while (true) {
    const uint64_t now = signal_.AwaitPast(seen, options_.poll_interval);
    base::MutexLock lock(mu_);
    if (stopping_) return;
    if (now == seen) continue;
    seen = now;
    signalled_ = true;
    cv_.NotifyAll();
  }
}

void ClaimQueue::RunTimer() {
  absl::Duration last_interval = clock_.Steady();
  while (true) {
    Answers answers;
    {
      base::MutexLock lock(mu_);
      if (stopping_) return;
      const absl::Duration now = clock_.Steady();
      if (signalled_ || now - last_interval >= options_.poll_interval) {
        signalled_ = false;
        last_interval = now;
        StartWakeups();
      }
      EndWaits(answers);
      if (answers.empty()) {
        if (deadlines_.empty()) {
          // Nobody waits: sleep until somebody does.
          cv_.Wait(mu_);
        } else {
          const absl::Duration until =
              std::min(deadlines_.begin()->first, last_interval + options_.poll_interval);
          cv_.WaitFor(mu_, std::max(until - clock_.Steady(), absl::ZeroDuration()));
        }
      }
    }
    Give(std::move(answers));
  }
}

void ClaimQueue::StartWakeups() {
  for (auto& [id, run] : runs_) {
    ++run.wakeup;
    run.open = true;
    Advance(run);
  }
}

void ClaimQueue::EndWaits(Answers& answers) {
  const absl::Duration now = clock_.Steady();
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const Ticket ticket = deadlines_.begin()->second;
    Entry& entry = entries_.at(ticket);
    const domain::RunState state = runs_.at(entry.request.run).last_state;
    Unpark(ticket, entry);
    entry.last_poll = true;
    // With a full pool the last look is left out: nothing was found so far, and the worker asks
    // again.
    if (!StartPoll(ticket, 0).ok()) {
      Take(ticket, exchange::ClaimResult{.unit = std::nullopt, .state = state}, answers);
    }
  }
}

void ClaimQueue::Advance(Run& run) {
  while (run.open && run.polling < options_.max_concurrent_polls && !run.parked.empty()) {
    const Ticket ticket = *run.parked.begin();
    // With a full pool the rest of the wakeup is left to the next signal or interval.
    if (!StartPoll(ticket, run.wakeup).ok()) {
      run.open = false;
      return;
    }
    ++run.polling;
    Unpark(ticket, entries_.at(ticket));
  }
}

absl::Status ClaimQueue::StartPoll(Ticket ticket, int64_t wakeup) {
  return pool_.Run([this, ticket, wakeup] { Poll(ticket, wakeup); });
}

void ClaimQueue::Poll(Ticket ticket, int64_t wakeup) {
  exchange::ClaimRequest request;
  bool cancelled = false;
  {
    base::MutexLock lock(mu_);
    const Entry& entry = entries_.at(ticket);
    request = entry.request;
    cancelled = entry.cancelled;
  }
  FinishPoll(ticket, wakeup,
             cancelled ? absl::CancelledError("the caller is gone") : exchange_.Claim(request));
}

void ClaimQueue::FinishPoll(Ticket ticket, int64_t wakeup,
                            absl::StatusOr<exchange::ClaimResult> result) {
  Answers answers;
  {
    base::MutexLock lock(mu_);
    Entry& entry = entries_.at(ticket);
    entry.place = AddressSlots::Slot();
    const bool found_nothing = result.ok() && !result->unit.has_value();
    // A run is only kept here once the database has answered for it: a peer cannot fill the map.
    const base::RunId id = entry.request.run;
    if (result.ok()) runs_[id].last_state = result->state;

    const bool wait_on = found_nothing && !domain::HasEnded(result->state) && !entry.last_poll &&
                         !entry.cancelled && !draining_ && entry.deadline > clock_.Steady();
    if (wait_on) {
      Park(ticket, entry, answers);
    } else if (found_nothing && entry.cancelled) {
      Take(ticket, absl::CancelledError("the caller is gone"), answers);
    } else {
      Take(ticket, std::move(result), answers);
    }

    if (const auto run = runs_.find(id); run != runs_.end()) {
      if (wakeup != 0) {
        --run->second.polling;
        // One that found nothing ends the wakeup, unless a newer signal came while it looked. That
        // the run has ended is news for all of them.
        if (wait_on && wakeup == run->second.wakeup) run->second.open = false;
      }
      Advance(run->second);
    }
  }
  Give(std::move(answers));
}

void ClaimQueue::Park(Ticket ticket, Entry& entry, Answers& answers) {
  Run& run = runs_.at(entry.request.run);
  std::set<Ticket>& of_worker = run.parked_of[entry.request.worker.id];
  run.parked.insert(ticket);
  of_worker.insert(ticket);
  deadlines_.insert({entry.deadline, ticket});
  if (of_worker.size() > static_cast<size_t>(options_.max_parked_per_worker)) {
    const Ticket oldest = *of_worker.begin();
    Unpark(oldest, entries_.at(oldest));
    Take(oldest,
         refusals_.Refuse(domain::RefusalReason::kClaimsOfWorker,
                          absl::ResourceExhaustedError(absl::StrCat(
                              "newer claims of this worker wait instead of this one: at most ",
                              options_.max_parked_per_worker))),
         answers);
  }
  parked_gauge_.Set(static_cast<double>(deadlines_.size()));
  // The timer may be asleep for longer than this one waits.
  cv_.NotifyAll();
}

void ClaimQueue::Unpark(Ticket ticket, const Entry& entry) {
  Run& run = runs_.at(entry.request.run);
  run.parked.erase(ticket);
  const auto of_worker = run.parked_of.find(entry.request.worker.id);
  of_worker->second.erase(ticket);
  if (of_worker->second.empty()) run.parked_of.erase(of_worker);
  deadlines_.erase({entry.deadline, ticket});
  parked_gauge_.Set(static_cast<double>(deadlines_.size()));
}

void ClaimQueue::Take(Ticket ticket, absl::StatusOr<exchange::ClaimResult> result,
                      Answers& answers) {
  const auto entry = entries_.find(ticket);
  answers.push_back({std::move(entry->second.done), std::move(result)});
  entries_.erase(entry);
}

void ClaimQueue::Give(Answers answers) {
  for (Answer& answer : answers) answer.done(std::move(answer.result));
}

}  // namespace gannet::gateway
