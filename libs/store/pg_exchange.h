#pragma once

#include <string>
#include <vector>

#include "libs/exchange/exchange.h"
#include "libs/exchange/work_signal.h"
#include "libs/pg/pg_bulk_pool.h"
#include "libs/pg/pg_pool.h"

namespace gannet {

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
class PgExchange final : public Exchange {
 public:
  PgExchange(PgPool& pool, PgBulkPool& bulk_pool, WorkSignal& work_signal)
      : pool_(pool), bulk_pool_(bulk_pool), work_signal_(work_signal) {}

  absl::StatusOr<JoinResult> Join(const JoinRequest& request) override;
  absl::StatusOr<RunDescription> Describe(const WorkerIdentity& worker, RunId run) override;
  absl::StatusOr<ClaimResult> Claim(const ClaimRequest& request) override;
  absl::StatusOr<Payload> FetchWeights(const FetchWeightsRequest& request) override;
  absl::StatusOr<SubmitOutcome> Submit(const SubmitRequest& request) override;
  absl::StatusOr<std::optional<SubmitOutcome>> CheckSubmission(
      const SubmissionCheck& submission) override;
  absl::StatusOr<HeartbeatResult> Heartbeat(const WorkerIdentity& worker, RunId run,
                                            const std::vector<UnitProgress>& held) override;
  absl::Status Release(const WorkerIdentity& worker, RunId run, UnitId unit,
                       Attempt attempt) override;
  absl::Status Fail(const WorkerIdentity& worker, RunId run, UnitId unit, Attempt attempt,
                    const std::string& reason) override;
  absl::Status Leave(const WorkerIdentity& worker, RunId run) override;

 private:
  absl::StatusOr<ClaimResult> LookForWork(const ClaimRequest& request);
  absl::StatusOr<SubmitOutcome> SubmitSmall(const SubmitRequest& request);
  absl::StatusOr<SubmitOutcome> SubmitLarge(const SubmitRequest& request);

  PgPool& pool_;
  PgBulkPool& bulk_pool_;
  WorkSignal& work_signal_;
};

}  // namespace gannet
