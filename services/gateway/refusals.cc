#include "services/gateway/refusals.h"

namespace gannet::gateway {

Refusals::Refusals(Metrics& metrics, Clock& clock) : clock_(clock) {
  MutexLock lock(mu_);
  for (size_t i = 0; i < series_.size(); ++i) {
    const std::string reason(RefusalLabel(static_cast<RefusalReason>(i)));
    series_[i].refused = &metrics.AddCounter(
        "gannet_gateway_refused_total",
        "What was refused or cut short to protect the gateway and the others, by reason.",
        {{"reason", reason}});
    series_[i].refusing = &metrics.AddGauge(
        "gannet_gateway_refusing",
        "1 while the last refusal for this reason is under a minute ago.", {{"reason", reason}});
    series_[i].refusing->Set(0);
  }
}

void Refusals::Count(RefusalReason reason) {
  MutexLock lock(mu_);
  Series& series = series_[static_cast<size_t>(reason)];
  series.last = clock_.Steady();
  series.refused->Increment();
  series.refusing->Set(1);
}

void Refusals::Update() {
  MutexLock lock(mu_);
  for (Series& series : series_) series.refusing->Set(IsCurrent(series) ? 1 : 0);
}

std::vector<RefusalReason> Refusals::Current() {
  std::vector<RefusalReason> current;
  MutexLock lock(mu_);
  for (size_t i = 0; i < series_.size(); ++i) {
    if (IsCurrent(series_[i])) current.push_back(static_cast<RefusalReason>(i));
  }
  return current;
}

}  // namespace gannet::gateway
