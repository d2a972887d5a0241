#include "services/coordinator/run_admin.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "libs/base/hex.h"
#include "libs/base/printable.h"
#include "libs/base/status_macros.h"
#include "libs/exchange/validation.h"
#include "services/coordinator/round_wait.h"
#include "services/coordinator/unit_time.h"

namespace gannet::coordinator {
namespace {

constexpr int kMaxWorkersPage = 1000;
constexpr int kDefaultWorkersPage = 100;
constexpr int kDefaultRoundsPage = 1000;
// Workers looked at for one page: a class has a few dozen.
constexpr size_t kMaxWorkers = 100'000;
// Named in a message.
constexpr size_t kMaxCandidates = 10;

absl::StatusOr<int> PageSize(int asked, int default_size, int max) {
  if (asked == 0) return default_size;
  if (asked >= 1 && asked <= max) return asked;
  return absl::InvalidArgumentError(
      absl::StrCat("page_size must be between 1 and ", max, ", got ", asked));
}

absl::Status BadToken() {
  return absl::InvalidArgumentError("page_token must be empty or come from the page before");
}

// The place of a worker in the list: newest first, then by id.
struct Place {
  int64_t last_seen_us = 0;
  std::string worker;

  friend bool operator<(const Place& a, const Place& b) {
    return std::tie(b.last_seen_us, a.worker) < std::tie(a.last_seen_us, b.worker);
  }
};

Place PlaceOf(const exchange::WorkerSummary& worker) {
  return {absl::ToUnixMicros(worker.last_seen), worker.worker.value()};
}

absl::StatusOr<Place> ParsePlace(const std::string& token) {
  const std::vector<std::string> parts = absl::StrSplit(token, ':');
  Place place;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &place.last_seen_us) ||
      !base::IsHex(parts[1], 32)) {
    return BadToken();
  }
  place.worker = parts[1];
  return place;
}

}  // namespace

RunAdmin::RunAdmin(exchange::Store& store, exchange::GatewayReports* gateways,
                   std::function<CoordinatorView()> view)
    : store_(store), gateways_(gateways), view_(std::move(view)) {}

absl::StatusOr<base::RunId> RunAdmin::run() const {
  const CoordinatorView view = view_();
  if (!view.run.has_value()) {
    return absl::UnavailableError("the run is not known yet: the coordinator is starting");
  }
  return *view.run;
}

absl::StatusOr<RunOverview> RunAdmin::GetRun() {
  GANNET_ASSIGN_OR_RETURN(const base::RunId id, run());
  RunOverview overview;
  GANNET_ASSIGN_OR_RETURN(overview.status, store_.GetRunStatus(id));
  GANNET_ASSIGN_OR_RETURN(overview.changes, store_.ListChanges(id));
  if (overview.status.state == domain::RunState::kRunning) {
    const base::Round open(overview.status.weights_version.value() + 1);
    GANNET_ASSIGN_OR_RETURN(const exchange::RoundProgress progress,
                            store_.GetRoundProgress(id, open));
    overview.waiting_for = DescribeWait(overview.status, overview.status.config, progress);
  }
  if (overview.status.last_round.has_value()) {
    GANNET_ASSIGN_OR_RETURN(const exchange::RoundProgress last,
                            store_.GetRoundProgress(id, overview.status.last_round->round));
    overview.median_compute_time = MedianComputeTime(last.gradients);
  }
  if (gateways_ != nullptr) {
    GANNET_ASSIGN_OR_RETURN(overview.gateways, gateways_->List());
  }
  overview.view = view_();
  return overview;
}

absl::StatusOr<AdminPage<exchange::WorkerSummary>> RunAdmin::ListWorkers(
    int page_size, const std::string& page_token) {
  GANNET_ASSIGN_OR_RETURN(const int size,
                          PageSize(page_size, kDefaultWorkersPage, kMaxWorkersPage));
  std::optional<Place> after;
  if (!page_token.empty()) {
    GANNET_ASSIGN_OR_RETURN(after, ParsePlace(page_token));
  }
  GANNET_ASSIGN_OR_RETURN(const base::RunId id, run());
  // The store lists by id; the order asked for needs all of them.
  GANNET_ASSIGN_OR_RETURN(std::vector<exchange::WorkerSummary> workers, AllWorkers(id));
  std::sort(workers.begin(), workers.end(),
            [](const exchange::WorkerSummary& a, const exchange::WorkerSummary& b) {
              return PlaceOf(a) < PlaceOf(b);
            });
  AdminPage<exchange::WorkerSummary> page;
  for (exchange::WorkerSummary& worker : workers) {
    const Place place = PlaceOf(worker);
    if (after.has_value() && !(*after < place)) continue;
    if (page.items.size() == static_cast<size_t>(size)) {
      const Place last = PlaceOf(page.items.back());
      page.next_page_token = absl::StrCat(last.last_seen_us, ":", last.worker);
      break;
    }
    page.items.push_back(std::move(worker));
  }
  return page;
}

