#include "libs/domain/round_plan.h"

#include <algorithm>

#include "libs/base/check.h"
#include "libs/base/philox.h"

namespace gannet::domain {

RoundPlanner::RoundPlanner(const RunConfig& config)
    : seed_(config.seed),
      image_count_(config.data.image_count),
      images_per_unit_(config.images_per_unit),
      units_per_round_(config.units_per_round),
      origin_(config.plan_origin) {
  GANNET_CHECK(image_count_ >= 1 && images_per_unit_ >= 1 && units_per_round_ >= 1);
}

std::vector<PlannedUnit> RoundPlanner::Plan(base::Round round) {
  int64_t position = PositionOf(round);
  std::vector<PlannedUnit> units(static_cast<size_t>(units_per_round_));
  for (int slot = 0; slot < units_per_round_; ++slot) {
    PlannedUnit& unit = units[static_cast<size_t>(slot)];
    unit.slot = base::Slot(slot);
    unit.image_indices.reserve(static_cast<size_t>(images_per_unit_));
    for (int i = 0; i < images_per_unit_; ++i) unit.image_indices.push_back(ImageAt(position++));
  }
  return units;
}

int64_t RoundPlanner::EpochOf(base::Round round) const { return PositionOf(round) / image_count_; }

int64_t RoundPlanner::PositionOf(base::Round round) const {
  GANNET_CHECK(round >= base::Round(origin_.round));
  return origin_.position + (round.value() - origin_.round) * units_per_round_ * images_per_unit_;
}

int64_t RoundPlanner::ImageAt(int64_t position) {
  const int64_t epoch = position / image_count_;
  if (epoch != cached_epoch_) {
    order_ = base::EpochOrder(seed_, epoch, image_count_);
    cached_epoch_ = epoch;
  }
  return order_[static_cast<size_t>(position % image_count_)];
}

std::vector<int> MicroBatchSizes(int image_count, int micro_batch) {
  GANNET_CHECK(image_count >= 1 && micro_batch >= 1);
  const int count = std::max(1, image_count / micro_batch);
  std::vector<int> sizes(static_cast<size_t>(count), micro_batch);
  sizes.back() = image_count - (count - 1) * micro_batch;
  return sizes;
}

}  // namespace gannet::domain
