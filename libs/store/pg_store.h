#pragma once

#include <string>
#include <vector>

#include "libs/exchange/store.h"
#include "libs/pg/pg_bulk_pool.h"
#include "libs/pg/pg_pool.h"
#include "libs/store/run_signals.h"

namespace gannet {

// Store over the SQL functions of migrations/R__store_functions.sql (whatever changes something)
// and the statements here (whatever reads). Its role needs no more than gannet_coordinator. Every
// method is one transaction.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: pools and signals must outlive it.
class PgStore final : public Store {
 public:
  PgStore(PgPool& pool, PgBulkPool& bulk_pool, RunSignals& run_signals)
      : pool_(pool), bulk_pool_(bulk_pool), run_signals_(run_signals) {}

  absl::StatusOr<RunStatus> FindRun(const std::string& name) override;
  absl::StatusOr<RunId> CreateRun(const NewRun& run) override;
  absl::StatusOr<Leadership> AcquireLeadership(RunId run, const LeaderId& leader,
                                               absl::Duration ttl) override;
  absl::Status ResignLeadership(RunId run, const Leadership& leadership) override;
  absl::StatusOr<RunStatus> GetRunStatus(RunId run) override;
  absl::StatusOr<Snapshot> LoadSnapshot(RunId run) override;
  absl::StatusOr<RoundProgress> GetRoundProgress(RunId run, Round round) override;
  void AwaitChange(RunId run, absl::Duration timeout) override;
  absl::StatusOr<Payload> FetchGradient(RunId run, UnitId unit) override;
  absl::Status RejectGradient(RunId run, const Leadership& leadership, UnitId unit,
                              const std::string& reason) override;
  absl::Status RemoveWorker(RunId run, const WorkerId& worker, const std::string& reason) override;
  absl::Status RestoreWorker(RunId run, const WorkerId& worker) override;
  absl::Status Publish(const PublishRequest& request) override;
  absl::StatusOr<int> ReapExpiredLeases(RunId run, const Leadership& leadership) override;
  absl::Status PrepareRound(RunId run, const Leadership& leadership, Round round) override;
  absl::Status ReclaimBlobs(RunId run, const Leadership& leadership) override;
  absl::Status DeleteRun(RunId run) override;
  absl::Status KeepBest(RunId run, const Leadership& leadership, const BestWeights& best,
                        const Payload& weights) override;
  absl::StatusOr<BestSnapshot> LoadBest(RunId run) override;
  absl::Status SetRunState(RunId run, RunState state, const std::string& reason) override;
  absl::StatusOr<Round> ChangeSettings(RunId run, const RunConfig& config,
                                       const std::string& reason) override;
  absl::StatusOr<std::vector<SettingsChange>> ListChanges(RunId run) override;
  absl::StatusOr<std::vector<RoundSummary>> ListRounds(RunId run, Round after, int limit) override;
  absl::StatusOr<std::vector<WorkerSummary>> ListWorkers(RunId run, const WorkerId& after,
                                                         int limit) override;
  absl::StatusOr<std::vector<WorkerRecord>> ListWorkerRecords(RunId run) override;

 private:
  absl::Status RequireRun(RunId run);
  // Gives what a removed worker holds to others, which its removal has not done yet.
  absl::Status TakeBackWork(RunId run, const WorkerId& worker);

  PgPool& pool_;
  PgBulkPool& bulk_pool_;
  RunSignals& run_signals_;
};

}  // namespace gannet
