#pragma once

#include <vector>

#include "libs/exchange/gateway_reports.h"
#include "libs/pg/pg_pool.h"

namespace gannet::store {

// GatewayReports in the table gateway_report. Report needs no more than gannet_worker, List
// gannet_coordinator.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: the pool must outlive it.
class PgGatewayReports final : public exchange::GatewayReports {
 public:
  explicit PgGatewayReports(pg::PgPool& pool) : pool_(pool) {}

  absl::Status Report(const exchange::GatewayReport& report) override;
  absl::StatusOr<std::vector<exchange::GatewayReport>> List() override;

 private:
  pg::PgPool& pool_;
};

}  // namespace gannet::store
