#pragma once

#include <vector>

#include "libs/exchange/gateway_reports.h"
#include "libs/pg/pg_pool.h"

namespace gannet {

// GatewayReports in the table gateway_report. Report needs no more than gannet_worker, List
// gannet_coordinator.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: the pool must outlive it.
class PgGatewayReports final : public GatewayReports {
 public:
  explicit PgGatewayReports(PgPool& pool) : pool_(pool) {}

  absl::Status Report(const GatewayReport& report) override;
  absl::StatusOr<std::vector<GatewayReport>> List() override;

 private:
  PgPool& pool_;
};

}  // namespace gannet
