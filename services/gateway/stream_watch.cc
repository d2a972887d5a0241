#include "services/gateway/stream_watch.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace gannet::gateway {

absl::Status CheckPace(const StreamLimits& limits, absl::Duration elapsed,
                       absl::Duration since_moved, int64_t bytes) {
  if (since_moved > limits.stall_limit) {
    return absl::DeadlineExceededError(
        absl::StrCat("the stream stalled for too long and was cut: no byte for ",
                     absl::FormatDuration(limits.stall_limit)));
  }
  if (elapsed > limits.time_limit) {
    return absl::DeadlineExceededError(absl::StrCat(
        "the stream took too long and was cut: at most ", absl::FormatDuration(limits.time_limit)));
  }
  const double counted = absl::ToDoubleSeconds(elapsed - limits.grace);
  if (counted > 0 &&
      static_cast<double>(bytes) < counted * static_cast<double>(limits.least_bytes_per_second)) {
    return absl::DeadlineExceededError(absl::StrCat(
        "the stream is too slow and was cut: at least ", limits.least_bytes_per_second,
        " bytes a second are asked for, got ", bytes, " in ", absl::FormatDuration(elapsed)));
  }
  return absl::OkStatus();
}

std::unique_ptr<StreamWatch::Stream> StreamWatch::Watch(Cut cut) {
  const absl::Duration now = clock_.Steady();
  base::MutexLock lock(mu_);
  const int64_t id = ++last_id_;
  entries_[id] = {.cut = std::move(cut), .started_at = now, .moved_at = now};
  return std::unique_ptr<Stream>(new Stream(*this, id));
}

int StreamWatch::CutSlow() {
  std::vector<std::pair<Cut, absl::Status>> slow;
  {
    const absl::Duration now = clock_.Steady();
    base::MutexLock lock(mu_);
    for (auto it = entries_.begin(); it != entries_.end();) {
      Entry& entry = it->second;
      absl::Status pace =
          CheckPace(limits_, now - entry.started_at, now - entry.moved_at, entry.bytes);
      if (pace.ok()) {
        ++it;
        continue;
      }
      slow.emplace_back(std::move(entry.cut), std::move(pace));
      it = entries_.erase(it);
    }
  }
  for (const auto& [cut, why] : slow) cut(why);
  return static_cast<int>(slow.size());
}

bool StreamWatch::CutSlowest() {
  Cut cut;
  {
    const absl::Duration now = clock_.Steady();
    base::MutexLock lock(mu_);
    auto slowest = entries_.end();
    double least = 0;
    for (auto it = entries_.begin(); it != entries_.end(); ++it) {
      const absl::Duration elapsed = now - it->second.started_at;
      if (elapsed <= limits_.grace) continue;
      const double rate = static_cast<double>(it->second.bytes) / absl::ToDoubleSeconds(elapsed);
      if (slowest == entries_.end() || rate < least) {
        slowest = it;
        least = rate;
      }
    }
    if (slowest == entries_.end()) return false;
    cut = std::move(slowest->second.cut);
    entries_.erase(slowest);
  }
  cut(absl::DeadlineExceededError("the slowest stream was cut because others wait: repeat it"));
  return true;
}

void StreamWatch::Remove(int64_t id) {
  base::MutexLock lock(mu_);
  entries_.erase(id);
}

void StreamWatch::Note(int64_t id, int64_t bytes) {
  const absl::Duration now = clock_.Steady();
  base::MutexLock lock(mu_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  found->second.bytes += bytes;
  found->second.moved_at = now;
}

}  // namespace gannet::gateway
