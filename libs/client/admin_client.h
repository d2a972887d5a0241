#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/support/status.h"
#include "libs/domain/run_state.h"
#include "libs/exchange/gateway_reports.h"
#include "libs/exchange/store.h"
#include "libs/rpc/channel.h"

namespace gannet::client {

struct AdminClientOptions {
  rpc::ChannelOptions channel = {};  // target: the coordinator's "HOST:PORT"
  std::string token = {};            // the admin token, where the server asks for one
  absl::Duration call_limit = absl::Seconds(10);
};

// Settings that were changed during the run.
struct ReportedChange {
  base::Round round;       // from which they hold
  std::string difference;  // "training.learning_rate 0.0002 -> 0.0001"
  std::string reason;
};

// The run as the coordinator describes it; see gannet.v1.GetRunResponse.
struct RunReport {
  base::RunId run;
  domain::RunConfig config;
  domain::RunState state = domain::RunState::kRunning;
  std::string state_reason;
  base::WeightsVersion weights_version;  // rounds finished
  std::optional<exchange::RoundSummary> last_round;
  double images_per_second = 0;
  int worker_count = 0;
  std::string latest_sample_path;
  std::string waiting_for;         // what the open round waits for; empty unless the run is running
  int64_t wasted_image_count = 0;  // of wasted gradients
  double unit_seconds = 0;         // of the median unit, from claim to accept; 0: not known yet
  double unit_compute_seconds = 0;                // of that, computed
  std::optional<exchange::BestWeights> best;      // none: not measured yet, or never
  domain::RunConfig next_config;                  // holds from the round after the open one
  std::vector<ReportedChange> changes;            // by round
  std::vector<exchange::GatewayReport> gateways;  // those that refuse something
};

// One page of a list; the token asks for the next one and is empty on the last.
template <typename T>
struct Page {
  std::vector<T> items;
  std::string next_page_token;
};

// Looks at a run and steers it, by way of gannet.v1.AdminService. Each call makes one attempt.
//
// Thread safety: all methods may be called from any thread.
// Errors of every call: UNAVAILABLE - server or database cannot be reached; UNAUTHENTICATED - the
// token is missing or wrong; DEADLINE_EXCEEDED; INTERNAL - the answer is malformed.
class AdminClient {
 public:
  // Connects with the first call, not here.
  // Returns: INVALID_ARGUMENT - the target is not an address, or the environment's proxy cannot be
  // used (see CheckProxy).
  static absl::StatusOr<std::unique_ptr<AdminClient>> Create(const AdminClientOptions& options);
  ~AdminClient();

  absl::StatusOr<RunReport> GetRun();

  // Most recently seen first. `page_size` 1 to 1000; the first page has an empty token.
  // Returns: INVALID_ARGUMENT - size or token.
  absl::StatusOr<Page<exchange::WorkerSummary>> ListWorkers(int page_size,
                                                            const std::string& page_token);

  // Oldest first. `page_size` 1 to 10000.
  // Returns: INVALID_ARGUMENT - size or token.
  absl::StatusOr<Page<exchange::RoundSummary>> ListRounds(int page_size,
                                                          const std::string& page_token);

  // Returns: INVALID_ARGUMENT - the state cannot be asked for, or the reason is too long;
  // FAILED_PRECONDITION - the run has ended.
  absl::Status SetRunState(domain::RunState state, const std::string& reason);

  // Changes settings: `config` is RunReport::next_config with some of it changed. Returns the first
  // round with them. Returns: as Store::ChangeSettings.
  absl::StatusOr<base::Round> ChangeSettings(const domain::RunConfig& config,
                                             const std::string& reason);

  // Removes the worker of that id or display name, or takes it back, and returns it as it is then.
  // Returns: INVALID_ARGUMENT - several workers have the name (the message lists them), or no
  // reason; NOT_FOUND - none has.
  absl::StatusOr<exchange::WorkerSummary> RemoveWorker(const std::string& worker,
                                                       const std::string& reason);
  absl::StatusOr<exchange::WorkerSummary> RestoreWorker(const std::string& worker);

 private:
  struct Stub;

  AdminClient(const AdminClientOptions& options, std::unique_ptr<Stub> stub);

  void Prepare(grpc::ClientContext& context) const;
  absl::Status ToStatus(const grpc::Status& status) const;

  const AdminClientOptions options_;
  const std::unique_ptr<Stub> stub_;
};

}  // namespace gannet::client
