#include "services/coordinator/testing/faulty_store.h"

#include <utility>

#include "libs/base/clock.h"

namespace gannet::coordinator {
namespace {

const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

}  // namespace

void FaultyStore::FailBefore(const std::string& method, absl::Status status, int times) {
  base::MutexLock lock(mu_);
  methods_[method].fail_with = std::move(status);
  methods_[method].fail_times = times;
}

void FaultyStore::LoseAnswer(const std::string& method, absl::Status status) {
  base::MutexLock lock(mu_);
  methods_[method].lost = std::move(status);
}

int FaultyStore::calls(const std::string& method) {
  base::MutexLock lock(mu_);
  return methods_[method].calls;
}

int FaultyStore::failures(const std::string& method) {
  base::MutexLock lock(mu_);
  return methods_[method].failures;
}

bool FaultyStore::AwaitUntil(const std::function<bool()>& condition, absl::Duration limit) {
  base::RealClock clock;
  const absl::Duration end = clock.Steady() + limit;
  while (!condition()) {
    if (clock.Steady() >= end) return false;
    base::MutexLock lock(mu_);
    ended_.WaitFor(mu_, absl::Milliseconds(20));  // a call may have ended since the condition
  }
  return true;
}

absl::Status FaultyStore::Enter(const std::string& method) {
  base::MutexLock lock(mu_);
  Method& m = methods_[method];
  if (m.fail_times == 0) return absl::OkStatus();
  --m.fail_times;
  return m.fail_with;
}

absl::Status FaultyStore::Leave(const std::string& method, bool ok) {
  base::MutexLock lock(mu_);
  Method& m = methods_[method];
  absl::Status lost = std::exchange(m.lost, absl::OkStatus());
  ++m.calls;
  if (!ok || !lost.ok()) ++m.failures;
  ended_.NotifyAll();
  return lost;
}

template <typename Result>
Result FaultyStore::Pass(const std::string& method, const std::function<Result()>& call) {
  const absl::Status refused = Enter(method);
  Result result = refused.ok() ? call() : Result(refused);
  if (absl::Status lost = Leave(method, StatusOf(result).ok()); !lost.ok()) return lost;
  return result;
}

absl::StatusOr<exchange::RunStatus> FaultyStore::FindRun(const std::string& name) {
  return Pass<absl::StatusOr<exchange::RunStatus>>("FindRun", [&] { return inner_.FindRun(name); });
}

absl::StatusOr<base::RunId> FaultyStore::CreateRun(const exchange::NewRun& run) {
  return Pass<absl::StatusOr<base::RunId>>("CreateRun", [&] { return inner_.CreateRun(run); });
}

absl::StatusOr<exchange::Leadership> FaultyStore::AcquireLeadership(base::RunId run,
                                                                    const base::LeaderId& leader,
                                                                    absl::Duration ttl) {
  return Pass<absl::StatusOr<exchange::Leadership>>(
      "AcquireLeadership", [&] { return inner_.AcquireLeadership(run, leader, ttl); });
}

absl::Status FaultyStore::ResignLeadership(base::RunId run,
                                           const exchange::Leadership& leadership) {
  return Pass<absl::Status>("ResignLeadership",
                            [&] { return inner_.ResignLeadership(run, leadership); });
}

absl::StatusOr<exchange::RunStatus> FaultyStore::GetRunStatus(base::RunId run) {
  return Pass<absl::StatusOr<exchange::RunStatus>>(
      "GetRunStatus", [&]() -> absl::StatusOr<exchange::RunStatus> {
        absl::StatusOr<exchange::RunStatus> status = inner_.GetRunStatus(run);
        base::MutexLock lock(mu_);
        if (status.ok() && go_back_from_ == status->weights_version) {
          status->weights_version = base::WeightsVersion(status->weights_version.value() - 1);
          go_back_from_.reset();
        }
        return status;
      });
}

void FaultyStore::RollBackFrom(base::WeightsVersion version) {
  base::MutexLock lock(mu_);
  go_back_from_ = version;
}

absl::StatusOr<exchange::Store::Snapshot> FaultyStore::LoadSnapshot(base::RunId run) {
  return Pass<absl::StatusOr<Snapshot>>("LoadSnapshot", [&] { return inner_.LoadSnapshot(run); });
}

absl::StatusOr<exchange::RoundProgress> FaultyStore::GetRoundProgress(base::RunId run,
                                                                      base::Round round) {
  return Pass<absl::StatusOr<exchange::RoundProgress>>("GetRoundProgress", [&] {
    absl::StatusOr<exchange::RoundProgress> progress = inner_.GetRoundProgress(run, round);
    base::MutexLock lock(mu_);
    if (progress.ok() && change_progress_) change_progress_(*progress);
    return progress;
  });
}

void FaultyStore::ChangeProgress(std::function<void(exchange::RoundProgress&)> change) {
  base::MutexLock lock(mu_);
  change_progress_ = std::move(change);
}

void FaultyStore::AwaitChange(base::RunId run, absl::Duration timeout) {
  inner_.AwaitChange(run, timeout);
}

absl::StatusOr<exchange::Payload> FaultyStore::FetchGradient(base::RunId run, base::UnitId unit) {
  return Pass<absl::StatusOr<exchange::Payload>>("FetchGradient",
                                                 [&] { return inner_.FetchGradient(run, unit); });
}

absl::Status FaultyStore::RejectGradient(base::RunId run, const exchange::Leadership& leadership,
                                         base::UnitId unit, const std::string& reason) {
  return Pass<absl::Status>("RejectGradient",
                            [&] { return inner_.RejectGradient(run, leadership, unit, reason); });
}

absl::Status FaultyStore::RemoveWorker(base::RunId run, const base::WorkerId& worker,
                                       const std::string& reason) {
  return Pass<absl::Status>("RemoveWorker",
                            [&] { return inner_.RemoveWorker(run, worker, reason); });
}

absl::Status FaultyStore::RestoreWorker(base::RunId run, const base::WorkerId& worker) {
  return Pass<absl::Status>("RestoreWorker", [&] { return inner_.RestoreWorker(run, worker); });
}

absl::Status FaultyStore::Publish(const exchange::PublishRequest& request) {
  return Pass<absl::Status>("Publish", [&] { return inner_.Publish(request); });
}

absl::StatusOr<int> FaultyStore::ReapExpiredLeases(base::RunId run,
                                                   const exchange::Leadership& leadership) {
  return Pass<absl::StatusOr<int>>("ReapExpiredLeases",
                                   [&] { return inner_.ReapExpiredLeases(run, leadership); });
}

absl::Status FaultyStore::ReclaimOldBlobs(base::RunId run, const exchange::Leadership& leadership,
                                          base::Round round) {
  return Pass<absl::Status>("ReclaimOldBlobs",
                            [&] { return inner_.ReclaimOldBlobs(run, leadership, round); });
}

absl::Status FaultyStore::ReclaimBlobs(base::RunId run, const exchange::Leadership& leadership) {
  return Pass<absl::Status>("ReclaimBlobs", [&] { return inner_.ReclaimBlobs(run, leadership); });
}

absl::Status FaultyStore::DeleteRun(base::RunId run) {
  return Pass<absl::Status>("DeleteRun", [&] { return inner_.DeleteRun(run); });
}

absl::Status FaultyStore::SaveBest(base::RunId run, const exchange::Leadership& leadership,
                                   const exchange::BestWeights& best,
                                   const exchange::Payload& weights) {
  return Pass<absl::Status>("SaveBest",
                            [&] { return inner_.SaveBest(run, leadership, best, weights); });
}

absl::StatusOr<exchange::Store::BestSnapshot> FaultyStore::LoadBest(base::RunId run) {
  return Pass<absl::StatusOr<BestSnapshot>>("LoadBest", [&] { return inner_.LoadBest(run); });
}

absl::Status FaultyStore::SetRunState(base::RunId run, domain::RunState state,
                                      const std::string& reason) {
  return Pass<absl::Status>("SetRunState", [&] { return inner_.SetRunState(run, state, reason); });
}

absl::StatusOr<base::Round> FaultyStore::ChangeSettings(base::RunId run,
                                                        const domain::RunConfig& config,
                                                        const std::string& reason) {
  return Pass<absl::StatusOr<base::Round>>(
      "ChangeSettings", [&] { return inner_.ChangeSettings(run, config, reason); });
}

absl::StatusOr<std::vector<exchange::SettingsChange>> FaultyStore::ListChanges(base::RunId run) {
  return Pass<absl::StatusOr<std::vector<exchange::SettingsChange>>>(
      "ListChanges", [&] { return inner_.ListChanges(run); });
}

absl::StatusOr<std::vector<exchange::RoundSummary>> FaultyStore::ListRounds(base::RunId run,
                                                                            base::Round after,
                                                                            int limit) {
  return Pass<absl::StatusOr<std::vector<exchange::RoundSummary>>>(
      "ListRounds", [&] { return inner_.ListRounds(run, after, limit); });
}

absl::StatusOr<std::vector<exchange::WorkerSummary>> FaultyStore::ListWorkers(
    base::RunId run, const base::WorkerId& after, int limit) {
  return Pass<absl::StatusOr<std::vector<exchange::WorkerSummary>>>(
      "ListWorkers", [&] { return inner_.ListWorkers(run, after, limit); });
}

absl::StatusOr<std::vector<exchange::WorkerRecord>> FaultyStore::ListWorkerRecords(
    base::RunId run) {
  return Pass<absl::StatusOr<std::vector<exchange::WorkerRecord>>>(
      "ListWorkerRecords", [&] { return inner_.ListWorkerRecords(run); });
}

}  // namespace gannet::coordinator
