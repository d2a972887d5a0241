#include "services/gateway/database_watch.h"

#include <utility>

namespace gannet::gateway {

DatabaseWatch::DatabaseWatch(std::function<absl::Status()> probe,
                             std::function<void(bool up)> on_change, base::Clock& clock,
                             telemetry::Logger& log, const DatabaseWatchOptions& options)
    : probe_(std::move(probe)),
      on_change_(std::move(on_change)),
      clock_(clock),
      log_(log),
      options_(options),
      last_answer_at_(clock.Steady()),
      changed_at_(clock.Steady()),
      judge_(options.probe_interval / 4, [this] { Judge(); }),
      prober_(options.probe_interval, [this] { Probe(); }) {}

void DatabaseWatch::Stop() { judge_.Stop(); }

void DatabaseWatch::Probe() {
  absl::Status answer = probe_();
  {
    base::MutexLock lock(mu_);
    last_answer_ = std::move(answer);
    last_answer_at_ = clock_.Steady();
  }
  judge_.Wake();
}

void DatabaseWatch::Judge() {
  const absl::Duration now = clock_.Steady();
  absl::Status answer;
  {
    base::MutexLock lock(mu_);
    answer = last_answer_;
    if (answer.ok() && now - last_answer_at_ >= options_.silence_limit) {
      answer = absl::DeadlineExceededError("no answer to a probe");
    }
  }
  if (answer.ok() == up_) return;
  up_ = answer.ok();
  const absl::Duration lasted = now - changed_at_;
  changed_at_ = now;
  if (up_) {
    log_.Info("the database answers", {{"after", lasted}});
  } else {
    log_.Error("the database does not answer, this gateway is not serving until it does",
               {{"after", lasted}, {"status", answer}});
  }
  on_change_(up_);
}

}  // namespace gannet::gateway
