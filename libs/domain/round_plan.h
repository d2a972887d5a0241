#pragma once

#include <cstdint>
#include <vector>

#include "libs/base/typed_id.h"
#include "libs/domain/run_config.h"

namespace gannet::domain {

// What one slot of a round computes on.
struct PlannedUnit {
  base::Slot slot;
  std::vector<int64_t> image_indices;

  friend bool operator==(const PlannedUnit&, const PlannedUnit&) = default;
};

// Cuts the data set into rounds: a pure function of config and round.
//
// The training sees an endless sequence of images: epoch 0 in its permuted order (EpochOrder),
// epoch 1 in its own, and so on, without a gap or repeat at the seam. Round r takes the next
// units_per_round x images_per_unit of it, slot by slot (from where plan_origin says the sequence
// stood). So every image is seen once per epoch, and
// a round may straddle two.
//
// Thread safety: none (it keeps the permutation of the epochs it touched last).
class RoundPlanner {
 public:
  // `config` must be valid and name at least one image.
  explicit RoundPlanner(const RunConfig& config);

  // The units of a round, in slot order. `round` is not before the config's plan_origin.
  std::vector<PlannedUnit> Plan(base::Round round);

  // The epoch the first image of the round belongs to.
  int64_t EpochOf(base::Round round) const;

 private:
  int64_t PositionOf(base::Round round) const;
  int64_t ImageAt(int64_t position);

  const uint64_t seed_;
  const int64_t image_count_;
  const int images_per_unit_;
  const int units_per_round_;
  const PlanOrigin origin_;
  int64_t cached_epoch_ = -1;
  std::vector<int64_t> order_;
};

// The micro-batches of a unit of `image_count` images: sizes in order; the remainder joins the last
// one.
std::vector<int> MicroBatchSizes(int image_count, int micro_batch);

}  // namespace gannet::domain
