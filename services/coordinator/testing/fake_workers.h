#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/exchange/exchange.h"
#include "libs/tensor/tensor_bundle.h"

namespace gannet::coordinator {

// The gradient that FakeWorkers submit for a slot of a round: a pure function of both.
tensor::TensorBundle FakeGradient(const domain::RunConfig& config, base::Round round,
                                  base::Slot slot);

// Workers without a network to train: they claim the units of a round and submit made-up
// gradients.
//
// Thread safety: none.
class FakeWorkers {
 public:
  // Joins as many workers as it takes to hold all units of a round. `config` is the run's.
  FakeWorkers(exchange::Exchange& exchange, const domain::RunConfig& config,
              int64_t incarnation = 1);

  // Waits for the units of the next round and claims all of them; in slot order.
  // Returns: DEADLINE_EXCEEDED - they did not come.
  absl::StatusOr<std::vector<exchange::WorkUnit>> ClaimRound();

  // Waits for one unit.
  absl::StatusOr<exchange::WorkUnit> ClaimOne();
  // The next claim is that of the worker after the one whose turn it is: a unit does not go back to
  // who failed it while another is there.
  void SkipTurn() { ++next_worker_; }

  // Hands in FakeGradient, or other bytes.
  absl::StatusOr<domain::SubmitOutcome> Submit(const exchange::WorkUnit& unit);
  absl::StatusOr<domain::SubmitOutcome> Submit(const exchange::WorkUnit& unit,
                                               const tensor::TensorBundle& gradient);
  absl::StatusOr<domain::SubmitOutcome> SubmitBytes(const exchange::WorkUnit& unit,
                                                    std::string bytes);

  absl::Status Fail(const exchange::WorkUnit& unit, const std::string& reason);

  // Plays so many whole rounds; gradients are submitted in the order of `order`, slots.
  absl::Status PlayRounds(int count, const std::vector<int>& order);

  base::RunId run() const { return run_; }

  // Who claimed the unit last.
  const exchange::WorkerIdentity& HolderOf(const exchange::WorkUnit& unit) const;

 private:
  struct Claimed {
    base::UnitId unit;
    size_t worker = 0;
  };

  exchange::Exchange& exchange_;
  const domain::RunConfig config_;
  base::RunId run_;
  std::vector<exchange::WorkerIdentity> workers_;
  std::vector<Claimed> claimed_;
  size_t next_worker_ = 0;
  int next_request_ = 0;
};

}  // namespace gannet::coordinator
