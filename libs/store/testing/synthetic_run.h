#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/exchange/exchange.h"
#include "libs/exchange/store.h"

namespace gannet::store {

// Bytes that no compression shortens.
std::string Noise(size_t bytes, uint64_t seed);

// A run of a real backend whose weights, moments and gradients are noise of one size: what a class
// asks of its database, without the arithmetic.
//
// Thread safety: ClaimAndSubmit may be called from any thread, beside anything else; the rest from
// one thread at a time.
class SyntheticRun {
 public:
  // `payload_bytes` is the size of each payload. The store and the exchange outlive the run.
  static absl::StatusOr<std::unique_ptr<SyntheticRun>> Create(exchange::Store& store,
                                                              exchange::Exchange& exchange,
                                                              const std::string& name,
                                                              int units_per_round,
                                                              size_t payload_bytes);

  absl::StatusOr<exchange::WorkerIdentity> Join();

  // Claims a unit and hands its gradient in. False: there was none.
  absl::StatusOr<bool> ClaimAndSubmit(const exchange::WorkerIdentity& worker);

  // Makes room for the round after the open one. Returns: as Store::ReclaimOldBlobs.
  absl::Status PrepareNext();

  // Reads every gradient of the open round, and the current weights.
  // Returns: DATA_LOSS - one is missing or not what was submitted.
  absl::Status CheckPayloads(const exchange::WorkerIdentity& worker);

  absl::Status Publish();
  // Keeps the payload as the run's best weights, those of the version published last.
  absl::Status SaveBest();

  const exchange::Payload& payload() const { return payload_; }
  int64_t version() const { return version_; }

 private:
  SyntheticRun(exchange::Store& store, exchange::Exchange& exchange, int units_per_round)
      : store_(store), exchange_(exchange), units_per_round_(units_per_round) {}

  std::vector<domain::PlannedUnit> Units(int64_t round) const;

  exchange::Store& store_;
  exchange::Exchange& exchange_;
  const int units_per_round_;
  domain::RunConfig config_;
  exchange::Payload payload_;
  base::RunId run_;
  exchange::Leadership leadership_;
  int64_t version_ = 0;
};

}  // namespace gannet::store
