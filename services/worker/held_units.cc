#include "services/worker/held_units.h"

namespace gannet::worker {

std::shared_ptr<HeldUnit> HeldUnits::Add(base::UnitId unit, base::Attempt attempt) {
  auto held = std::make_shared<HeldUnit>();
  held->unit = unit;
  held->attempt = attempt;
  base::MutexLock lock(mu_);
  units_[unit] = held;
  return held;
}

void HeldUnits::Remove(const HeldUnit& held) {
  base::MutexLock lock(mu_);
  const auto found = units_.find(held.unit);
  if (found != units_.end() && found->second.get() == &held) units_.erase(found);
}

void HeldUnits::Clear() {
  base::MutexLock lock(mu_);
  units_.clear();
}

std::vector<exchange::UnitProgress> HeldUnits::Progress() {
  base::MutexLock lock(mu_);
  std::vector<exchange::UnitProgress> progress;
  progress.reserve(units_.size());
  for (const auto& [unit, held] : units_) {
    progress.push_back({unit, held->attempt, held->micro_batches_done.load()});
  }
  return progress;
}

void HeldUnits::Drop(const std::vector<base::UnitId>& units) {
  base::MutexLock lock(mu_);
  for (const base::UnitId& unit : units) {
    if (const auto found = units_.find(unit); found != units_.end()) found->second->dropped = true;
  }
}

void HeldUnits::DropAll() {
  base::MutexLock lock(mu_);
  for (const auto& [unit, held] : units_) held->dropped = true;
}

}  // namespace gannet::worker
