#pragma once

#include <optional>
#include <string>
#include <vector>

#include "libs/exchange/exchange.h"

namespace gannet::exchange {

// Passes every call on. Tests override what they want to count, hold up or fail.
class ForwardingExchange : public Exchange {
 public:
  explicit ForwardingExchange(Exchange& inner) : inner_(inner) {}

  absl::StatusOr<JoinResult> Join(const JoinRequest& request) override {
    return inner_.Join(request);
  }
  absl::StatusOr<RunDescription> Describe(const WorkerIdentity& worker, base::RunId run) override {
    return inner_.Describe(worker, run);
  }
  absl::StatusOr<ClaimResult> Claim(const ClaimRequest& request) override {
    return inner_.Claim(request);
  }
  absl::StatusOr<Payload> FetchWeights(const FetchWeightsRequest& request) override {
    return inner_.FetchWeights(request);
  }
  absl::StatusOr<domain::SubmitOutcome> Submit(const SubmitRequest& request) override {
    return inner_.Submit(request);
  }
  absl::StatusOr<std::optional<domain::SubmitOutcome>> CheckSubmission(
      const SubmissionCheck& submission) override {
    return inner_.CheckSubmission(submission);
  }
  absl::StatusOr<HeartbeatResult> Heartbeat(const WorkerIdentity& worker, base::RunId run,
                                            const std::vector<UnitProgress>& held) override {
    return inner_.Heartbeat(worker, run, held);
  }
  absl::Status Release(const WorkerIdentity& worker, base::RunId run, base::UnitId unit,
                       base::Attempt attempt) override {
    return inner_.Release(worker, run, unit, attempt);
  }
  absl::Status Fail(const WorkerIdentity& worker, base::RunId run, base::UnitId unit,
                    base::Attempt attempt, const std::string& reason) override {
    return inner_.Fail(worker, run, unit, attempt, reason);
  }
  absl::Status Leave(const WorkerIdentity& worker, base::RunId run) override {
    return inner_.Leave(worker, run);
  }

 private:
  Exchange& inner_;
};

}  // namespace gannet::exchange
