#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "libs/base/mutex.h"
#include "libs/exchange/store.h"

namespace gannet::coordinator {

// A store whose calls fail when a test wants them to: before anything happened (the database could
// not be reached), or after (the answer was lost). Everything else is passed on.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: the inner store must outlive it.
class FaultyStore final : public Store {
 public:
  explicit FaultyStore(Store& inner) : inner_(inner) {}

  // The next `times` calls of that method ("Publish") fail with `status` and do nothing.
  void FailBefore(const std::string& method, absl::Status status, int times = 1);
  // The next call does what it should, and then answers `status`.
  void LoseAnswer(const std::string& method, absl::Status status);

  // The next GetRunStatus once `version` is published answers as a database that has gone back one.
  void GoBackFrom(WeightsVersion version);

  // What GetRoundProgress finds is changed so before it is answered: what an older version may have
  // stored. Null: no more.
  void ChangeProgress(std::function<void(RoundProgress&)> change);

  // How many calls of the method have ended, and how many of them badly.
  int calls(const std::string& method);
  int failures(const std::string& method);

  // Waits until `condition`, which is looked at after every call that ends, is true. False after
  // `limit`.
  bool AwaitUntil(const std::function<bool()>& condition, absl::Duration limit = absl::Seconds(60));

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
  struct Method {
    absl::Status fail_with;
    int fail_times = 0;
    absl::Status lost;  // OK: the answer arrives
    int calls = 0;
    int failures = 0;
  };

  // Calls, or fails in its place.
  template <typename Result>
  Result Pass(const std::string& method, const std::function<Result()>& call);

  absl::Status Enter(const std::string& method);
  absl::Status Leave(const std::string& method, bool ok);

  Store& inner_;
  Mutex mu_;
  CondVar ended_;
  std::map<std::string, Method> methods_ ABSL_GUARDED_BY(mu_);
  std::optional<WeightsVersion> go_back_from_ ABSL_GUARDED_BY(mu_);
  std::function<void(RoundProgress&)> change_progress_ ABSL_GUARDED_BY(mu_);
};

}  // namespace gannet::coordinator
