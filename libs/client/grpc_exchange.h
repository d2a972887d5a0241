#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/support/status.h"
#include "libs/exchange/exchange.h"
#include "libs/exchange/validation.h"
#include "libs/rpc/channel.h"

namespace gannet::client {

struct GrpcExchangeOptions {
  rpc::ChannelOptions channel = {};  // target: the gateway's "HOST:PORT"
  std::string class_code;            // shown at Join; empty: the gateway asks for none

  // Of a call without a payload. Claim gets its wait in addition.
  absl::Duration call_limit = absl::Seconds(10);
  // Of a call that carries weights or a gradient: 30 MB at 0.5 Mbit/s take 8 minutes.
  absl::Duration transfer_limit = absl::Minutes(10);

  int64_t max_weights_bytes = exchange::kMaxPayloadBytes;
};

// The exchange by way of a gateway (gannet.v1.ExchangeService). Payloads travel in chunks of 512
// KiB, header first, and are verified on arrival. Claims, heartbeats and the like have a connection
// of their own, beside that of the payloads.
//
// Each call makes one attempt: the caller repeats, with back-off; every call is idempotent. A lost
// connection is sought again in the background from the first call that misses it. Somebody else
// who answers at the target (a wrong certificate, no gateway) is FAILED_PRECONDITION at first, and
// UNAVAILABLE once the gateway has been reached: then it is the sign-in page of a network, which
// passes.
//
// Thread safety: all methods may be called from any thread.
// Errors beyond those of Exchange: DEADLINE_EXCEEDED - a limit of the options passed; DATA_LOSS -
// the weights were cut off or do not match their checksum; RESOURCE_EXHAUSTED - the gateway is
// busy, repeat later; OUT_OF_RANGE - a gradient larger than the gateway ever takes, or weights
// larger than max_weights_bytes (both refused before any byte of them is stored).
class GrpcExchange final : public exchange::Exchange {
 public:
  // Connects with the first call, not here.
  // Returns: INVALID_ARGUMENT - the target is not an address, or the environment's proxy cannot be
  // used (see CheckProxy).
  static absl::StatusOr<std::unique_ptr<GrpcExchange>> Create(const GrpcExchangeOptions& options);
  ~GrpcExchange() override;

  absl::StatusOr<exchange::JoinResult> Join(const exchange::JoinRequest& request) override;
  absl::StatusOr<exchange::RunDescription> Describe(const exchange::WorkerIdentity& worker,
                                                    base::RunId run) override;
  absl::StatusOr<exchange::ClaimResult> Claim(const exchange::ClaimRequest& request) override;
  absl::StatusOr<exchange::Payload> FetchWeights(
      const exchange::FetchWeightsRequest& request) override;
  absl::StatusOr<domain::SubmitOutcome> Submit(const exchange::SubmitRequest& request) override;
  absl::StatusOr<exchange::HeartbeatResult> Heartbeat(
      const exchange::WorkerIdentity& worker, base::RunId run,
      const std::vector<exchange::UnitProgress>& held) override;
  absl::Status Release(const exchange::WorkerIdentity& worker, base::RunId run, base::UnitId unit,
                       base::Attempt attempt) override;
  absl::Status Fail(const exchange::WorkerIdentity& worker, base::RunId run, base::UnitId unit,
                    base::Attempt attempt, const std::string& reason) override;
  absl::Status Leave(const exchange::WorkerIdentity& worker, base::RunId run) override;

 private:
  struct Stubs;

  GrpcExchange(const GrpcExchangeOptions& options, std::unique_ptr<Stubs> stubs);

  absl::Status ToStatus(const grpc::Status& status) const;

  const GrpcExchangeOptions options_;
  const std::unique_ptr<Stubs> stubs_;
};

}  // namespace gannet::client
