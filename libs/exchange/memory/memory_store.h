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
class MemoryStore final : public Store {
 public:
  explicit MemoryStore(State& state) : state_(state) {}

  absl::StatusOr<RunStatus> FindRun(const std::string& name) override;

  absl::StatusOr<RunId> CreateRun(const NewRun& request) override;

  absl::StatusOr<Leadership> AcquireLeadership(RunId id, const LeaderId& leader,
                                               absl::Duration ttl) override;

  absl::Status ResignLeadership(RunId id, const Leadership& leadership) override;

  absl::StatusOr<RunStatus> GetRunStatus(RunId id) override;

  absl::StatusOr<Snapshot> LoadSnapshot(RunId id) override;

  absl::StatusOr<RoundProgress> GetRoundProgress(RunId id, Round round) override;

  void AwaitChange(RunId id, absl::Duration timeout) override;

  absl::StatusOr<Payload> FetchGradient(RunId id, UnitId unit_id) override;

  absl::Status RejectGradient(RunId id, const Leadership& leadership, UnitId unit_id,
                              const std::string& reason) override;

  absl::Status RemoveWorker(RunId id, const WorkerId& worker, const std::string& reason) override;

  absl::Status RestoreWorker(RunId id, const WorkerId& worker) override;

  absl::Status Publish(const PublishRequest& request) override;

  absl::StatusOr<int> ReapExpiredLeases(RunId id, const Leadership& leadership) override;

  absl::Status PrepareRound(RunId id, const Leadership& leadership, Round round) override;

  absl::Status ReclaimBlobs(RunId id, const Leadership& leadership) override;

  absl::Status DeleteRun(RunId id) override;

  absl::Status KeepBest(RunId id, const Leadership& leadership, const BestWeights& best,
                        const Payload& weights) override;

  absl::StatusOr<BestSnapshot> LoadBest(RunId id) override;

  absl::Status SetRunState(RunId id, RunState to, const std::string& reason) override;

  absl::StatusOr<Round> ChangeSettings(RunId id, const RunConfig& config,
                                       const std::string& reason) override;

  absl::StatusOr<std::vector<SettingsChange>> ListChanges(RunId id) override;

  absl::StatusOr<std::vector<RoundSummary>> ListRounds(RunId id, Round after, int limit) override;

  absl::StatusOr<std::vector<WorkerSummary>> ListWorkers(RunId id, const WorkerId& after,
                                                         int limit) override;

  absl::StatusOr<std::vector<WorkerRecord>> ListWorkerRecords(RunId id) override;

 private:
  static absl::Status RequireWorker(const Run& run, const WorkerId& worker);

  State& state_;
};

}  // namespace gannet::memory
