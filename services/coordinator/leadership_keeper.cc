#include "services/coordinator/leadership_keeper.h"

namespace gannet {

LeadershipKeeper::LeadershipKeeper(Store& store, RunId run, const Leadership& leadership,
                                   absl::Duration ttl, Logger& log)
    : store_(store),
      run_(run),
      leadership_(leadership),
      ttl_(ttl),
      log_(log),
      runner_(ttl / 3, [this] { Renew(); }) {}

void LeadershipKeeper::Renew() {
  if (lost_) return;
  const absl::StatusOr<Leadership> renewed =
      store_.AcquireLeadership(run_, leadership_.leader, ttl_);
  const bool refused = renewed.status().code() == absl::StatusCode::kFailedPrecondition;
  const bool another_epoch = renewed.ok() && *renewed != leadership_;
  if (!refused && !another_epoch) return;
  lost_ = true;
  log_.Warning("leadership lost, publishing nothing more until elected again",
               {{"epoch", leadership_.epoch}, {"reason", renewed.status()}});
}

}  // namespace gannet
