#pragma once

#include <optional>
#include <string>
#include <vector>

#include "libs/exchange/memory/memory_state.h"
#include "libs/exchange/store.h"

namespace gannet::memory {

// The coordinator's side of MemoryBackend.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: the state must outlive it.
class MemoryStore final : public exchange::Store {
 public:
  explicit MemoryStore(State& state) : state_(state) {}

  absl::StatusOr<exchange::RunStatus> FindRun(const std::string& name) override;

  absl::StatusOr<base::RunId> CreateRun(const exchange::NewRun& request) override;

  absl::StatusOr<exchange::Leadership> AcquireLeadership(base::RunId id,
                                                         const base::LeaderId& leader,
                                                         absl::Duration ttl) override;

  absl::Status ResignLeadership(base::RunId id, const exchange::Leadership& leadership) override;

  absl::StatusOr<exchange::RunStatus> GetRunStatus(base::RunId id) override;

  absl::StatusOr<Snapshot> LoadSnapshot(base::RunId id) override;

  absl::StatusOr<exchange::RoundProgress> GetRoundProgress(base::RunId id,
                                                           base::Round round) override;

  void AwaitChange(base::RunId id, absl::Duration timeout) override;

  absl::StatusOr<exchange::Payload> FetchGradient(base::RunId id, base::UnitId unit_id) override;

  absl::Status RejectGradient(base::RunId id, const exchange::Leadership& leadership,
                              base::UnitId unit_id, const std::string& reason) override;

  absl::Status RemoveWorker(base::RunId id, const base::WorkerId& worker,
                            const std::string& reason) override;

  absl::Status RestoreWorker(base::RunId id, const base::WorkerId& worker) override;

  absl::Status Publish(const exchange::PublishRequest& request) override;

  absl::StatusOr<int> ReapExpiredLeases(base::RunId id,
                                        const exchange::Leadership& leadership) override;

  absl::Status ReclaimOldBlobs(base::RunId id, const exchange::Leadership& leadership,
                               base::Round round) override;

  absl::Status ReclaimBlobs(base::RunId id, const exchange::Leadership& leadership) override;

  absl::Status DeleteRun(base::RunId id) override;

  absl::Status SaveBest(base::RunId id, const exchange::Leadership& leadership,
                        const exchange::BestWeights& best,
                        const exchange::Payload& weights) override;

  absl::StatusOr<BestSnapshot> LoadBest(base::RunId id) override;

  absl::Status SetRunState(base::RunId id, domain::RunState to, const std::string& reason) override;

  absl::StatusOr<base::Round> ChangeSettings(base::RunId id, const domain::RunConfig& config,
                                             const std::string& reason) override;

  absl::StatusOr<std::vector<exchange::SettingsChange>> ListChanges(base::RunId id) override;

  absl::StatusOr<std::vector<exchange::RoundSummary>> ListRounds(base::RunId id, base::Round after,
                                                                 int limit) override;

  absl::StatusOr<std::vector<exchange::WorkerSummary>> ListWorkers(base::RunId id,
                                                                   const base::WorkerId& after,
                                                                   int limit) override;

  absl::StatusOr<std::vector<exchange::WorkerRecord>> ListWorkerRecords(base::RunId id) override;

 private:
  static absl::Status RequireWorker(const Run& run, const base::WorkerId& worker);

  State& state_;
};

}  // namespace gannet::memory
