#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/periodic_runner.h"
#include "libs/domain/refusal_reason.h"
#include "libs/exchange/gateway_reports.h"
#include "libs/telemetry/log.h"
#include "services/gateway/refusals.h"

namespace gannet::gateway {

// Says in the database what the gateway refuses, from its first refusal until a minute after the
// last. A gateway that refuses nothing writes nothing.
//
// Ownership and lifetime: all arguments must outlive it. The destructor waits for a report in
// progress.
class RefusalReporter {
 public:
  // `gateway` as in GatewayReport.
  RefusalReporter(exchange::GatewayReports& reports, Refusals& refusals, std::string gateway,
                  base::Clock& clock, telemetry::Logger& log, absl::Duration interval);

 private:
  void Report();

  exchange::GatewayReports& reports_;
  Refusals& refusals_;
  const std::string gateway_;
  base::Clock& clock_;
  telemetry::Logger& log_;
  std::vector<domain::RefusalReason> reported_;  // of the runner, as the rest
  absl::Duration reported_at_;
  base::PeriodicRunner runner_;
};

}  // namespace gannet::gateway
