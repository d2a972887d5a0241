#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/job_queue.h"
#include "libs/exchange/store.h"
#include "libs/telemetry/log.h"

namespace gannet::coordinator {

// Who has contributed to a run, as a CSV file for people, which outlives coordinator and database:
// a line a worker with a heading, whoever computed most first. Written whole or not at all, from a
// thread of its own, so that it never delays a round; what cannot be read or written costs a
// warning.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: the logger outlives it. The destructor waits for the file in progress.
class ContributorsFile {
 public:
  // As Store::ListWorkers. Called from the thread.
  using List = std::function<absl::StatusOr<std::vector<exchange::WorkerSummary>>(
      const base::WorkerId& after, int limit)>;

  ContributorsFile(std::string path, telemetry::Logger& log);

  // Somebody begins to lead: from here on the workers are those of `list`.
  void Begin(List list);

  // Writes the file soon. Left out while one waits to be written: that will tell the same.
  void Offer();

  // Waits until what was offered is written.
  void Await() { queue_.Await(); }

 private:
  absl::Status Write();

  const std::string path_;
  telemetry::Logger& log_;
  List list_;                  // only used while the file is written, or by Begin
  base::JobQueue<int> queue_;  // last, as its thread uses the others
};

// The lines of the file.
std::string ContributorsText(std::vector<exchange::WorkerSummary> workers);

}  // namespace gannet::coordinator
