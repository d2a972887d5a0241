#pragma once

#include <string>
#include <vector>

#include "libs/exchange/exchange.h"
#include "libs/exchange/work_signal.h"
#include "libs/pg/pg_bulk_pool.h"
#include "libs/pg/pg_pool.h"

namespace gannet::store {

// Exchange over the SQL functions of migrations/R__exchange_functions.sql, and nothing else: its
// role needs no more than gannet_worker.
//
// A claim that waits looks again when the signal says so, and every second in case a notification
// was lost.
//
// Performance: every call is one round trip, but for gradients above 1 MiB (a check, then the
// bytes in one pipeline, then the accept) and weights (a cursor whose rows are streamed).
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: pools and signal must outlive it.
// Errors: as Exchange. A change in doubt is UNAVAILABLE here, because repeating any call of
// Exchange is right.
class PgExchange final : public exchange::Exchange {
 public:
  PgExchange(pg::PgPool& pool, pg::PgBulkPool& bulk_pool, exchange::WorkSignal& work_signal)
      : pool_(pool), bulk_pool_(bulk_pool), work_signal_(work_signal) {}

  absl::StatusOr<exchange::JoinResult> Join(const exchange::JoinRequest& request) override;
  absl::StatusOr<exchange::RunDescription> Describe(const exchange::WorkerIdentity& worker,
                                                    base::RunId run) override;
  absl::StatusOr<exchange::ClaimResult> Claim(const exchange::ClaimRequest& request) override;
  absl::StatusOr<exchange::Payload> FetchWeights(
      const exchange::FetchWeightsRequest& request) override;
  absl::StatusOr<domain::SubmitOutcome> Submit(const exchange::SubmitRequest& request) override;
  absl::StatusOr<std::optional<domain::SubmitOutcome>> CheckSubmission(
      const exchange::SubmissionCheck& submission) override;
  absl::StatusOr<exchange::HeartbeatResult> Heartbeat(
      const exchange::WorkerIdentity& worker, base::RunId run,
      const std::vector<exchange::UnitProgress>& held) override;
  absl::Status Release(const exchange::WorkerIdentity& worker, base::RunId run, base::UnitId unit,
                       base::Attempt attempt) override;
  absl::Status Fail(const exchange::WorkerIdentity& worker, base::RunId run, base::UnitId unit,
                    base::Attempt attempt, const std::string& reason) override;
  absl::Status Leave(const exchange::WorkerIdentity& worker, base::RunId run) override;

 private:
  absl::StatusOr<exchange::ClaimResult> TryClaim(const exchange::ClaimRequest& request);
  absl::StatusOr<domain::SubmitOutcome> SubmitSmall(const exchange::SubmitRequest& request);
  absl::StatusOr<domain::SubmitOutcome> SubmitLarge(const exchange::SubmitRequest& request);

  pg::PgPool& pool_;
  pg::PgBulkPool& bulk_pool_;
  exchange::WorkSignal& work_signal_;
};

}  // namespace gannet::store
