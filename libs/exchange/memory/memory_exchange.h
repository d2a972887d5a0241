#pragma once

#include <optional>
#include <string>
#include <vector>

#include "libs/exchange/exchange.h"
#include "libs/exchange/memory/memory_state.h"

namespace gannet::memory {

// The workers' side of MemoryBackend.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: the state must outlive it.
class MemoryExchange final : public Exchange {
 public:
  explicit MemoryExchange(State& state) : state_(state) {}

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
  Run* FindRunToJoin(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu);

  void RecordLife(Worker& worker) ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu);

  State& state_;
};

}  // namespace gannet::memory
