#include "services/coordinator/contributors_file.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "libs/base/atomic_file.h"
#include "libs/base/csv.h"
#include "libs/base/printable.h"
#include "libs/base/status_macros.h"

namespace gannet::coordinator {
namespace {

// A class has a few dozen; more are as much as a spreadsheet shows.
constexpr size_t kMaxWorkers = 100'000;

}  // namespace

std::string ContributorsText(std::vector<exchange::WorkerSummary> workers) {
  std::sort(workers.begin(), workers.end(),
            [](const exchange::WorkerSummary& a, const exchange::WorkerSummary& b) {
              return std::tie(b.accepted_image_count, a.display_name, a.worker) <
                     std::tie(a.accepted_image_count, b.display_name, b.worker);
            });
  std::string text =
      base::CsvLine({"display_name", "worker_id", "accepted_unit_count", "accepted_image_count",
                     "duplicate_unit_count", "wasted_image_count", "last_seen_time", "hardware",
                     "removed_reason"});
  for (const exchange::WorkerSummary& worker : workers) {
    absl::StrAppend(
        &text,
        base::CsvLine(
            {base::Printable(worker.display_name), worker.worker.value(),
             absl::StrCat(worker.accepted_unit_count), absl::StrCat(worker.accepted_image_count),
             absl::StrCat(worker.duplicate_unit_count), absl::StrCat(worker.wasted_image_count),
             absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", worker.last_seen, absl::UTCTimeZone()),
             base::Printable(worker.hardware), base::Printable(worker.removed_reason)}));
  }
  return text;
}

ContributorsFile::ContributorsFile(std::string path, telemetry::Logger& log)
    : path_(std::move(path)), log_(log), queue_(1, [this](int) {
        if (const absl::Status written = Write(); !written.ok()) {
          log_.Warning("the list of contributors cannot be written, the older one stays",
                       {{"path", path_}, {"reason", written}});
        }
      }) {}

void ContributorsFile::Begin(List list) {
  Await();
  list_ = std::move(list);
}

void ContributorsFile::Offer() { queue_.Push(0); }

absl::Status ContributorsFile::Write() {
  if (list_ == nullptr) return absl::OkStatus();
  std::vector<exchange::WorkerSummary> workers;
  while (workers.size() < kMaxWorkers) {
    GANNET_ASSIGN_OR_RETURN(
        std::vector<exchange::WorkerSummary> page,
        list_(workers.empty() ? base::WorkerId() : workers.back().worker, exchange::kMaxPage));
    const bool is_last = page.size() < static_cast<size_t>(exchange::kMaxPage);
    std::move(page.begin(), page.end(), std::back_inserter(workers));
    if (is_last) break;
  }
  return base::WriteFileAtomically(path_, ContributorsText(std::move(workers)));
}

}  // namespace gannet::coordinator
