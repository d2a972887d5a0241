#include "services/coordinator/rate_meter.h"

namespace gannet::coordinator {
namespace {

constexpr absl::Duration kWindow = absl::Seconds(60);
// Rounds closer together than this share a point, which bounds their number.
constexpr absl::Duration kResolution = absl::Milliseconds(250);

}  // namespace

void RateMeter::Start(absl::Duration now) {
  base::MutexLock lock(mu_);
  points_ = {Point{now, 0, 0}};
}

void RateMeter::AddRound(absl::Duration now, int64_t images) {
  base::MutexLock lock(mu_);
  if (points_.empty()) return;
  const Point point{now, points_.back().images + images, points_.back().rounds + 1};
  // The newest point moves along until it is `kResolution` away from the one before.
  if (points_.size() > 2 && now - points_[points_.size() - 2].at < kResolution) points_.pop_back();
  points_.push_back(point);
  // The oldest point that stays is the last one outside the window, so that all of it is covered.
  while (points_.size() > 2 && now - points_[1].at >= kWindow) points_.pop_front();
}

double RateMeter::ImagesPerSecond(absl::Duration now) { return PerSecond(now, &Point::images); }

double RateMeter::RoundsPerSecond(absl::Duration now) { return PerSecond(now, &Point::rounds); }

double RateMeter::PerSecond(absl::Duration now, int64_t Point::*count) {
  base::MutexLock lock(mu_);
  if (points_.empty()) return 0;
  const double seconds = absl::ToDoubleSeconds(now - points_.front().at);
  if (seconds <= 0) return 0;
  return static_cast<double>(points_.back().*count - points_.front().*count) / seconds;
}

}  // namespace gannet::coordinator