absl::StatusOr<std::vector<exchange::WorkerSummary>> RunAdmin::AllWorkers(base::RunId id) {
  std::vector<exchange::WorkerSummary> workers;
  while (workers.size() < kMaxWorkers) {
    const base::WorkerId last = workers.empty() ? base::WorkerId() : workers.back().worker;
    GANNET_ASSIGN_OR_RETURN(std::vector<exchange::WorkerSummary> part,
                            store_.ListWorkers(id, last, exchange::kMaxPage));
    const bool is_last = part.size() < static_cast<size_t>(exchange::kMaxPage);
    std::move(part.begin(), part.end(), std::back_inserter(workers));
    if (is_last) break;
  }
  return workers;
}

absl::StatusOr<exchange::WorkerSummary> RunAdmin::FindWorker(base::RunId id,
                                                             const std::string& wanted,
                                                             bool removed) {
  GANNET_ASSIGN_OR_RETURN(std::vector<exchange::WorkerSummary> workers, AllWorkers(id));
  std::erase_if(workers, [&](const exchange::WorkerSummary& worker) {
    return worker.worker.value() != wanted && worker.display_name != wanted;
  });
  // Somebody may have called himself by another's id.
  for (const exchange::WorkerSummary& worker : workers) {
    if (worker.worker.value() == wanted) return worker;
  }
  if (workers.size() > 1) {
    // Of two of the same name one may be removed already: the other is meant.
    std::vector<exchange::WorkerSummary> fitting = workers;
    std::erase_if(fitting, [&](const exchange::WorkerSummary& worker) {
      return worker.removed_reason.empty() == removed;
    });
    if (fitting.size() == 1) return fitting.front();
  }
  if (workers.empty()) {
    return absl::NotFoundError(
        absl::StrCat("no worker has this id or name, gannet workers lists them: ",
                     base::Printable(wanted, exchange::kMaxDisplayNameChars)));
  }
  if (workers.size() == 1) return workers.front();
  std::vector<std::string> ids;
  for (const exchange::WorkerSummary& worker : workers) {
    if (ids.size() == kMaxCandidates) {
      ids.push_back("...");
      break;
    }
    ids.push_back(worker.worker.value());
  }
  return absl::InvalidArgumentError(
      absl::StrCat(workers.size(), " workers have the name ",
                   base::Printable(wanted, exchange::kMaxDisplayNameChars),
                   ", say which by its id: ", absl::StrJoin(ids, ", ")));
}

absl::StatusOr<exchange::WorkerSummary> RunAdmin::RemoveWorker(const std::string& worker,
                                                               const std::string& reason) {
  GANNET_ASSIGN_OR_RETURN(const base::RunId id, run());
  GANNET_ASSIGN_OR_RETURN(const exchange::WorkerSummary found,
                          FindWorker(id, worker, /*removed=*/false));
  GANNET_RETURN_IF_ERROR(store_.RemoveWorker(id, found.worker, reason));
  return FindWorker(id, found.worker.value(), /*removed=*/true);
}

absl::StatusOr<exchange::WorkerSummary> RunAdmin::RestoreWorker(const std::string& worker) {
  GANNET_ASSIGN_OR_RETURN(const base::RunId id, run());
  GANNET_ASSIGN_OR_RETURN(const exchange::WorkerSummary found,
                          FindWorker(id, worker, /*removed=*/true));
  GANNET_RETURN_IF_ERROR(store_.RestoreWorker(id, found.worker));
  return FindWorker(id, found.worker.value(), /*removed=*/false);
}

absl::StatusOr<AdminPage<exchange::RoundSummary>> RunAdmin::ListRounds(
    int page_size, const std::string& page_token) {
  GANNET_ASSIGN_OR_RETURN(const int size,
                          PageSize(page_size, kDefaultRoundsPage, exchange::kMaxPage));
  int64_t after = 0;
  if (!page_token.empty() && (!absl::SimpleAtoi(page_token, &after) || after < 1)) {
    return BadToken();
  }
  GANNET_ASSIGN_OR_RETURN(const base::RunId id, run());
  AdminPage<exchange::RoundSummary> page;
  GANNET_ASSIGN_OR_RETURN(page.items, store_.ListRounds(id, base::Round(after), size));
  if (page.items.size() == static_cast<size_t>(size)) {
    // There is another page only if there is another round.
    const base::Round last = page.items.back().round;
    GANNET_ASSIGN_OR_RETURN(const std::vector<exchange::RoundSummary> more,
                            store_.ListRounds(id, last, 1));
    if (!more.empty()) page.next_page_token = absl::StrCat(last.value());
  }
  return page;
}

absl::StatusOr<base::Round> RunAdmin::ChangeSettings(const domain::RunConfig& config,
                                                     const std::string& reason) {
  GANNET_ASSIGN_OR_RETURN(const base::RunId id, run());
  return store_.ChangeSettings(id, config, reason);
}

absl::Status RunAdmin::SetRunState(domain::RunState state, const std::string& reason) {
  GANNET_ASSIGN_OR_RETURN(const base::RunId id, run());
  return store_.SetRunState(id, state, reason);
}

}  // namespace gannet::coordinator
