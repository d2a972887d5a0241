#include "services/coordinator/lease_renewer.h"

namespace gannet::coordinator {

LeaseRenewer::LeaseRenewer(exchange::Store& store, base::RunId run,
                           const exchange::Leadership& leadership, absl::Duration ttl,
                           base::Clock& clock, telemetry::Logger& log)
    : store_(store),
      run_(run),
      leadership_(leadership),
      ttl_(ttl),
      clock_(clock),
      log_(log),
      trusted_until_(clock.Steady() + ttl),
      runner_(ttl / 3, [this] { Renew(); }) {}

bool LeaseRenewer::lost() {
  base::MutexLock lock(mu_);
  return deposed_ || clock_.Steady() >= trusted_until_;
}

void LeaseRenewer::Renew() {
  {
    base::MutexLock lock(mu_);
    if (deposed_) return;
  }
  const absl::Duration start = clock_.Steady();
  const absl::StatusOr<exchange::Leadership> renewed =
      store_.AcquireLeadership(run_, leadership_.leader, ttl_);
  base::MutexLock lock(mu_);
  if (renewed.ok() && *renewed == leadership_) {
    trusted_until_ = start + ttl_;
    return;
  }
  // Not being able to ask is no proof, but no leadership outlives its time.
  if (!renewed.ok() && renewed.status().code() != absl::StatusCode::kFailedPrecondition) return;
  deposed_ = true;
  log_.Warning("leadership lost, publishing nothing more until elected again",
               {{"term", leadership_.term}, {"reason", renewed.status()}});
}

}  // namespace gannet::coordinator
