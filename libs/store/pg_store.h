#pragma once

#include <string>
#include <vector>

#include "libs/exchange/store.h"
#include "libs/pg/pg_bulk_pool.h"
#include "libs/pg/pg_pool.h"
#include "libs/store/run_signals.h"

namespace gannet::store {

// Store over the SQL functions of migrations/R__store_functions.sql (whatever changes something)
// and the statements here (whatever reads). Its role needs no more than gannet_coordinator. Every
// method is one transaction.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: pools and signals must outlive it.
class PgStore final : public exchange::Store {
 public:
  PgStore(pg::PgPool& pool, pg::PgBulkPool& bulk_pool, RunSignals& run_signals)
      : pool_(pool), bulk_pool_(bulk_pool), run_signals_(run_signals) {}

  absl::StatusOr<exchange::RunStatus> FindRun(const std::string& name) override;
  absl::StatusOr<base::RunId> CreateRun(const exchange::NewRun& run) override;
  absl::StatusOr<exchange::Leadership> AcquireLeadership(base::RunId run,
                                                         const base::LeaderId& leader,
                                                         absl::Duration ttl) override;
  absl::Status ResignLeadership(base::RunId run, const exchange::Leadership& leadership) override;
  absl::StatusOr<exchange::RunStatus> GetRunStatus(base::RunId run) override;
  absl::StatusOr<Snapshot> LoadSnapshot(base::RunId run) override;
  absl::StatusOr<exchange::RoundProgress> GetRoundProgress(base::RunId run,
                                                           base::Round round) override;
  void AwaitChange(base::RunId run, absl::Duration timeout) override;
  absl::StatusOr<exchange::Payload> FetchGradient(base::RunId run, base::UnitId unit) override;
  absl::Status RejectGradient(base::RunId run, const exchange::Leadership& leadership,
                              base::UnitId unit, const std::string& reason) override;
  absl::Status RemoveWorker(base::RunId run, const base::WorkerId& worker,
                            const std::string& reason) override;
  absl::Status RestoreWorker(base::RunId run, const base::WorkerId& worker) override;
  absl::Status Publish(const exchange::PublishRequest& request) override;
  absl::StatusOr<int> ReapExpiredLeases(base::RunId run,
                                        const exchange::Leadership& leadership) override;
  absl::Status ReclaimOldBlobs(base::RunId run, const exchange::Leadership& leadership,
                               base::Round round) override;
  absl::Status ReclaimBlobs(base::RunId run, const exchange::Leadership& leadership) override;
  absl::Status DeleteRun(base::RunId run) override;
  absl::Status SaveBest(base::RunId run, const exchange::Leadership& leadership,
                        const exchange::BestWeights& best,
                        const exchange::Payload& weights) override;
  absl::StatusOr<BestSnapshot> LoadBest(base::RunId run) override;
  absl::Status SetRunState(base::RunId run, domain::RunState state,
                           const std::string& reason) override;
  absl::StatusOr<base::Round> ChangeSettings(base::RunId run, const domain::RunConfig& config,
                                             const std::string& reason) override;
  absl::StatusOr<std::vector<exchange::SettingsChange>> ListChanges(base::RunId run) override;
  absl::StatusOr<std::vector<exchange::RoundSummary>> ListRounds(base::RunId run, base::Round after,
                                                                 int limit) override;
  absl::StatusOr<std::vector<exchange::WorkerSummary>> ListWorkers(base::RunId run,
                                                                   const base::WorkerId& after,
                                                                   int limit) override;
  absl::StatusOr<std::vector<exchange::WorkerRecord>> ListWorkerRecords(base::RunId run) override;

 private:
  absl::Status RequireRun(base::RunId run);
  // Gives what a removed worker holds to others, which its removal has not done yet.
  absl::Status RevokeWork(base::RunId run, const base::WorkerId& worker);

  pg::PgPool& pool_;
  pg::PgBulkPool& bulk_pool_;
  RunSignals& run_signals_;
};

}  // namespace gannet::store
