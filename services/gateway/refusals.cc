#include "services/gateway/refusals.h"

namespace gannet::gateway {

Refusals::Refusals(telemetry::Metrics& metrics, base::Clock& clock) : clock_(clock) {
  base::MutexLock lock(mu_);
  for (size_t i = 0; i < series_.size(); ++i) {
    const std::string reason(domain::RefusalLabel(static_cast<domain::RefusalReason>(i)));
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

void Refusals::Count(domain::RefusalReason reason) {
  base::MutexLock lock(mu_);
  Series& series = series_[static_cast<size_t>(reason)];
  series.last = clock_.Steady();
  series.refused->Increment();
  series.refusing->Set(1);
}

void Refusals::Update() {
  base::MutexLock lock(mu_);
  for (Series& series : series_) series.refusing->Set(IsCurrent(series) ? 1 : 0);
}

std::vector<domain::RefusalReason> Refusals::Current() {
  std::vector<domain::RefusalReason> current;
  base::MutexLock lock(mu_);
  for (size_t i = 0; i < series_.size(); ++i) {
    if (IsCurrent(series_[i])) current.push_back(static_cast<domain::RefusalReason>(i));
  }
  return current;
}

}  // namespace gannet::gateway
