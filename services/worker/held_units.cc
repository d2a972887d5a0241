#include "services/worker/held_units.h"

namespace gannet::worker {

std::shared_ptr<HeldUnit> HeldUnits::Add(UnitId unit, Attempt attempt) {
  auto held = std::make_shared<HeldUnit>();
  held->unit = unit;
  held->attempt = attempt;
  MutexLock lock(mu_);
  units_[unit] = held;
  return held;
}

void HeldUnits::Remove(const HeldUnit& held) {
  MutexLock lock(mu_);
  const auto found = units_.find(held.unit);
  if (found != units_.end() && found->second.get() == &held) units_.erase(found);
}

void HeldUnits::Clear() {
  MutexLock lock(mu_);
  units_.clear();
}

std::vector<UnitProgress> HeldUnits::Progress() {
  MutexLock lock(mu_);
  std::vector<UnitProgress> progress;
  progress.reserve(units_.size());
  for (const auto& [unit, held] : units_) {
    progress.push_back({unit, held->attempt, held->micro_batches_done.load()});
  }
  return progress;
}

void HeldUnits::Drop(const std::vector<UnitId>& units) {
  MutexLock lock(mu_);
  for (const UnitId& unit : units) {
    if (const auto found = units_.find(unit); found != units_.end()) found->second->dropped = true;
  }
}

void HeldUnits::DropAll() {
  MutexLock lock(mu_);
  for (const auto& [unit, held] : units_) held->dropped = true;
}

}  // namespace gannet::worker
