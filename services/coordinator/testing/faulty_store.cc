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
  MutexLock lock(mu_);
  methods_[method].fail_with = std::move(status);
  methods_[method].fail_times = times;
}

void FaultyStore::LoseAnswer(const std::string& method, absl::Status status) {
  MutexLock lock(mu_);
  methods_[method].lost = std::move(status);
}

int FaultyStore::calls(const std::string& method) {
  MutexLock lock(mu_);
  return methods_[method].calls;
}

int FaultyStore::failures(const std::string& method) {
  MutexLock lock(mu_);
  return methods_[method].failures;
}

bool FaultyStore::AwaitUntil(const std::function<bool()>& condition, absl::Duration limit) {
  RealClock clock;
  const absl::Duration end = clock.Steady() + limit;
  while (!condition()) {
    if (clock.Steady() >= end) return false;
    MutexLock lock(mu_);
    ended_.WaitFor(mu_, absl::Milliseconds(20));  // a call may have ended since the condition
  }
  return true;
}

absl::Status FaultyStore::Enter(const std::string& method) {
  MutexLock lock(mu_);
  Method& m = methods_[method];
  if (m.fail_times == 0) return absl::OkStatus();
  --m.fail_times;
  return m.fail_with;
}

absl::Status FaultyStore::Leave(const std::string& method, bool ok) {
  MutexLock lock(mu_);
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

absl::StatusOr<RunStatus> FaultyStore::FindRun(const std::string& name) {
  return Pass<absl::StatusOr<RunStatus>>("FindRun", [&] { return inner_.FindRun(name); });
}

absl::StatusOr<RunId> FaultyStore::CreateRun(const NewRun& run) {
  return Pass<absl::StatusOr<RunId>>("CreateRun", [&] { return inner_.CreateRun(run); });
}

absl::StatusOr<Leadership> FaultyStore::AcquireLeadership(RunId run, const LeaderId& leader,
                                                          absl::Duration ttl) {
  return Pass<absl::StatusOr<Leadership>>(
      "AcquireLeadership", [&] { return inner_.AcquireLeadership(run, leader, ttl); });
}

absl::Status FaultyStore::ResignLeadership(RunId run, const Leadership& leadership) {
  return Pass<absl::Status>("ResignLeadership",
                            [&] { return inner_.ResignLeadership(run, leadership); });
}

absl::StatusOr<RunStatus> FaultyStore::GetRunStatus(RunId run) {
  return Pass<absl::StatusOr<RunStatus>>("GetRunStatus", [&]() -> absl::StatusOr<RunStatus> {
    absl::StatusOr<RunStatus> status = inner_.GetRunStatus(run);
    MutexLock lock(mu_);
    if (status.ok() && go_back_from_ == status->weights_version) {
      status->weights_version = WeightsVersion(status->weights_version.value() - 1);
      go_back_from_.reset();
    }
    return status;
  });
}

void FaultyStore::GoBackFrom(WeightsVersion version) {
  MutexLock lock(mu_);
  go_back_from_ = version;
}

absl::StatusOr<Store::Snapshot> FaultyStore::LoadSnapshot(RunId run) {
  return Pass<absl::StatusOr<Snapshot>>("LoadSnapshot", [&] { return inner_.LoadSnapshot(run); });
}

absl::StatusOr<RoundProgress> FaultyStore::GetRoundProgress(RunId run, Round round) {
  return Pass<absl::StatusOr<RoundProgress>>("GetRoundProgress", [&] {
    absl::StatusOr<RoundProgress> progress = inner_.GetRoundProgress(run, round);
    MutexLock lock(mu_);
    if (progress.ok() && change_progress_) change_progress_(*progress);
    return progress;
  });
}

void FaultyStore::ChangeProgress(std::function<void(RoundProgress&)> change) {
  MutexLock lock(mu_);
  change_progress_ = std::move(change);
}

void FaultyStore::AwaitChange(RunId run, absl::Duration timeout) {
  inner_.AwaitChange(run, timeout);
}

absl::StatusOr<Payload> FaultyStore::FetchGradient(RunId run, UnitId unit) {
  return Pass<absl::StatusOr<Payload>>("FetchGradient",
                                       [&] { return inner_.FetchGradient(run, unit); });
}

absl::Status FaultyStore::RejectGradient(RunId run, const Leadership& leadership, UnitId unit,
                                         const std::string& reason) {
  return Pass<absl::Status>("RejectGradient",
                            [&] { return inner_.RejectGradient(run, leadership, unit, reason); });
}

absl::Status FaultyStore::RemoveWorker(RunId run, const WorkerId& worker,
                                       const std::string& reason) {
  return Pass<absl::Status>("RemoveWorker",
                            [&] { return inner_.RemoveWorker(run, worker, reason); });
}

absl::Status FaultyStore::RestoreWorker(RunId run, const WorkerId& worker) {
  return Pass<absl::Status>("RestoreWorker", [&] { return inner_.RestoreWorker(run, worker); });
}

absl::Status FaultyStore::Publish(const PublishRequest& request) {
  return Pass<absl::Status>("Publish", [&] { return inner_.Publish(request); });
}

absl::StatusOr<int> FaultyStore::ReapExpiredLeases(RunId run, const Leadership& leadership) {
  return Pass<absl::StatusOr<int>>("ReapExpiredLeases",
                                   [&] { return inner_.ReapExpiredLeases(run, leadership); });
}

absl::Status FaultyStore::PrepareRound(RunId run, const Leadership& leadership, Round round) {
  return Pass<absl::Status>("PrepareRound",
                            [&] { return inner_.PrepareRound(run, leadership, round); });
}

absl::Status FaultyStore::ReclaimBlobs(RunId run, const Leadership& leadership) {
  return Pass<absl::Status>("ReclaimBlobs", [&] { return inner_.ReclaimBlobs(run, leadership); });
}

absl::Status FaultyStore::DeleteRun(RunId run) {
  return Pass<absl::Status>("DeleteRun", [&] { return inner_.DeleteRun(run); });
}

absl::Status FaultyStore::KeepBest(RunId run, const Leadership& leadership, const BestWeights& best,
                                   const Payload& weights) {
  return Pass<absl::Status>("KeepBest",
                            [&] { return inner_.KeepBest(run, leadership, best, weights); });
}

absl::StatusOr<Store::BestSnapshot> FaultyStore::LoadBest(RunId run) {
  return Pass<absl::StatusOr<BestSnapshot>>("LoadBest", [&] { return inner_.LoadBest(run); });
}

absl::Status FaultyStore::SetRunState(RunId run, RunState state, const std::string& reason) {
  return Pass<absl::Status>("SetRunState", [&] { return inner_.SetRunState(run, state, reason); });
}

absl::StatusOr<Round> FaultyStore::ChangeSettings(RunId run, const RunConfig& config,
                                                  const std::string& reason) {
  return Pass<absl::StatusOr<Round>>("ChangeSettings",
                                     [&] { return inner_.ChangeSettings(run, config, reason); });
}

absl::StatusOr<std::vector<SettingsChange>> FaultyStore::ListChanges(RunId run) {
  return Pass<absl::StatusOr<std::vector<SettingsChange>>>("ListChanges",
                                                           [&] { return inner_.ListChanges(run); });
}

absl::StatusOr<std::vector<RoundSummary>> FaultyStore::ListRounds(RunId run, Round after,
                                                                  int limit) {
  return Pass<absl::StatusOr<std::vector<RoundSummary>>>(
      "ListRounds", [&] { return inner_.ListRounds(run, after, limit); });
}

absl::StatusOr<std::vector<WorkerSummary>> FaultyStore::ListWorkers(RunId run,
                                                                    const WorkerId& after,
                                                                    int limit) {
  return Pass<absl::StatusOr<std::vector<WorkerSummary>>>(
      "ListWorkers", [&] { return inner_.ListWorkers(run, after, limit); });
}

absl::StatusOr<std::vector<WorkerRecord>> FaultyStore::ListWorkerRecords(RunId run) {
  return Pass<absl::StatusOr<std::vector<WorkerRecord>>>(
      "ListWorkerRecords", [&] { return inner_.ListWorkerRecords(run); });
}

}  // namespace gannet::coordinator
