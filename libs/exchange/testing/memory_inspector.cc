#include "libs/exchange/testing/memory_inspector.h"

#include <algorithm>

#include "absl/time/time.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/exchange/memory/memory_state.h"

namespace gannet::exchange {

absl::StatusOr<RunDump> MemoryBackendInspector::Dump(MemoryBackend& backend, base::RunId id) {
  memory::State& state = *backend.state_;
  base::MutexLock lock(state.mu);
  GANNET_ASSIGN_OR_RETURN(memory::Run * run, state.FindRun(id));
  const absl::Time now = state.clock.Now();
  RunDump dump;
  dump.config = run->config;
  dump.state = run->state;
  dump.state_reason = run->state_reason;
  dump.weights_version = run->version;
  dump.leader = run->leader;
  dump.leader_term = run->leader_term;
  if (!run->leader.value().empty()) dump.leadership_remaining = run->leader_until - now;
  dump.median_unit_time = run->median_unit_time;
  dump.changes = run->changes;
  for (const auto& [version, weights] : run->weights) {
    dump.weights.push_back({version, weights.payload.sha256, weights.keep});
  }
  dump.adam_sha256 = run->adam_state.sha256;
  dump.best = run->best;
  dump.best_sha256 = run->best_weights.sha256;
  for (const auto& [place, unit] : run->units) {
    UnitDump out;
    out.round = unit.round;
    out.slot = unit.slot;
    out.state = unit.state;
    out.attempt = unit.attempt;
    out.holder = unit.holder;
    out.failures = unit.failures;
    out.failure_reason = unit.failure_reason;
    out.failed_by.assign(unit.failed_by.begin(), unit.failed_by.end());
    out.reaped = unit.state == domain::UnitState::kReady && unit.reaped;
    if (unit.state == domain::UnitState::kReady) out.ready_in = std::max(unit.ready_at, now) - now;
    out.consumed = unit.consumed;
    out.is_speculative = unit.is_speculative;
    out.stale_rounds = unit.stale_rounds;
    out.wasted_attempt = unit.wasted_attempt;
    if (unit.state == domain::UnitState::kLeased) {
      out.lease_remaining = unit.lease_until - now;
      out.since_progress = now - unit.progress_at;
      out.since_claim = now - unit.claimed_at;
      out.micro_batches_done = unit.micro_batches_done;
    }
    if (unit.gradient.has_value()) {
      const memory::Gradient& gradient = *unit.gradient;
      out.gradient = GradientDump{gradient.attempt,        gradient.worker,
                                  gradient.stats,          gradient.payload.codec,
                                  gradient.payload.sha256, gradient.payload.bytes != nullptr};
    }
    dump.units.push_back(std::move(out));
  }
  for (const auto& [id_of_worker, worker] : run->workers) {
    dump.workers.push_back({id_of_worker, worker.incarnation, worker.display_name, worker.hardware,
                            worker.accepted_unit_count, worker.accepted_image_count,
                            worker.duplicate_unit_count, worker.wasted_image_count,
                            now - worker.last_seen, worker.has_left, worker.net_rejections,
                            worker.removed_reason});
  }
  dump.rounds = run->rounds;
  return dump;
}

}  // namespace gannet::exchange
