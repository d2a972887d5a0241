#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/aggregate/aggregator.h"
#include "libs/base/clock.h"
#include "libs/domain/gradient_limits.h"
#include "libs/exchange/store.h"
#include "libs/telemetry/log.h"
#include "libs/telemetry/retrying_caller.h"
#include "services/coordinator/coordinator_metrics.h"

namespace gannet::coordinator {

// A round whose gradients have all been folded.
struct FoldedRound {
  tensor::TensorBundle gradient;       // what the rule makes of them, layout GradientSpec
  int64_t micro_batch_count = 0;       // of those that were in time
  int stale_count = 0;                 // of the consumed ones
  std::vector<base::UnitId> consumed;  // in slot order
  std::string consumed_sha256;         // as ConsumedSha256
  exchange::RoundSummary summary;      // all but epoch and seconds
};

// Collects the gradients of one round after the other: fetches and checks each as soon as it is
// there, and folds it as soon as all slots below it are folded. So the order is that of the slots
// whatever order they arrive in, and little is left to do when the last one comes.
//
// A round may end without some of its slots (RoundPolicy): then what is there is folded in the
// order of slots, too. Stale gradients are folded after all of them.
//
// How gradients are folded is the business of an Aggregator; each has its images, times StaleWeight
// where it is stale, for a weight. The rule also decides how many decoded gradients are in memory,
// each of the size of the weights:
//   - With a rule that streams, those that wait for a lower slot, at most kMaxHeld of them, beside
//     the rule's sums: the bound knows no number of units.
//   - With one that needs all, every gradient of the round once, whether it waits or the rule has
//     it: as many as the round has units, and stale ones. Then there is nothing to be saved by
//     leaving gradients in the store, so all are fetched as they come.
//
// A gradient that is unusable (damaged bytes, another layout or codec, statistics or values beyond
// their limits, see gradient_limits.h, or nothing that the rule can fold) is rejected, naming its
// worker: its unit is requeued. So nothing that is stored, by whatever version or hand,
// makes a call here fail. A worker is sent away by its third rejection beyond use
// (kMaxNetRejections).
//
// Thread safety: none.
// Ownership and lifetime: everything passed by reference outlives it.
class RoundCollector {
 public:
  // Decoded gradients that may wait for a lower slot when the rule streams.
  static constexpr int kMaxHeld = 8;

  RoundCollector(exchange::Store& store, base::RunId run, const domain::RunConfig& config,
                 std::unique_ptr<aggregate::Aggregator> aggregator,
                 const exchange::Leadership& leadership, telemetry::RetryingCaller& retry,
                 base::Clock& clock, telemetry::Logger& log, CoordinatorMetrics& metrics);

  // Starts a round of so many units and forgets the one before. `stale_weight` as in RoundPolicy.
  void Begin(base::Round round, int unit_count, double stale_weight = 0);

  // Whether everything taken is still there as it was taken. False when the database was rolled
  // back: then Begin anew.
  bool StillHas(const exchange::RoundProgress& progress) const;

  // Takes what has arrived, as the store tells it.
  // Returns: FAILED_PRECONDITION - no longer the leader; CANCELLED; other errors of the store.
  absl::Status Take(const exchange::RoundProgress& progress);

  // As Take, and gives up every slot that has nothing: nothing more can be taken after this. False
  // when fewer than `quorum` of them were of use: then the round begins anew.
  absl::StatusOr<bool> TakeLast(const exchange::RoundProgress& progress, int quorum);

  // Call when complete, once: takes stale gradients. One that no longer counts
  // is left alone.
  absl::Status TakeStale(const exchange::RoundProgress& progress);

  // Whether every slot is folded or given up.
  bool complete() const;

  // Call when complete: rejects the gradient that stands out among all of them (FindOutlier). True
  // when there was one: then the round begins anew.
  absl::StatusOr<bool> RejectOutlier();

  // Call when complete.
  absl::StatusOr<FoldedRound> Finish();

  // Of what was folded: whose gradient has the largest value, where, and how large the others are;
  // for people. Empty when there is none.
  std::string DescribeLargest();
  // Whether that one is much larger than all others: then it is the likely cause of a divergence.
  bool LargestStandsOut() const;

 private:
  struct Held {
    exchange::GradientInfo info;
    tensor::TensorBundle gradient;
  };

  // Fetches and checks a gradient. False when it is of no use, and rejected if it is still there.
  absl::StatusOr<bool> Fetch(const exchange::GradientInfo& info);
  double WeightOf(const exchange::GradientInfo& info) const;
  absl::StatusOr<tensor::TensorBundle> Decode(const exchange::GradientInfo& info,
                                              const exchange::Payload& payload) const;
  absl::Status Reject(const exchange::GradientInfo& info, const absl::Status& reason);
  // "worker ID ('NAME')"; without the name when the store does not answer.
  std::string DescribeWorker(const base::WorkerId& worker);
  absl::Status FoldWhatIsNext();
  absl::Status FoldFirstHeld();
  absl::Status Fold(Held held);

  exchange::Store& store_;
  const base::RunId run_;
  const tensor::BundleSpec spec_;
  const int micro_batch_;
  const int codec_;
  const std::unique_ptr<aggregate::Aggregator> aggregator_;
  const exchange::Leadership leadership_;
  telemetry::RetryingCaller& retry_;
  base::Clock& clock_;
  telemetry::Logger& log_;
  CoordinatorMetrics& metrics_;
  base::Round round_;
  int unit_count_ = 0;
  double stale_weight_ = 0;
  int next_slot_ = 0;                            // those below are folded, or given up
  std::map<base::Slot, Held> held_;              // checked, waiting for a lower slot
  std::vector<exchange::GradientInfo> folded_;   // by slot
  std::vector<domain::GradientExtent> extents_;  // of those
  absl::Duration fold_time_;
};

}  // namespace gannet::coordinator
