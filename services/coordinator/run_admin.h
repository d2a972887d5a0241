#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/exchange/gateway_reports.h"
#include "libs/exchange/store.h"

namespace gannet::coordinator {

// What only the coordinator itself knows of its run.
struct CoordinatorView {
  std::optional<base::RunId> run;  // unset until it is found or created
  double images_per_second = 0;
  std::string latest_sample_path;
};

// A run as people ask about it.
struct RunOverview {
  exchange::RunStatus status;
  CoordinatorView view;
  std::string waiting_for;  // DescribeWait of the open round; empty unless the run is running
  absl::Duration median_compute_time;  // of the last round; see MedianComputeTime
  std::vector<exchange::SettingsChange> changes;
  std::vector<exchange::GatewayReport> gateways;  // those that refuse something
};

template <typename T>
struct AdminPage {
  std::vector<T> items;
  std::string next_page_token;  // empty on the last page
};

// Looks at the run of a coordinator and steers it: the behaviour of gannet.v1.AdminService.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: store, gateways and what `view` refers to outlive it.
// Errors of every call: UNAVAILABLE - the run is not known yet, or the database cannot be reached.
class RunAdmin {
 public:
  // `gateways` may be null: then nothing is known of them.
  RunAdmin(exchange::Store& store, exchange::GatewayReports* gateways,
           std::function<CoordinatorView()> view);

  absl::StatusOr<RunOverview> GetRun();

  // Most recently seen first. A worker that is seen while the pages are read may be
  // left out of them. `page_size` 1 to 1000, 0 means 100.
  // Returns: INVALID_ARGUMENT - page size or token.
  absl::StatusOr<AdminPage<exchange::WorkerSummary>> ListWorkers(int page_size,
                                                                 const std::string& page_token);

  // Oldest first. `page_size` 1 to 10000, 0 means 1000.
  // Returns: INVALID_ARGUMENT - page size or token.
  absl::StatusOr<AdminPage<exchange::RoundSummary>> ListRounds(int page_size,
                                                               const std::string& page_token);

  // Returns: as Store::ChangeSettings.
  absl::StatusOr<base::Round> ChangeSettings(const domain::RunConfig& config,
                                             const std::string& reason);

  // Removes or restores the worker of that id or, when only one has it, that display name (of
  // several the only one that is not removed yet, or is); returns it as it is then.
  // Returns: INVALID_ARGUMENT - several workers have the name (up to ten are listed); NOT_FOUND -
  // none has; then as Store::RemoveWorker and Store::RestoreWorker.
  absl::StatusOr<exchange::WorkerSummary> RemoveWorker(const std::string& worker,
                                                       const std::string& reason);
  absl::StatusOr<exchange::WorkerSummary> RestoreWorker(const std::string& worker);

  // Returns: as Store::SetRunState.
  absl::Status SetRunState(domain::RunState state, const std::string& reason);

 private:
  absl::StatusOr<base::RunId> run() const;
  // Every worker of the run, by id.
  absl::StatusOr<std::vector<exchange::WorkerSummary>> AllWorkers(base::RunId id);
  absl::StatusOr<exchange::WorkerSummary> FindWorker(base::RunId id, const std::string& wanted,
                                                     bool removed);

  exchange::Store& store_;
  exchange::GatewayReports* const gateways_;
  const std::function<CoordinatorView()> view_;
};

}  // namespace gannet::coordinator
