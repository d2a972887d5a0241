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
class FaultyStore final : public exchange::Store {
 public:
  explicit FaultyStore(exchange::Store& inner) : inner_(inner) {}

  // The next `times` calls of that method ("Publish") fail with `status` and do nothing.
  void FailBefore(const std::string& method, absl::Status status, int times = 1);
  // The next call does what it should, and then answers `status`.
  void LoseAnswer(const std::string& method, absl::Status status);

  // The next GetRunStatus once `version` is published answers as a database that was rolled back
  // one.
  void RollBackFrom(base::WeightsVersion version);

  // What GetRoundProgress finds is changed so before it is answered: what an older version may have
  // stored. Null: no more.
  void ChangeProgress(std::function<void(exchange::RoundProgress&)> change);

  // How many calls of the method have ended, and how many of them badly.
  int calls(const std::string& method);
  int failures(const std::string& method);

  // Waits until `condition`, which is looked at after every call that ends, is true. False after
  // `limit`.
  bool AwaitUntil(const std::function<bool()>& condition, absl::Duration limit = absl::Seconds(60));

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

  exchange::Store& inner_;
  base::Mutex mu_;
  base::CondVar ended_;
  std::map<std::string, Method> methods_ ABSL_GUARDED_BY(mu_);
  std::optional<base::WeightsVersion> go_back_from_ ABSL_GUARDED_BY(mu_);
  std::function<void(exchange::RoundProgress&)> change_progress_ ABSL_GUARDED_BY(mu_);
};

}  // namespace gannet::coordinator
