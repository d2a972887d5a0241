#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/mutex.h"
#include "libs/telemetry/metrics.h"

namespace gannet::gateway {

// A fixed number of threads and a queue of limited length: where the gateway does what blocks (the
// database) or takes long (checking a gradient), so that gRPC's threads never do.
//
// Thread safety: all methods may be called from any thread; Stop not from a task.
// Ownership and lifetime: the destructor stops.
class TaskPool {
 public:
  // `queued` is kept at the number of tasks that wait for a thread.
  TaskPool(int threads, int queue_limit, telemetry::Gauge& queued);
  ~TaskPool();
  TaskPool(const TaskPool&) = delete;
  TaskPool& operator=(const TaskPool&) = delete;

  // Runs `task` on one of the threads, in order of arrival.
  // Returns: RESOURCE_EXHAUSTED - the queue is full; UNAVAILABLE - the pool has stopped. `task` is
  // not run then.
  absl::Status Run(std::function<void()> task);

  // Runs what is queued and ends the threads. Idempotent.
  void Stop();

 private:
  void Work();

  const size_t queue_limit_;
  telemetry::Gauge& queued_;
  base::Mutex mu_;
  base::CondVar cv_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  base::Mutex join_mu_;
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(join_mu_);
};

}  // namespace gannet::gateway
