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
class MemoryExchange final : public exchange::Exchange {
 public:
  explicit MemoryExchange(State& state) : state_(state) {}

  absl::StatusOr<exchange::JoinResult> Join(const exchange::JoinRequest& request) override;

  absl::StatusOr<exchange::RunDescription> Describe(const exchange::WorkerIdentity& worker,
                                                    base::RunId run) override;

  absl::StatusOr<exchange::ClaimResult> Claim(const exchange::ClaimRequest& request) override;

  absl::StatusOr<exchange::Payload> FetchWeights(
      const exchange::FetchWeightsRequest& request) override;

  absl::StatusOr<domain::SubmitOutcome> Submit(const exchange::SubmitRequest& request) override;

  absl::StatusOr<std::optional<domain::SubmitOutcome>> CheckSubmission(
      const exchange::SubmissionCheck& submission) override;

  absl::StatusOr<exchange::HeartbeatResult> Heartbeat(
      const exchange::WorkerIdentity& worker, base::RunId run,
      const std::vector<exchange::UnitProgress>& held) override;

  absl::Status Release(const exchange::WorkerIdentity& worker, base::RunId run, base::UnitId unit,
                       base::Attempt attempt) override;

  absl::Status Fail(const exchange::WorkerIdentity& worker, base::RunId run, base::UnitId unit,
                    base::Attempt attempt, const std::string& reason) override;

  absl::Status Leave(const exchange::WorkerIdentity& worker, base::RunId run) override;

 private:
  Run* FindRunToJoin(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu);

  void RecordLife(Worker& worker) ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mu);

  State& state_;
};

}  // namespace gannet::memory
